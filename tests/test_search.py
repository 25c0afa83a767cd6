"""What a query finds, with the encoder that ships."""

import json
import math
from dataclasses import replace

import pytest

import trsllava
from trsllava.embedding import load_embedder
from trsllava.errors import IndexUnusable, InputError, UsageError
from trsllava.index.build import build_index
from trsllava.search.archive import open_archive
from trsllava.search.query import Query
from trsllava.store.importing import import_files
from trsllava.store.maintenance import remove_images
from trsllava.store.store import create_store

MODES = ("hybrid", "dense", "lexical")
ENDINGS = ("", " seen from above", " in full view", " from the air", " in daylight")


@pytest.fixture(scope="session")
def encoder():
    return load_embedder("minilm")


def lines(texts, **metadata):
    """Full records, one a line; ``texts`` maps ids to one text each."""
    for image, text in texts.items():
        variants = [
            {"one_sentence": text + e, "feature": text + e + ", alone", "caption": text + e + " ."}
            for e in ENDINGS
        ]
        yield json.dumps({"image": image, "variants": variants, **metadata})


@pytest.fixture
def make(tmp_path, encoder):
    """Make a store from record lines, indexed; returns the store."""

    def make(*parts, name="store", index=True, **options):
        file = tmp_path / f"{name}.jsonl"
        file.write_text("\n".join(line for part in parts for line in part), encoding="utf-8")
        store = create_store(tmp_path / name)
        import_files(store, [file], update=True)
        if index:
            build_index(store, encoder, **options)
        return store

    return make


def images(hits):
    return [hit.image for hit in hits]


FIELDS = {f"{n:02}.jpg": f"a plain red field with number {n}" for n in range(50)}


@pytest.mark.parametrize("mode", MODES)
def test_a_filter_returns_every_image_that_passes_it_however_far_away(make, mode):
    fields = lines({f"f{n:04}.jpg": "a red field" for n in range(300)}, datetime="2020-05-01")
    roofs = lines({f"r{n}.jpg": "a grey roof" for n in range(5)}, datetime="2024-05-01T10:00:00Z")
    archive = open_archive(make(fields, roofs).root)
    expected = [f"r{n}.jpg" for n in range(5)]
    for top in (5, 10):
        found = archive.search("red field", since="2024-01-01", top=top, mode=mode)
        assert sorted(images(found)) == expected
    assert archive.search("red field", until="2019-12-31", mode=mode) == ()


def test_a_query_that_names_an_absence_is_asked_as_typed_with_a_hint(make):
    archive = open_archive(make(lines(FIELDS), lines({"h.jpg": "a harbour with ships"})).root)
    notes = archive.answer(Query("a harbour without ships")).notes
    assert any("trsllava query 'a harbour' --not ships" in note for note in notes)
    for query in (
        Query("a harbour", without=("ships",)),
        Query("a harbour that ships left, empty"),
    ):
        assert not any("--not" in note for note in archive.answer(query).notes)


def test_by_words_alone_an_image_that_has_all_of_the_query_answers(make):
    # Long texts and common words keep BM25 low; the limit is measured on longer queries.
    texts = {f"{n:02}.jpg": f"a plain red field with number {n} beside a road" for n in range(50)}
    texts |= {f"p{n}.jpg": f"a pond with number {n} among trees and houses" for n in range(30)}
    archive = open_archive(make(lines(texts)).root)
    answer = archive.answer(Query("pond", mode="lexical", top=50))
    assert [hit.image[0] for hit in answer.hits if not hit.weak] == ["p"] * 30
    narrow = archive.answer(Query("pond", mode="lexical", top=50, min_score=0.5))
    assert [hit.score for hit in narrow.hits] == [hit.score for hit in answer.hits[:30]]
    assert all(hit.weak for hit in archive.answer(Query("zebra", mode="lexical")).hits)


