"""The store: what it holds after imports, updates, removals and compactions."""

import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from stub import StubEncoder, record_line, write_lines

from trsllava.errors import ConflictError, InputError, NewerFormat, StoreError
from trsllava.images.locating import image_path
from trsllava.index.build import build_index
from trsllava.index.generation import open_generation
from trsllava.search.archive import open_searcher
from trsllava.search.query import Query
from trsllava.store.files import seal, unseal
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
    """Import lines; returns the result."""
    number = itertools.count()

    def give(*lines, **options):
        file = write_lines(tmp_path / f"{next(number)}.jsonl", lines)
        return import_files(store, [file], **options)

    return give


def log_of(store):
    return {path.name: path.read_bytes() for path in store.layout.log.glob("*")}


def segments_of(store):
    return sorted(store.layout.segment(ref).read_bytes() for ref in store.view().segments)


def test_an_image_with_another_record_is_a_conflict_that_changes_nothing(store, give):
    give(record_line("a.jpg"), record_line("b.jpg"))
    before = log_of(store)
    with pytest.raises(ConflictError, match="b.jpg.*--update"):
        give(record_line("0.jpg"), record_line("b.jpg", "forest"))
    assert log_of(store) == before
    assert not list(store.layout.journals.glob("*"))
    result = give(record_line("0.jpg"), record_line("b.jpg", "forest"), update=True)
    assert (result.added, result.updated, result.unchanged) == (1, 1, 0)
    view = store.view()
    assert [record.image for record in view] == ["0.jpg", "a.jpg", "b.jpg"]
    assert view.record(view.find("b.jpg")).variants[0].caption.startswith("forest")


def test_the_same_import_again_changes_nothing(store, give):
    lines = [record_line(f"{n}.jpg") for n in range(5)]
    give(*lines)
    before = log_of(store)
    result = give(*lines)
    assert (result.added, result.unchanged) == (0, 5)
    assert log_of(store) == before


def test_removal_needs_known_images_and_changes_all_or_nothing(store, give):
    give(record_line("a.jpg"), record_line("b.jpg"))
    before = log_of(store)
    with pytest.raises(InputError, match="c.jpg"):
        remove_images(store, ["a.jpg", "c.jpg"])
    assert log_of(store) == before
    assert remove_images(store, ["a.jpg", "a.jpg"]) == 1
    assert store.view().find("a.jpg") is None
    assert give(record_line("a.jpg")).added == 1
    assert [record.image for record in store.view()] == ["a.jpg", "b.jpg"]


def test_thin_records_are_counted_through_every_change(store, give):
    thin = json.dumps({"image": "t.jpg", "caption": "a field"})
    give(thin, record_line("a.jpg"))
    assert store.view().thin == 1
    give(record_line("t.jpg"), update=True)
    assert store.view().thin == 0
    give(thin, update=True)
    assert store.view().thin == 1
    compact(store)
    assert store.view().thin == 1
    remove_images(store, ["t.jpg"])
    assert (store.view().thin, store.view().records) == (0, 1)


def test_images_are_records_plus_quarantined_and_a_later_record_frees_an_image(store, give):
    bad = json.dumps({"image": "b.jpg", "variants": "none"})
    give(record_line("a.jpg"), bad, "no json", skip_bad=True)
    status = status_of(store)
    assert status["images"] == status["records"] + status["quarantined"] + status["pending"] == 2
    assert (status["quarantined"], status["bad_lines"]) == (1, 1)
    (reason,) = store.view().quarantined.values()
    assert "line 2" in reason
    (kept,) = store.layout.bad_lines.glob("*")
    assert kept.read_text().count("\n") == 2
    give(record_line("b.jpg"))
    status = status_of(store)
    assert (status["images"], status["records"], status["quarantined"]) == (2, 2, 0)


def test_records_in_any_order_of_lines_and_files_give_the_same_bytes(tmp_path):
    lines = [record_line(f"{n:03}.jpg") for n in range(60)]
    flat = [json.dumps({"image": "f.jpg", "caption": text}) for text in ("one", "two", "three")]
    stores = []
    for name, order in (("a", lines), ("b", lines[::-1])):
        one = write_lines(tmp_path / f"{name}1.jsonl", [flat[0], *order[:20], flat[1]])
        two = write_lines(tmp_path / f"{name}2.jsonl", [*order[20:], flat[2]])
        store = create_store(tmp_path / name)
        import_files(store, [one, two])
        stores.append(segments_of(store))
    assert stores[0] == stores[1]
    assert sum(data.count(b"\n") - 1 for data in stores[0]) == 61


def test_two_spellings_of_one_name_are_one_image(store, give):
    composed, decomposed = "caf\u00e9.jpg", "cafe\u0301.jpg"
    line = record_line(composed)
    give(line, line.replace(json.dumps(composed), json.dumps(decomposed)))
    assert [record.image for record in store.view()] == [composed]
    with pytest.raises(ConflictError):
        give(record_line(decomposed, "forest"))


@pytest.mark.parametrize("name", ["../a.jpg", "/etc/a.jpg", "C:\\a.jpg", "a/../b", "a\0b", " "])
def test_ids_that_leave_their_folder_are_refused(store, give, name):
    with pytest.raises(InputError, match="line 1"):
        give(json.dumps({"image": name, "caption": "a field"}))
    assert store.view().records == 0


