"""Importing: torn journals, lines set aside, names that no file can have, and neighbours."""

import json
import logging
import os
import threading

import pytest
from stub import StubEncoder, record_line, write_lines

from trsllava.errors import ConflictError, InputError
from trsllava.index.build import build_index
from trsllava.index.generation import open_generation
from trsllava.store import importing, runs
from trsllava.store.importing import import_files
from trsllava.store.journal import Journal
from trsllava.store.maintenance import compact, remove_images
from trsllava.store.store import create_store
from trsllava.upkeep.status import status_of
from trsllava.upkeep.verify import verify

BAD = json.dumps({"image": "bad.jpg", "variants": "none"})


@pytest.fixture
def store(tmp_path):
    return create_store(tmp_path / "store")


def content(store):
    """The bytes of the log and of all segments."""
    paths = [*store.layout.log.rglob("*"), *store.layout.records.rglob("*.jsonl")]
    return {path.name: path.read_bytes() for path in paths}


def test_an_import_whose_journal_tore_anywhere_in_its_last_record_is_finished_right(
    tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(runs, "RUN_BYTES", 800)
    file = write_lines(
        tmp_path / "r.jsonl",
        [*(json.dumps({"image": n, "caption": "a field"}) for n in "31425"), "no json"],
    )
    undisturbed = create_store(tmp_path / "undisturbed")
    import_files(undisturbed, [file], skip_bad=True)
    store = create_store(tmp_path / "store")
    name = f"import-{importing._key([file], None, True)}.journal"
    with Journal(tmp_path / name) as journal:
        progress = runs.read_into(journal, [file], None, True)
    assert len(progress.runs) == 3
    whole = (tmp_path / name).read_bytes()
    for record in whole.splitlines(keepends=True)[-2:]:  # the mark of the last run, and a line
        start = whole.rindex(record)
        for cut in range(start, start + len(record)):
            store.layout.journals.mkdir(exist_ok=True)
            (store.layout.journals / name).write_bytes(whole[:cut])
            found = verify(store)
            assert found.damaged == ()
            assert any("torn" in note for note in found.notes) == (cut > start)
            caplog.clear()
            assert import_files(store, [file], skip_bad=True).added == 5
            assert ("torn tail" in caplog.text) == (cut > start)
            assert "going on with an import that was stopped (2 runs read)" in caplog.text
            assert content(store) == content(undisturbed)
            assert verify(store).notes == ()
            for path in store.layout.log.iterdir():
                path.unlink()  # the store is empty again
            for path in store.layout.bad_lines.iterdir():
                path.unlink()


def test_bytes_changed_inside_a_journal_cost_time_and_no_record(tmp_path, store, monkeypatch):
    monkeypatch.setattr(runs, "RUN_BYTES", 2_000)
    file = write_lines(tmp_path / "r.jsonl", [record_line(f"{n}.jpg") for n in range(6)])
    path = store.layout.journals / f"import-{importing._key([file], None, False)}.journal"
    with Journal(path) as journal:
        runs.read_into(journal, [file], None, False)
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(bytes(whole))
    assert verify(store).damaged
    assert import_files(store, [file]).added == 6
    assert [record.image for record in store.view()] == [f"{n}.jpg" for n in range(6)]
    assert verify(store).damaged == ()


def test_a_file_that_changed_does_not_go_on_from_the_journal_of_what_it_was(tmp_path, store):
    file = write_lines(tmp_path / "r.jsonl", [record_line("old.jpg")])
    path = store.layout.journals / f"import-{importing._key([file], None, False)}.journal"
    with Journal(path) as journal:
        runs.read_into(journal, [file], None, False)
    write_lines(file, [record_line("new.jpg"), record_line("newer.jpg")])
    assert import_files(store, [file]).added == 2
    assert [record.image for record in store.view()] == ["new.jpg", "newer.jpg"]
    assert not list(store.layout.journals.iterdir())


def test_a_bad_line_refuses_the_import_names_the_line_and_changes_nothing(tmp_path, store):
    import_files(store, [write_lines(tmp_path / "1", [record_line("a.jpg")])])
    before = content(store)
    file = write_lines(tmp_path / "2", [record_line("b.jpg"), BAD])
    with pytest.raises(InputError, match=r"2, line 2: .*--skip-bad"):
        import_files(store, [file])
    assert content(store) == before
    assert verify(store).notes == ()


def test_the_same_bad_lines_again_are_counted_once(tmp_path, store):
    file = write_lines(tmp_path / "1", [record_line("a.jpg"), "no json", BAD])
    first = import_files(store, [file], skip_bad=True)
    before = content(store)
    again = import_files(store, [file], skip_bad=True)
    assert (first.quarantined, first.bad_lines) == (again.quarantined, again.bad_lines) == (1, 1)
    assert content(store) == before
    compact(store)
    import_files(store, [file], skip_bad=True)
    status = status_of(store)
    assert (status["records"], status["quarantined"], status["bad_lines"]) == (1, 1, 1)
    assert status["images"] == 2


def test_a_bad_line_whose_image_has_a_record_is_a_bad_line_and_no_second_image(tmp_path, store):
    lines = [record_line("bad.jpg"), BAD]
    result = import_files(store, [write_lines(tmp_path / "1", lines)], skip_bad=True)
    assert (result.added, result.quarantined, result.bad_lines) == (1, 0, 1)
    assert status_of(store)["images"] == 1


def test_an_image_taken_out_of_quarantine_comes_back_with_its_bad_line(tmp_path, store):
    file = write_lines(tmp_path / "1", [record_line("a.jpg"), BAD])
    import_files(store, [file], skip_bad=True)
    assert remove_images(store, ["bad.jpg"]) == 1
    assert status_of(store)["images"] == 1
    assert import_files(store, [file], skip_bad=True).quarantined == 1
    assert list(store.view().quarantined) == ["bad.jpg"]
    assert status_of(store)["images"] == 2


def test_an_image_stays_out_of_quarantine_when_the_record_that_freed_it_is_removed(tmp_path, store):
    import_files(store, [write_lines(tmp_path / "1", [record_line("a.jpg"), BAD])], skip_bad=True)
    import_files(store, [write_lines(tmp_path / "2", [record_line("bad.jpg")])])
    compact(store)
    remove_images(store, ["bad.jpg"])
    assert store.view().quarantined == {}
    assert status_of(store)["images"] == 1


def test_two_spellings_with_different_contents_in_one_import_are_a_conflict(tmp_path, store):
    lines = [record_line("caf\u00e9.jpg"), record_line("cafe\u0301.jpg", "forest")]
    with pytest.raises(ConflictError, match=r"line 1.*line 2"):
        import_files(store, [write_lines(tmp_path / "1", lines)])
    assert store.view().records == 0


def test_a_name_too_long_for_any_file_is_a_missing_picture_and_no_crash(tmp_path, store):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    (pictures / "a.jpg").write_bytes(b"x")
    lines = [record_line("a.jpg"), record_line("x" * 300 + ".jpg")]
    result = import_files(store, [write_lines(tmp_path / "1", lines)], images=pictures)
    assert (result.added, result.without_picture) == (2, 1)


def test_an_import_beside_an_index_build_harms_neither(tmp_path, store, monkeypatch):
    import_files(store, [write_lines(tmp_path / "1", [record_line("a.jpg")])])
    real, busy = os.fsync, threading.local()
    imported = []

    def fsync(handle):
        if not getattr(busy, "importing", False):  # at every step of the build, one import
            busy.importing = True
            name = f"b{len(imported)}.jpg"
            file = write_lines(tmp_path / name, [record_line(name)])
            imported.append(import_files(store, [file]).added)
            busy.importing = False
        real(handle)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fsync)
        build_index(store, StubEncoder())
    assert len(imported) > 10
    assert open_generation(store.layout, "imported").images == ("a.jpg",)
    assert store.view().records == 1 + len(imported)
    assert status_of(store)["index"]["records_not_indexed"] == len(imported)
    checked = verify(store)
    assert (checked.damaged, checked.notes) == ((), ())


def test_two_first_commands_at_once_make_one_store(tmp_path, caplog):
    """A writer sweeps what killed ones left, but never what one at work has under way."""
    caplog.set_level(logging.ERROR)
    for number in range(8):
        root = tmp_path / str(number)
        barrier = threading.Barrier(4)
        failures = []

        def start(name, root=root, barrier=barrier, failures=failures):
            file = write_lines(tmp_path / f"{root.name}{name}", [record_line(f"{name}.jpg")])
            barrier.wait()
            try:
                import_files(create_store(root), [file])
            except Exception as error:  # noqa: BLE001
                failures.append(error)

        threads = [threading.Thread(target=start, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert create_store(root).view().records == 4
