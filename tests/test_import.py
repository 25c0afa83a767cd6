"""Importing: torn journals, lines set aside, names that no file can have, and neighbours."""

import json
import logging
import os
import threading

import pytest
from jobs_kit import Colours, balance, caption, paint_archive
from stub import StubEncoder, record_line, write_lines
from typer.testing import CliRunner

from trsllava.cli.app import app
from trsllava.errors import ConflictError, InputError
from trsllava.index.build import build_index
from trsllava.index.generation import open_generation
from trsllava.jobs.run import Limits
from trsllava.records import BBox, Metadata
from trsllava.store import importing, runs
from trsllava.store.importing import import_files
from trsllava.store.journal import Journal
from trsllava.store.maintenance import compact, remove_images
from trsllava.store.store import create_store, open_store
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


def answer(image, reason="stop", status=200, word="field"):
    """A line of batch output that holds a full record."""
    variants = [
        {
            "one_sentence": f"A {word} with {n} trees, seen for {image}.",
            "feature": f"one {word}, {n} trees",
            "caption": f"The {word} holds {n} trees and a path that leads past them.",
        }
        for n in range(1, 6)
    ]
    message = {"content": json.dumps({"variants": variants})}
    body = {"model": "vlm-1", "choices": [{"finish_reason": reason, "message": message}]}
    return json.dumps(
        {"custom_id": image, "response": {"status_code": status, "body": body}, "error": None}
    )


@pytest.fixture
def waiting(tmp_path):
    """A store that took ten images in, none of which has a record."""
    caption(
        tmp_path / "store", paint_archive(tmp_path / "in", 10), Colours(), limits=Limits(images=0)
    )
    store = open_store(tmp_path / "store")
    assert balance(store.view()) == (10, 0, 0, 10)
    return store


def names(*numbers):
    return [f"{number:04d}.png" for number in numbers]


def outcome(store):
    """The images by what became of them."""
    view = store.view()
    pending = [row["image"] for lot in view.lots if lot.manifest is None for row in view.rows(lot)]
    return [record.image for record in view], sorted(view.quarantined), sorted(pending)


def half_failed(path):
    """Answers out of order; 3 and 8 lost, 5 given twice, 1 and 6 failed, one of nobody's."""
    lines = [answer(image) for image in names(7, 2, 9, 5, 0, 4)]
    lines.insert(1, answer("0006.png", reason="length"))
    lines.insert(3, answer("elsewhere/0001.png"))
    lines.insert(5, answer("0001.png", status=500))
    return write_lines(path, [*lines, answer("0005.png")])


def test_a_batch_that_half_failed_gives_each_image_its_own_and_names_the_rest(
    waiting, tmp_path, caplog
):
    result = import_files(waiting, [half_failed(tmp_path / "out.jsonl")])
    assert (result.added, result.quarantined, result.bad_lines) == (6, 2, 1)
    assert outcome(waiting) == (names(0, 2, 4, 5, 7, 9), names(1, 6), names(3, 8))
    assert balance(waiting.view()) == (10, 6, 2, 2)
    for record in waiting.view():
        assert record.variants[4].one_sentence == f"A field with 5 trees, seen for {record.image}."
        assert record.model == "vlm-1"
    reasons = waiting.view().quarantined
    assert "out.jsonl, line 6: the request failed with status '500'" in reasons["0001.png"]
    assert "out.jsonl, line 2: cut: " in reasons["0006.png"]
    assert "line 4: unknown custom_id 'elsewhere/0001.png': no such image was taken in" in (
        caplog.text
    )
    assert "a line that repeats another one of the same image was taken once" in caplog.text
    (kept,) = waiting.layout.bad_lines.iterdir()
    assert [line.split(b'"line":')[1][0:1] for line in kept.read_bytes().splitlines()] == [
        b"2", b"4", b"6"
    ]  # fmt: skip
    status = status_of(waiting)
    assert (status["images"], status["bad_lines"]) == (10, 1)
    assert verify(waiting).damaged == ()


def test_the_same_batch_again_changes_nothing_even_after_a_compaction(waiting, tmp_path):
    file = half_failed(tmp_path / "out.jsonl")
    import_files(waiting, [file])
    for _ in range(2):
        before = content(waiting)
        again = import_files(waiting, [file])
        assert (again.added, again.updated, again.unchanged) == (0, 0, 6)
        assert (again.quarantined, again.bad_lines) == (2, 1)
        assert content(waiting) == before
        compact(waiting)
        assert balance(waiting.view()) == (10, 6, 2, 2)


def test_the_rest_of_a_batch_comes_later_and_frees_what_had_failed(waiting, tmp_path):
    import_files(waiting, [half_failed(tmp_path / "1.jsonl")])
    rest = write_lines(tmp_path / "2.jsonl", [answer(image) for image in names(8, 6, 3, 1)])
    result = import_files(waiting, [rest])
    assert (result.added, result.quarantined, result.bad_lines) == (4, 0, 0)
    assert outcome(waiting) == (names(*range(10)), [], [])