def test_a_picture_is_found_in_its_folder_and_never_through_a_link_that_leads_out(tmp_path):
    inside, outside = tmp_path / "pictures", tmp_path / "secret.jpg"
    inside.mkdir()
    outside.write_bytes(b"x")
    (inside / "a.jpg").write_bytes(b"x")
    (inside / "link.jpg").symlink_to(outside)
    assert image_path("a.jpg", [tmp_path / "nowhere", inside]) == inside / "a.jpg"
    assert image_path("link.jpg", [inside]) is None
    assert image_path("missing.jpg", [inside]) is None


@pytest.mark.parametrize("which", ["store.json", "log/00000001.json", "index/current-imported"])
def test_a_newer_format_is_refused_clearly(store, give, which):
    give(record_line("a.jpg"))
    build_index(store, StubEncoder())
    path = store.root / which
    path.write_bytes(seal({**unseal(path, 1), "version": 999}))

    def read():
        open_generation(open_store(store.root).layout, "imported")
        store.view()

    with pytest.raises(NewerFormat, match="upgrade"):
        read()


def test_a_folder_with_other_things_is_no_store(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(StoreError, match="notes.txt"):
        create_store(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


# Prune must keep what an index older than the compaction still needs.
AFTER_A_COMPACTION_THE_INDEX_DOES_NOT_KNOW = [
    ("give", {0}, "y"),
    ("index",),
    ("give", {0}, "x"),
    ("compact",),
    ("give", {1}, "x"),
    ("prune",),
    ("prune",),
    ("index",),
    ("compact",),
    ("prune",),
]
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("give"), st.sets(st.integers(0, 9), min_size=1), st.sampled_from("xyz")),
        st.tuples(st.just("remove"), st.sets(st.integers(0, 9), min_size=1)),
        st.tuples(st.just("compact")),
        st.tuples(st.just("index")),
        st.tuples(st.just("prune")),
    ),
    max_size=12,
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(CHANGES)
@example(AFTER_A_COMPACTION_THE_INDEX_DOES_NOT_KNOW)
def test_the_store_equals_a_plain_dictionary_whatever_is_done(tmp_path_factory, changes):
    home = tmp_path_factory.mktemp("model")
    store = create_store(home / "store")
    model = {}
    encoder = StubEncoder()
    indexed = False
    for number, (what, *arguments) in enumerate(changes):
        if what == "give":
            ids, word = arguments
            lines = [record_line(f"{n}.jpg", word) for n in sorted(ids)]
            file = write_lines(home / f"{number}.jsonl", lines)
            import_files(store, [file], update=True)
            model |= {f"{n}.jpg": word for n in ids}
        elif what == "remove":
            known = [f"{n}.jpg" for n in arguments[0] if f"{n}.jpg" in model]
            if known:
                remove_images(store, known)
                for image in known:
                    del model[image]
        elif what == "index" and model:
            build_index(store, encoder)
            indexed = True
        elif what == "compact":
            compact(store)
        elif what == "prune":
            prune(store)
        view = store.view()
        found = {record.image: record.variants[0].caption.split()[0] for record in view}
        assert found == model
        assert list(found) == sorted(found)
        assert view.records == len(model)
        for image in (f"{n}.jpg" for n in range(10)):
            assert (view.find(image) is not None) == (image in model)
        if indexed:
            searcher = open_searcher(view, open_generation(store.layout, "imported"), encoder)
            hits = searcher.search(Query("x", top=20)).hits
            assert {hit.image for hit in hits} <= set(model)
            for hit in hits:
                assert hit.evidence.split()[0] == model[hit.image]
    assert verify(store).damaged == ()


def test_indexing_again_encodes_only_what_is_new_and_equals_a_fresh_index(tmp_path):
    lines = [record_line(f"{n}.jpg", word) for n, word in enumerate("abcdefgh")]
    file, more = (
        write_lines(tmp_path / n, part) for n, part in (("1", lines[:6]), ("2", lines[6:]))
    )
    grown, encoder = create_store(tmp_path / "grown"), StubEncoder()
    import_files(grown, [file])
    first = build_index(grown, encoder)
    assert len(encoder.encoded) == 6 * 15
    assert build_index(grown, encoder) == first
    import_files(grown, [more])
    assert build_index(grown, encoder).name != first.name
    assert len(encoder.encoded) == 8 * 15
    fresh = create_store(tmp_path / "fresh")
    import_files(fresh, [file, more])
    build_index(fresh, StubEncoder())
    answers = [
        open_searcher(s.view(), open_generation(s.layout, "imported"), encoder)
        .search(Query("c field"))
        .hits
        for s in (grown, fresh)
    ]
    grown_hits, fresh_hits = answers
    assert [(h.image, h.evidence) for h in grown_hits] == [
        (h.image, h.evidence) for h in fresh_hits
    ]
    # One processor core rounds sums otherwise than several do.
    assert [h.score for h in grown_hits] == pytest.approx([h.score for h in fresh_hits], abs=1e-6)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_an_import_needs_no_more_memory_for_more_records(tmp_path):
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from trsllava.store.importing import import_files\n"
        "from trsllava.store import runs\n"
        "from trsllava.store.store import create_store\n"
        "runs.RUN_BYTES = 4 << 20\n"
        "import_files(create_store(sys.argv[2]), [Path(sys.argv[1])])\n"
        "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
    )
    peaks = []
    for count in (5_000, 50_000):
        file = write_lines(
            tmp_path / f"{count}.jsonl", (record_line(f"{n}.jpg") for n in range(count))
        )
        command = [sys.executable, "-c", script, str(file), str(tmp_path / f"s{count}")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout) * 1024)
    size = file.stat().st_size
    assert peaks[1] - peaks[0] < size / 5, (peaks, size)