def test_a_query_in_another_script_is_answered_by_its_words_with_a_note(make):
    texts = {f"{n}.jpg": word + " 的航拍图" for n, word in enumerate(("学校", "河流", "港口"))}
    archive = open_archive(make(lines(texts), lines(FIELDS)).root)
    for image, word in (("0.jpg", "学校"), ("1.jpg", "河流"), ("2.jpg", "港口")):
        answer = archive.answer(Query(word))
        assert answer.hits[0].image == image
        assert answer.hits[0].explanation.meaning == 0
        assert any("by its words alone" in note for note in answer.notes)
    notes = archive.answer(Query("学校", mode="dense")).notes
    assert any("--mode lexical" in note for note in notes)


def test_several_things_must_not_be_there(make):
    texts = {
        "a.jpg": "a harbour with ships",
        "b.jpg": "a harbour with cranes",
        "c.jpg": "a harbour",
    }
    archive = open_archive(make(lines(texts), lines(FIELDS)).root)
    both = archive.search("a harbour", without=("ships", "cranes"), top=3)
    assert both[0].image == "c.jpg"
    ships, cranes = (
        {hit.image: hit.score for hit in archive.search("a harbour", without=one, top=53)}
        for one in ("ships", "cranes")
    )
    for hit in both:
        assert hit.score == pytest.approx(min(ships[hit.image], cranes[hit.image]))


def test_damaged_vectors_are_no_answer(make):
    store = make(lines(FIELDS))
    for path in store.root.rglob("*.npy"):
        if "vectors" in path.parts:
            body = bytearray(path.read_bytes())
            body[-400:] = b"\xff" * 400  # of float16: no numbers
            path.write_bytes(bytes(body))
    with pytest.raises(IndexUnusable, match="trsllava verify"):
        open_archive(store.root).search("red field", top=60)


def test_a_query_that_nothing_answers_gives_only_weak_hits(make):
    archive = open_archive(make(lines(FIELDS)).root)
    for query in ("tax invoice from the dentist", "zxqv", "a chess game between friends"):
        for mode in MODES:
            hits = archive.search(query, mode=mode)
            assert hits
            assert all(hit.weak and hit.score < 0.5 for hit in hits), (query, mode, hits[0])
    for mode in MODES:
        assert not archive.search("red field", mode=mode)[0].weak


@pytest.mark.parametrize("mode", MODES)
def test_the_least_score_acts_on_the_score_that_is_shown(make, mode):
    archive = open_archive(make(lines(FIELDS), lines({"x.jpg": "a harbour with ships"})).root)
    scores = [hit.score for hit in archive.search("red field", mode=mode, top=51)]
    assert all(0 <= score <= 1 for score in scores)
    assert scores == sorted(scores, reverse=True)
    limit = scores[25]
    kept = archive.search("red field", mode=mode, top=51, min_score=limit)
    assert len(kept) == sum(score >= limit for score in scores)
    assert archive.search("tax invoice from the dentist", mode=mode, min_score=0.99) == ()


def test_two_long_texts_that_differ_only_at_the_end_are_told_apart(make):
    start = "a wide plain with fields and roads " * 45
    store = make(
        lines({"a.jpg": start + "and a red lighthouse", "b.jpg": start + "and a blue windmill"})
    )
    first, second = open_archive(store.root).search("a blue windmill", mode="dense")
    assert first.image == "b.jpg"
    assert first.score > second.score


def test_new_records_are_announced_until_they_are_indexed_and_then_found_in_every_mode(
    make, encoder
):
    store = make(lines({f"{n}.jpg": "a red field" for n in range(10)}))
    make(lines({"new.jpg": "a unique zeppelin hangar"}), index=False)
    answer = open_archive(store.root).answer(Query("zeppelin hangar"))
    assert any("1 records are not indexed" in note for note in answer.notes)
    assert any("trsllava index" in note for note in answer.notes)
    build_index(store, encoder)
    for mode in MODES:
        answer = open_archive(store.root).answer(Query("zeppelin hangar", mode=mode))
        assert answer.hits[0].image == "new.jpg"
        assert answer.notes == ()


