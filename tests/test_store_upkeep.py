"""What upkeep must get right: counts against a model, remedies that work, what verify finds."""

import json
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stub import StubEncoder, record_line, write_lines

from trsllava.cli import upkeep
from trsllava.errors import IndexUnusable, InputError, NewerFormat, StoreDamaged
from trsllava.index.build import build_index
from trsllava.index.generation import open_generation
from trsllava.index.manifest import make_current
from trsllava.records import Record
from trsllava.search.archive import open_searcher
from trsllava.search.query import Query
from trsllava.store import maintenance, segments
from trsllava.store.files import seal, sha256_of, unseal
from trsllava.store.importing import import_files
from trsllava.store.maintenance import compact, remove_images
from trsllava.store.store import create_store, open_store
from trsllava.upkeep.prune import prune
from trsllava.upkeep.status import status_of
from trsllava.upkeep.verify import verify


@pytest.fixture
def store(tmp_path):
    return create_store(tmp_path / "store")


@pytest.fixture
def give(store, tmp_path):
    """Import records of some images; ``word`` is what they speak of."""

    def give(*images, word="field", lines=(), **options):
        name = "".join(images)[:40] + word
        file = write_lines(
            tmp_path / name, [*(record_line(image, word) for image in images), *lines]
        )
        return import_files(store, [file], update=True, **options)

    return give


def search(store, text="field", **options):
    searcher = open_searcher(store.view(), open_generation(store.layout, "imported"), StubEncoder())
    return searcher.search(Query(text, **options))


def thin_line(image, word):
    return json.dumps({"image": image, "caption": f"{word} of {image}"})


IDS = st.sets(st.integers(0, 11), min_size=1)
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("give"), IDS, st.sampled_from("xyz"), st.booleans()),
        st.tuples(st.just("remove"), IDS),
        st.tuples(st.sampled_from(["compact", "index", "prune"])),
    ),
    max_size=12,
)


def apply(store, home, number, change, model):
    """Change the store and the model, which gives each image its word and whether it is thin."""
    what, *arguments = change
    if what == "give":
        ids, word, thin = arguments
        line = thin_line if thin else record_line
        lines = [line(f"{n}.jpg", word) for n in ids]
        import_files(store, [write_lines(home / f"{number}.jsonl", lines)], update=True)
        model |= {f"{n}.jpg": (word, thin) for n in ids}
    elif what == "remove":
        known = [f"{n}.jpg" for n in arguments[0] if f"{n}.jpg" in model]
        remove_images(store, known)
        for image in known:
            del model[image]
    elif what == "compact":
        compact(store)
    elif what == "prune":
        prune(store)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(CHANGES)
def test_counts_places_and_what_the_index_lacks_agree_with_a_model(
    tmp_path_factory, monkeypatch, changes
):
    # Segments of three records, so that compactions keep full ones and rewrite the rest.
    monkeypatch.setattr(segments, "SEGMENT_RECORDS", 3)
    monkeypatch.setattr(maintenance, "SEGMENT_RECORDS", 3)
    home = tmp_path_factory.mktemp("model")
    store = create_store(home / "store")
    model: dict[str, tuple[str, bool]] = {}
    indexed = None  # the ids in the index whose record has not changed since, and all its ids
    for number, change in enumerate(changes):
        before = dict(model)
        apply(store, home, number, change, model)
        if change[0] == "index" and model:
            build_index(store, StubEncoder())
            indexed = (set(model), set(model))
        elif indexed:
            kept = {i for i in indexed[0] if i in model and model[i] == before[i]}
            indexed = (kept, indexed[1])
        view = open_store(store.root).view()
        assert (view.records, view.thin) == (len(model), sum(t for _, t in model.values()))
        assert [place.image for place in view.places()] == sorted(model)
        assert [view.find(image) for image in sorted(model)] == view.places()
        for record in view:
            word, thin = model[record.image]
            assert (record.is_thin, record.variants[0].caption.split()[0]) == (thin, word)
        if indexed:
            kept, all_ids = indexed
            index = status_of(store)["index"]
            assert index["indexed_records_gone"] == len(all_ids - kept)
            assert index["records_not_indexed"] == len(model.keys() - kept)
            if model:
                answer = search(store, "x", top=50)
                assert {hit.image for hit in answer.hits} == kept
                assert bool(answer.notes) == (kept != model.keys() or kept != all_ids)
    checked = verify(store)
    assert checked.damaged == ()
    prune(store)
    checked = verify(store)
    assert (checked.damaged, checked.notes) == ((), ())