def test_the_command_names_the_unknown_answer_and_exits_with_3(waiting, tmp_path):
    file = half_failed(tmp_path / "out.jsonl")
    result = CliRunner().invoke(app, ["import", str(file), "--store", str(waiting.root)])
    assert result.exit_code == 3
    assert result.stdout == "6 records added, 0 updated, 0 unchanged\n"
    assert "1 bad lines and 2 images set aside" in result.stderr


def test_a_file_of_errors_alone_is_no_success(waiting, tmp_path):
    lines = [answer(image, status=0) for image in names(3, 4)]
    result = import_files(waiting, [write_lines(tmp_path / "errors.jsonl", lines)])
    assert (result.added, result.quarantined, result.bad_lines) == (0, 2, 0)
    assert outcome(waiting) == ([], names(3, 4), names(0, 1, 2, 5, 6, 7, 8, 9))


def test_a_failed_answer_does_not_touch_a_record_that_is_there(waiting, tmp_path, caplog):
    import_files(waiting, [write_lines(tmp_path / "1.jsonl", [answer("0003.png")])])
    lines = [answer("0003.png", status=500), answer("0004.png", status=500), answer("0004.png")]
    result = import_files(waiting, [write_lines(tmp_path / "2.jsonl", lines)])
    assert (result.added, result.quarantined, result.bad_lines) == (1, 0, 0)
    assert outcome(waiting)[:2] == (names(3, 4), [])
    assert "an answer failed about an image that has a record (2 times)" in caplog.text


def test_an_unknown_image_that_failed_is_reported_and_not_quarantined(waiting, tmp_path, caplog):
    lines = [answer(f"{n}.jpg", status=500) for n in range(9)]
    result = import_files(waiting, [write_lines(tmp_path / "1.jsonl", lines)])
    assert (result.added, result.quarantined, result.bad_lines) == (0, 0, 9)
    assert balance(waiting.view()) == (10, 0, 0, 10)
    assert caplog.text.count("unknown custom_id") == 5
    assert "4 more lines about unknown images" in caplog.text


def test_a_removed_image_does_not_come_back_with_a_late_answer(waiting, tmp_path):
    file = write_lines(tmp_path / "1.jsonl", [answer("0003.png")])
    import_files(waiting, [file])
    remove_images(waiting, ["0003.png"])
    assert import_files(waiting, [file]).bad_lines == 1
    assert balance(waiting.view()) == (9, 0, 0, 9)


def test_records_that_are_no_answers_need_no_intake(waiting, tmp_path):
    file = write_lines(tmp_path / "1.jsonl", [record_line("elsewhere.png"), answer("0003.png")])
    assert import_files(waiting, [file]).added == 2
    assert balance(waiting.view()) == (11, 2, 0, 9)


def test_a_store_that_took_nothing_in_accepts_every_answer(store, tmp_path):
    result = import_files(store, [half_failed(tmp_path / "out.jsonl")])
    assert (result.added, result.quarantined, result.bad_lines) == (7, 2, 0)
    assert outcome(store) == ([*names(0, 2, 4, 5, 7, 9), "elsewhere/0001.png"], names(1, 6), [])


def test_an_answer_gets_the_place_and_time_that_its_image_was_taken_in_with(tmp_path):
    archive = paint_archive(tmp_path / "in", 4)
    known = {
        f"{n:04d}.png": Metadata(BBox(n, 40, n + 1, 41), f"2024-05-0{n + 1}", {"n": n})
        for n in range(3)
    }
    caption(tmp_path / "store", archive, Colours(), limits=Limits(images=0), metadata=known)
    store = open_store(tmp_path / "store")
    file = write_lines(tmp_path / "1.jsonl", [answer(image) for image in names(2, 3, 0, 1)])
    assert import_files(store, [file]).added == 4
    found = {record.image: record.metadata for record in store.view()}
    assert found == {**known, "0003.png": Metadata()}
    assert import_files(store, [file]).unchanged == 4


def test_a_killed_import_of_a_batch_is_finished_like_an_undisturbed_one(
    waiting, tmp_path, monkeypatch
):
    file = half_failed(tmp_path / "out.jsonl")
    monkeypatch.setattr(runs, "RUN_BYTES", 3000)
    path = waiting.layout.journals / f"import-{importing._key([file], None, False)}.journal"
    with Journal(path) as journal:
        progress = runs.read_into(journal, [file], None, False)
    assert len(progress.runs) > 1
    result = import_files(waiting, [file])
    assert (result.added, result.quarantined, result.bad_lines) == (6, 2, 1)
    assert outcome(waiting) == (names(0, 2, 4, 5, 7, 9), names(1, 6), names(3, 8))