def test_a_removed_image_is_no_hit_even_before_the_index_follows(make):
    store = make(lines({"a.jpg": "a white lighthouse", "b.jpg": "a red field"}))
    remove_images(store, ["a.jpg"])
    for mode in MODES:
        assert images(open_archive(store.root).search("a white lighthouse", mode=mode)) == ["b.jpg"]


def test_another_encoder_is_refused_with_both_fingerprints_and_the_command(make, encoder):
    store = make(lines({"a.jpg": "a red field"}))

    class Other:
        dimension = encoder.dimension
        encode, encode_queries = encoder.encode, encoder.encode_queries

        def identity(self):
            return {"name": "other", "revision": "1"}

    from trsllava.embedding import fingerprint
    from trsllava.index.generation import open_generation
    from trsllava.search.archive import open_searcher

    generation = open_generation(store.layout, "imported")
    with pytest.raises(IndexUnusable) as caught:
        open_searcher(store.view(), generation, Other())
    assert fingerprint(Other()) in str(caught.value)
    assert fingerprint(encoder) in str(caught.value)
    assert "trsllava index" in str(caught.value)


ODD_QUERIES = (
    "T-junction",
    '"airport',
    "car & truck",
    "a (b",
    "C:\\x",
    "NOT",
    "50%",
    "l'église",
    "AND OR",
    "*",
    "{0}",
    "x" * 10_000,
    "field " * 2_000,
    "two\nlines",
    "nul\0inside",
    "lone \ud800 surrogate",
    "the of a",
    "-field",
    "🛰️",
)


@pytest.mark.parametrize("mode", MODES)
def test_any_text_is_a_query_and_none_is_syntax(make, mode):
    archive = open_archive(make(lines(FIELDS)).root)
    for query in ODD_QUERIES:
        assert len(archive.search(query, mode=mode, top=3)) == 3
    for empty in ("", " \n"):
        with pytest.raises(UsageError, match="empty"):
            archive.search(empty, mode=mode)


@pytest.mark.parametrize("kind", ["flat", "ivf"])
@pytest.mark.parametrize("count", [1, 2, 39, 300])
def test_small_archives_give_each_image_once_and_no_other(make, kind, count):
    store = make(lines({f"{n}.jpg": f"a field with {n} trees" for n in range(count)}), kind=kind)
    archive = open_archive(store.root)
    for mode in MODES:
        found = images(archive.search("trees in a field", top=500, mode=mode))
        assert len(found) == len(set(found)) == count
        assert archive.search("trees", where={"no": "such"}, mode=mode) == ()


def test_a_store_without_an_index_says_how_to_make_one_of_pictures_too(make):
    store = make(lines({"a.jpg": "a field"}), index=False)
    with pytest.raises(IndexUnusable, match="trsllava index --store .*--images to search by pict"):
        open_archive(store.root)


def test_an_empty_store_says_so_and_what_to_do(make, tmp_path, encoder):
    store = create_store(tmp_path / "empty")
    with pytest.raises(IndexUnusable, match="no records yet.*trsllava import"):
        build_index(store, encoder)
    with pytest.raises(IndexUnusable, match="no records yet.*trsllava import"):
        open_archive(store.root)


def test_both_kinds_of_index_give_the_same_hits(make, encoder, monkeypatch):
    texts = {
        f"{n}.jpg": f"{kind} number {n}"
        for n, kind in enumerate(["harbour", "forest", "airport", "river", "roof"] * 60)
    }
    store = make(lines(texts), lines({"late.jpg": "a forest"}, datetime="2030-01-01"))
    queries = ("a forest", "planes", "water")

    def answers():
        archive = open_archive(store.root)
        filtered = archive.search("a roof", since="2030")
        return [*(archive.search(query, top=20) for query in queries), filtered]

    exact = answers()
    assert images(exact[-1]) == ["late.jpg"]
    assert build_index(store, encoder, kind="ivf").kind == "ivf"
    assert answers() == exact
    # Few images are scored exactly whatever the kind; now let faiss name the candidates.
    monkeypatch.setattr("trsllava.index.dense.EXACT_ROWS", 0)
    assert answers() == exact