def test_a_prune_after_update_and_compaction_keeps_what_the_index_still_needs(store, give):
    give("a.jpg", "b.jpg", "c.jpg")
    build_index(store, StubEncoder())
    give("b.jpg", word="forest")
    remove_images(store, ["c.jpg"])
    give("d.jpg")
    compact(store)
    assert prune(store)
    answer = search(store)
    assert [hit.image for hit in answer.hits] == ["a.jpg"]
    assert answer.hits[0].evidence.startswith("field")
    assert "2 records are not indexed yet and 2 indexed records are gone" in answer.notes[0]
    assert "run: trsllava index" in answer.notes[0]
    build_index(store, StubEncoder())
    prune(store)
    assert {hit.image for hit in search(store).hits} == {"a.jpg", "b.jpg", "d.jpg"}
    assert len(list(store.layout.records.glob("*/*"))) == 2  # one segment and its sidecar
    assert len(list(store.layout.vectors.glob("*/*"))) == 2
    assert len(list(store.layout.log.glob("*"))) == 1
    assert prune(store) == []
    checked = verify(store)
    assert (checked.damaged, checked.notes) == ((), ())


def test_a_record_that_came_and_went_is_not_missing_from_the_index(store, give):
    give("a.jpg")
    build_index(store, StubEncoder())
    give("b.jpg")
    (note,) = search(store).notes
    assert note.startswith("1 records are not indexed yet; run: trsllava index")
    remove_images(store, ["b.jpg"])
    assert search(store).notes == ()
    index = status_of(store)["index"]
    assert (index["records_not_indexed"], index["indexed_records_gone"]) == (0, 0)


def test_a_removed_image_is_no_hit_before_the_index_is_built_again(store, give):
    give("a.jpg", "b.jpg")
    build_index(store, StubEncoder())
    remove_images(store, ["a.jpg"])
    for mode in ("hybrid", "dense", "lexical"):
        assert [hit.image for hit in search(store, mode=mode).hits] == ["b.jpg"]


def test_an_emptied_store_compacts_to_nothing_and_fills_again(store, give):
    give("a.jpg", "b.jpg")
    remove_images(store, ["a.jpg", "b.jpg"])
    assert compact(store) == (1, 0)
    prune(store)
    assert list(store.view()) == []
    assert verify(store).notes == ()
    with pytest.raises(InputError, match="Nothing was removed"):
        remove_images(store, ["a.jpg"])
    assert give("a.jpg").added == 1


def test_full_segments_that_lost_nothing_are_kept_with_their_vectors(store, give, monkeypatch):
    monkeypatch.setattr(segments, "SEGMENT_RECORDS", 3)
    monkeypatch.setattr(maintenance, "SEGMENT_RECORDS", 3)
    give(*(f"{n}.jpg" for n in range(7)))
    encoder = StubEncoder()
    build_index(store, encoder)
    full = [ref.name for ref in store.view().segments][:2]
    give("8.jpg")
    remove_images(store, ["6.jpg"])
    assert compact(store) == (4, 3)
    assert [ref.name for ref in store.view().segments][:2] == full
    encoder.encoded.clear()
    build_index(store, encoder)
    assert len(encoder.encoded) == 15
    assert all("8.jpg" in text for text in encoder.encoded)


@pytest.fixture
def indexed(store, give):
    give("a.jpg", "b.jpg", lines=["no json"], skip_bad=True)
    give("c.jpg")
    build_index(store, StubEncoder())
    return store


def test_every_damage_to_an_index_is_repaired_by_building_it_again(indexed, caplog):
    sound = [hit.image for hit in search(indexed).hits]
    files = [p for p in sorted(indexed.layout.index.rglob("*")) if p.is_file() and p.name != "lock"]
    names = [path.relative_to(indexed.layout.index / "000001").as_posix() for path in files[:-1]]
    assert "manifest.json" in names
    assert files[-1].name == "current-imported"
    for name in [*names, "../current-imported"]:
        for damage in ("cut", "flipped", "gone"):
            folder = indexed.layout.index / build_index(indexed, StubEncoder()).name
            path = folder / name
            data = path.read_bytes()
            if damage == "gone":
                path.unlink()
            else:
                path.write_bytes(data[:-1] if damage == "cut" else bytes([data[0] ^ 1]) + data[1:])
            caplog.clear()
            assert build_index(indexed, StubEncoder()).name != folder.name, (name, damage)
            assert ("building anew" in caplog.text) == (
                (name, damage) != ("../current-imported", "gone")
            )
            assert [hit.image for hit in search(indexed).hits] == sound
    prune(indexed)
    checked = verify(indexed)
    assert (checked.damaged, checked.notes) == ((), ())


def test_the_index_command_asks_for_the_encoder_when_the_index_cannot_name_it(indexed):
    (indexed.layout.index / "current-imported").write_bytes(b"{}")
    with pytest.raises(StoreDamaged, match="trsllava index --embedder"):
        upkeep.index(indexed.root)