def test_texts_without_words_and_other_scripts_are_searched(make):
    for text in (".", "the"):
        archive = open_archive(
            make(lines({"a.jpg": text, "b.jpg": text}), name=f"s{len(text)}").root
        )
        for mode in MODES:
            assert len(archive.search("red field", mode=mode)) == 2
    words = ("foo", "dog", "baz", "quick god", "quick fox")
    thin = [json.dumps({"image": f"{n}.jpg", "caption": text}) for n, text in enumerate(words)]
    archive = open_archive(make(thin, name="thin").root)
    first, second, third = archive.search("quick", mode="lexical", top=3)
    assert (first.image, second.image) == ("3.jpg", "4.jpg")
    assert first.score == second.score > third.score
    scripts = {"a.jpg": "机场跑道旁边", "b.jpg": "новый стадион", "c.jpg": "a field"}
    archive = open_archive(make(lines(scripts), name="scripts").root)
    for query, image in (("机场", "a.jpg"), ("стадион", "b.jpg"), ("Новый", "b.jpg")):
        first, second, _ = archive.search(query, mode="lexical")
        assert first.image == image
        assert first.score > 0.5 > second.score


def test_a_query_that_the_encoder_cannot_read_is_answered_by_its_words_and_says_so(make):
    texts = ["机场跑道", "港口船舶", "农田", "河上有桥", "停车场有汽车", "沙漠"]
    thin = [json.dumps({"image": f"{n}.jpg", "caption": text}) for n, text in enumerate(texts)]
    archive = open_archive(make(thin).root)
    for query, image in (("机场", "0.jpg"), ("桥", "3.jpg"), ("汽车", "4.jpg")):
        answer = archive.answer(Query(query))
        assert answer.hits[0].image == image
        assert not answer.hits[0].weak
        assert any("words alone" in note for note in answer.notes)


def test_a_store_given_twice_is_searched_once(make):
    root = make(lines({"a.jpg": "a field", "b.jpg": "a lake"})).root
    assert len(trsllava.open(root, str(root)).search("a field", top=9)) == 2


def test_equal_records_tie_and_stand_in_order_of_their_ids(make):
    texts = {f"{n:03}.jpg": "a red field" for n in range(200, 0, -1)}
    archive = open_archive(make(lines(texts)).root)
    for mode in MODES:
        found = archive.search("red field", mode=mode, top=200)
        assert images(found) == sorted(texts)


def test_a_hit_carries_the_text_that_won_where_it_stands_and_an_explanation_that_adds_up(make):
    variants = [
        {"one_sentence": f"a field {n}", "feature": "grass", "caption": "x"} for n in "1234"
    ]
    variants.append({"one_sentence": "b", "feature": "two white ships at a pier", "caption": "c"})
    record = {
        "image": "a.jpg",
        "variants": variants,
        "bbox": [10, 50, 11, 51],
        "datetime": "2024-06-01T10:00:00Z",
    }
    archive = open_archive(make([json.dumps(record)]).root)
    for mode in MODES:
        (hit,) = archive.search("two ships moored at a pier", mode=mode)
        assert (hit.evidence, hit.field, hit.variant) == ("two white ships at a pier", "feature", 5)
        assert hit.bbox == (10, 50, 11, 51)
        assert hit.datetime == "2024-06-01T10:00:00Z"
        parts = hit.explanation
        assert math.isclose(parts.raw, parts.meaning + parts.words, abs_tol=1e-6)
        assert set(parts.matched) == {"two", "ships", "pier"}
        assert (parts.meaning == 0) == (mode == "lexical")
        assert (parts.words == 0) == (mode == "dense")