def test_vectors_that_are_lost_are_found_missing_and_computed_again(indexed):
    shutil.rmtree(indexed.layout.vectors)
    assert len(verify(indexed).damaged) == 2
    with pytest.raises(StoreDamaged, match="run: trsllava index"):
        search(indexed)
    encoder = StubEncoder()
    build_index(indexed, encoder)
    assert len(encoder.encoded) == 3 * 15
    assert len(search(indexed).hits) == 3
    assert verify(indexed).damaged == ()


def test_vectors_other_than_those_the_index_was_built_from_are_found(indexed):
    path = min(indexed.layout.vectors.glob("*/*.npy"))
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    manifest = unseal(path.with_suffix(".json"), 1)
    path.with_suffix(".json").write_bytes(seal({**manifest, "sha256": sha256_of(path)}))
    (found,) = verify(indexed).damaged
    assert path.name in found
    assert "run: trsllava index" in found
    build_index(indexed, StubEncoder())
    assert verify(indexed).damaged == ()


def test_an_index_of_records_that_the_log_has_lost_does_not_answer(indexed):
    newest = indexed.layout.commit(indexed.view().number)
    newest.unlink()
    assert any("lacks commit 2" in line for line in verify(indexed).damaged)
    with pytest.raises(IndexUnusable, match="run: trsllava index"):
        search(indexed)
    assert status_of(indexed)["index"]["up_to_date"] is False
    build_index(indexed, StubEncoder())
    assert {hit.image for hit in search(indexed).hits} == {"a.jpg", "b.jpg"}


def test_an_index_of_another_history_of_the_same_length_does_not_answer(indexed, give):
    indexed.layout.commit(2).unlink()
    give("other.jpg")
    with pytest.raises(IndexUnusable, match="no longer knows"):
        search(indexed)
    assert verify(indexed).damaged


@pytest.mark.parametrize("where", ["log", "records", "vectors", "bad-lines", "index"])
def test_a_cut_file_is_found_wherever_it_lies(indexed, where):
    paths = [p for p in (indexed.root / where).rglob("*") if p.is_file() and p.name != "lock"]
    assert paths
    for path in paths:
        data = path.read_bytes()
        path.write_bytes(data[:-1])
        assert verify(indexed).damaged, path
        path.write_bytes(data)
    assert verify(indexed).damaged == ()


def test_every_kind_of_file_refuses_a_newer_version_clearly(indexed):
    patterns = {
        "store.json": lambda: open_store(indexed.root),
        "log/*.json": indexed.view,
        "records/*/*.offsets.json": lambda: indexed.view().places(),
        "index/current-imported": lambda: open_generation(indexed.layout, "imported"),
        "vectors/*/*.json": lambda: build_index(indexed, StubEncoder()),
    }
    for pattern, read in patterns.items():
        for path in indexed.root.glob(pattern):
            data = path.read_bytes()
            path.write_bytes(seal({**unseal(path, 1), "version": 999}))
            with pytest.raises(NewerFormat, match=r"version 999.*upgrade"):
                read()
            assert verify(indexed).damaged
            path.write_bytes(data)
    folder = indexed.layout.index / "000001"
    newer = seal({**unseal(folder / "manifest.json", 1), "version": 999})
    (folder / "manifest.json").write_bytes(newer)
    make_current(indexed.layout, folder, "imported")
    for read in (lambda: open_generation(indexed.layout, "imported"), patterns["vectors/*/*.json"]):
        with pytest.raises(NewerFormat, match="upgrade"):
            read()
    assert any("upgrade" in line for line in verify(indexed).damaged)
    assert (folder / "manifest.json").read_bytes() == newer


def test_bad_lines_of_no_commit_are_left_overs_that_prune_takes(indexed):
    (named,) = indexed.layout.bad_lines.iterdir()
    stray = named.with_name("00000099.jsonl")
    stray.write_bytes(named.read_bytes())
    checked = verify(indexed)
    assert checked.damaged == ()
    assert any(stray.name in note and "prune" in note for note in checked.notes)
    assert prune(indexed) == [stray]
    assert named.exists()


def test_an_index_that_was_never_made_current_is_noted(indexed):
    (indexed.layout.index / "current-imported").unlink()
    checked = verify(indexed)
    assert checked.damaged == ()
    assert any("does not answer yet" in note for note in checked.notes)


def test_a_record_line_in_another_place_is_never_shown_as_the_wrong_image(indexed):
    view = indexed.view()
    place = view.find("a.jpg")
    path = indexed.layout.segment(view.segments[place.segment])
    data = path.read_bytes()
    path.write_bytes(data.replace(b"a.jpg", b"z.jpg"))
    with pytest.raises(StoreDamaged, match="z.jpg"):
        view.record(place)
    path.write_bytes(data)
    assert isinstance(view.record(place), Record)