def test_what_must_not_be_there_lowers_the_images_that_show_it(make):
    texts = {"a.jpg": "a harbour full of ships", "b.jpg": "a harbour basin with empty piers"}
    archive = open_archive(make(lines(texts), lines(FIELDS)).root)
    assert images(archive.search("a harbour", top=2, without="ships"))[0] == "b.jpg"
    plain = {hit.image: hit.score for hit in archive.search("a harbour", top=2)}
    less = {hit.image: hit.score for hit in archive.search("a harbour", top=52, without="ships")}
    assert less["a.jpg"] < 0.5 < plain["a.jpg"]


def test_the_newest_of_those_that_answer_come_first_by_date(make):
    archive = open_archive(
        make(
            lines({"old.jpg": "a red field"}, datetime="2019-01-01"),
            lines({"new.jpg": "a red field"}, datetime="2025-01-01"),
            lines({"none.jpg": "a red field"}),
            lines({"other.jpg": "quantum chess homework"}, datetime="2026-01-01"),
        ).root
    )
    found = images(archive.search("red field", sort="date"))
    assert found == ["new.jpg", "old.jpg", "none.jpg", "other.jpg"]


def test_places_times_and_properties_select_and_nothing_fails_open(make):
    archive = open_archive(
        make(
            lines({"w.jpg": "a field"}, bbox=[-123, 37, -122, 38], properties={"cloud": 10}),
            lines({"d.jpg": "a field"}, bbox=[179, -1, -179, 1], datetime="2024-01-01/2024-12-31"),
            lines({"n.jpg": "a field"}, properties={"sensor": "A b"}),
        ).root
    )

    def found(**filters):
        return sorted(images(archive.search("a field", **filters)))

    assert found(bbox=[-122.5, 37, -121.5, 38]) == ["w.jpg"]
    assert found(bbox=[-180, -5, -179.5, 5]) == ["d.jpg"]
    assert found(bbox=[178, -5, 179.5, 5]) == ["d.jpg"]
    assert found(bbox=[170, -5, -170, 5]) == ["d.jpg"]
    assert found(bbox=[0, -5, 10, 5]) == []
    assert found(since="2024-06-01", until="2024-06-30") == ["d.jpg"]
    assert found(since="2025-06-01") == []
    assert found(where={"cloud": "10"}) == ["w.jpg"]
    assert found(where={"sensor": "A b"}) == ["n.jpg"]
    assert found(where={"sensor": "A b", "cloud": "10"}) == []
    assert found(where={"unknown": "x"}) == []
    assert found() == ["d.jpg", "n.jpg", "w.jpg"]
    with pytest.raises(InputError, match="W,S,E,N"):
        found(bbox=[37, -122.5, 38, -121.5])


def test_several_stores_are_searched_as_one(make):
    one = make(lines({"a.jpg": "a white lighthouse", "b.jpg": "a red field"}), name="one")
    two = make(lines({"a.jpg": "a lighthouse on a cliff", "c.jpg": "a forest"}), name="two")
    hits = trsllava.open(one.root, two.root).search("a lighthouse", top=3)
    assert {(hit.store, hit.image) for hit in hits[:2]} == {
        (str(one.root), "a.jpg"),
        (str(two.root), "a.jpg"),
    }
    assert [hit.rank for hit in hits] == [1, 2, 3]
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_the_same_query_gives_the_same_answer_every_time(make):
    store = make(lines(FIELDS), lines({"x.jpg": "a harbour with ships"}))
    answers = [open_archive(store.root).answer(Query("a field", top=51)).hits for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]


def test_another_processor_is_noticed_by_the_canary(make, encoder):
    store = make(lines({"a.jpg": "a red field"}))
    from trsllava.index.generation import open_generation
    from trsllava.search.archive import open_searcher

    generation = open_generation(store.layout, "imported")
    assert open_searcher(store.view(), generation, encoder).notes == ()
    canary = list(generation.manifest.canary)
    canary[0] += 0.5
    elsewhere = replace(generation, manifest=replace(generation.manifest, canary=tuple(canary)))
    (note,) = open_searcher(store.view(), elsewhere, encoder).notes
    assert "processor" in note
