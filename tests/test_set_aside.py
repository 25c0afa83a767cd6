"""Records that an audit takes out of search: kept, counted, and on their way back if wanted."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from jobs_kit import Colours, balance, caption, paint_archive, published, sentence
from stub import StubEncoder, record_line, write_lines
from typer.testing import CliRunner

from trsllava.audit.suspicions import joined
from trsllava.cli.app import app
from trsllava.errors import InputError
from trsllava.index.build import build_index
from trsllava.index.generation import open_generation
from trsllava.search.archive import open_searcher
from trsllava.search.query import Query
from trsllava.store.importing import import_files
from trsllava.store.maintenance import compact
from trsllava.store.store import create_store, open_store
from trsllava.upkeep.prune import prune
from trsllava.upkeep.set_aside import requeue, set_aside
from trsllava.upkeep.status import status_of
from trsllava.upkeep.verify import verify

WORST = ["0003.png", "0007.png", "0001.png"]
FOUND = [
    joined(image, {"repeats": score}, [f"because of {image}"])
    for image, score in zip(WORST, (0.9, 0.8, 0.7), strict=True)
]

# Kills itself as it writes to the disk for the n-th time.
WORKER = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_set_aside import FOUND
from trsllava.store.store import open_store
from trsllava.upkeep.set_aside import requeue, set_aside
left, fsync = int(sys.argv[3]), os.fsync
def killing(descriptor):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    fsync(descriptor)
os.fsync = killing
store = open_store(sys.argv[2])
if sys.argv[1] == "requeue":
    requeue(store)
else:
    set_aside(store, store.view(), FOUND, 2)
"""


@pytest.fixture
def archive(tmp_path):
    return paint_archive(tmp_path / "in", 10)


@pytest.fixture
def store(tmp_path, archive):
    caption(tmp_path / "store", archive, Colours())
    return open_store(tmp_path / "store")


@pytest.fixture
def given(tmp_path):
    """A store of records that were imported; it knows no pictures."""
    store = create_store(tmp_path / "given")
    lines = [record_line(f"{number:04}.png") for number in range(10)]
    import_files(store, [write_lines(tmp_path / "r.jsonl", lines)])
    return store


def search(store, text):
    view = store.view()
    searcher = open_searcher(view, open_generation(store.layout, view.set), StubEncoder())
    return {hit.image for hit in searcher.search(Query(text, top=50)).hits}


def records_of(view):
    return {record.image: record for record in view}


def sound(store):
    checked = verify(store)
    return checked.damaged == () and checked.notes == ()


@pytest.mark.parametrize("which", ["store", "given"])
def test_the_worst_leave_search_at_once_with_their_reason_and_counts_add_up(which, request):
    store = request.getfixturevalue(which)
    build_index(store, StubEncoder())
    assert set(WORST) <= search(store, "field")
    done = set_aside(store, store.view(), FOUND, 2)
    assert (done.images, done.before) == (("0003.png", "0007.png"), 0)
    assert balance(store.view()) == (10, 8, 2, 0)
    assert search(store, "field").isdisjoint(WORST[:2])  # before the index is built again
    build_index(store, StubEncoder())
    assert search(store, "field").isdisjoint(WORST[:2])
    assert len(search(store, "field")) == 8
    facts = status_of(store)
    assert (facts["images"], facts["records"], facts["quarantined"]) == (10, 8, 2)
    assert facts["reasons"] == {"audit": 2}
    assert facts["quarantine"][0] == {
        "image": "0003.png",
        "reason": "audit",
        "detail": "audit: 0.90: because of 0003.png",
    }
    assert sound(store)


def test_the_same_command_again_changes_nothing_and_a_larger_bound_takes_the_rest(store):
    set_aside(store, store.view(), FOUND, 2)
    before = published(store.root)
    again = set_aside(store, store.view(), FOUND, 2)
    assert (again.images, again.before, again.files) == ((), 2, ())
    assert set_aside(store, store.view(), FOUND, 1).images == ()
    assert published(store.root) == before
    assert set_aside(store, store.view(), FOUND, 50).images == ("0001.png",)
    assert balance(store.view()) == (10, 7, 3, 0)


def test_a_record_that_has_changed_since_the_audit_is_left_alone(given, tmp_path):
    audited = given.view()
    lines = [record_line("0003.png", "forest")]
    import_files(given, [write_lines(tmp_path / "new.jsonl", lines)], update=True)
    assert set_aside(given, audited, FOUND, 2).images == ("0007.png", "0001.png")
    assert given.view().find("0003.png") is not None


@pytest.mark.parametrize("which", ["store", "given"])
def test_nothing_is_lost_an_import_takes_the_records_back_even_after_a_prune(which, request):
    store = request.getfixturevalue(which)
    before = records_of(store.view())
    (file,) = set_aside(store, store.view(), FOUND, 3).files
    compact(store)
    prune(store)
    assert sound(store)
    assert file.exists()
    assert import_files(store, [file]).added == 3
    after = records_of(store.view())
    assert {image: (r.variants, r.model) for image, r in after.items()} == {
        image: (r.variants, r.model) for image, r in before.items()
    }
    assert balance(store.view()) == (10, 10, 0, 0)
    assert sound(store)


def test_thin_records_come_back_as_they_were(tmp_path):
    store = create_store(tmp_path / "thin")
    lines = [json.dumps({"image": image, "caption": f"a field of {image}"}) for image in WORST]
    import_files(store, [write_lines(tmp_path / "r.jsonl", [*lines, *lines[:1]])])
    before = list(store.view())
    (file,) = set_aside(store, store.view(), FOUND, 3).files
    import_files(store, [file])
    assert list(store.view()) == before


def test_records_of_other_sets_are_kept_too(store, archive):
    first = records_of(store.view())
    caption(store.root, archive, Colours(version=2))
    old, new = (name for name in store.view().sets if name != "imported")
    done = set_aside(store, store.view(), FOUND, 2)
    assert len(done.files) == 2
    assert {file.name for file in done.files} == {
        f"{store.view().number:08d}-{name}.records.jsonl" for name in (old, new)
    }
    for name in (old, new):
        assert balance(store.view(name)) == (10, 8, 2, 0)
    for file in done.files:
        body = [json.loads(line) for line in file.read_bytes().splitlines()]
        assert [line["image"] for line in body] == WORST[:2]
        assert body[0]["variants"][0]["caption"] == first["0003.png"].variants[0].caption


def test_what_was_set_aside_waits_again_and_the_next_captioning_writes_it_anew(store, archive):
    before = records_of(store.view())
    set_aside(store, store.view(), FOUND, 3)
    assert requeue(store) == 3
    assert balance(store.view()) == (10, 7, 0, 3)
    assert requeue(store) == 0
    assert sound(store)
    captioner = Colours()
    taken, _ = caption(store.root, archive, captioner)
    assert (taken.new, taken.known) == (0, 10)
    assert sorted(captioner.asked) == sorted(WORST)
    assert records_of(store.view()) == before
    assert balance(store.view()) == (10, 10, 0, 0)
    compact(store)
    prune(store)
    assert records_of(store.view()) == before
    assert sound(store)


def test_an_image_that_waits_again_is_not_given_its_twin_s_old_text(store, archive, tmp_path):
    (archive / "twin.png").write_bytes((archive / "0003.png").read_bytes())
    caption(store.root, archive, Colours())
    twin = joined("twin.png", {"repeats": 0.9}, ["because"])
    set_aside(store, store.view(), [twin], 1)
    requeue(store)
    captioner = Colours()
    caption(store.root, archive, captioner)
    assert captioner.asked == ["twin.png"]
    assert sentence(store.view(), "twin.png")


def test_retry_failed_takes_them_in_too_and_removal_ends_it(store, archive):
    set_aside(store, store.view(), FOUND, 3)
    captioner = Colours()
    caption(store.root, archive, captioner)
    assert captioner.asked == []  # not by itself
    taken, _ = caption(store.root, archive, captioner, retry_failed=True)
    assert taken.retried == 3
    assert balance(store.view()) == (10, 10, 0, 0)


def test_records_that_were_given_have_no_pictures_to_go_back_to_and_the_remedy_works(
    given, tmp_path
):
    set_aside(given, given.view(), FOUND, 3)
    before = published(given.root)
    with pytest.raises(InputError, match=r"3 of 3 images, such as 0001.*caption DIR --retry-fail"):
        requeue(given)
    assert published(given.root) == before
    captioner = Colours()
    archive = paint_archive(tmp_path / "in", 10)
    taken, _ = caption(given.root, archive, captioner, retry_failed=True)
    assert (taken.retried, taken.known) == (3, 7)
    assert sorted(captioner.asked) == sorted(WORST)
    assert balance(given.view()) == (10, 10, 0, 0)


def test_a_given_record_over_a_captioned_one_waits_for_that_captioner(store, archive, tmp_path):
    lines = [record_line("0003.png", "volcano")]
    import_files(store, [write_lines(tmp_path / "new.jsonl", lines)])
    set_aside(store, store.view(), FOUND, 1)
    assert requeue(store) == 1
    caption(store.root, archive, Colours())
    assert "volcano" not in sentence(store.view(), "0003.png")
    assert balance(store.view()) == (10, 10, 0, 0)


@pytest.mark.parametrize("command", ["quarantine", "requeue"])
def test_a_kill_at_any_write_leaves_a_sound_store_and_the_command_finishes_it(
    store, command, tmp_path
):
    if command == "requeue":
        set_aside(store, store.view(), FOUND, 2)

    def work(root, kill_at):
        arguments = [sys.executable, "-c", WORKER, command, str(root), str(kill_at)]
        return subprocess.run(arguments, timeout=120, capture_output=True, text=True)

    whole = tmp_path / "whole"
    shutil.copytree(store.root, whole)
    assert work(whole, 0).returncode == 0
    expected = published(whole)
    kills = 0
    while True:
        root = tmp_path / f"killed{kills}"
        shutil.copytree(store.root, root)
        done = work(root, kills + 1)
        killed = open_store(root)
        assert verify(killed).damaged == ()
        assert balance(killed.view())[0] == 10
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        kills += 1
        assert work(root, 0).returncode == 0
        assert published(root) == expected
        assert sound(killed)
        shutil.rmtree(root)
    assert kills >= 4


def run(*arguments):
    return CliRunner().invoke(app, ["audit", *map(str, arguments)])


def test_the_command_sets_aside_only_on_demand_and_says_how_to_take_back(tmp_path, store):
    assert run("--store", store.root).exit_code == 0
    assert balance(store.view()) == (10, 10, 0, 0)
    done = run("--store", store.root, "--quarantine", 2, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert store.view().quarantined.keys() == {entry["image"] for entry in found[:2]}
    assert "2 records quarantined now, 0 before" in done.stderr
    assert f"take them back with: trsllava import {store.root}" in done.stderr
    assert "audit --requeue" in done.stderr
    again = run("--store", store.root, "--quarantine", 2)
    assert "0 records quarantined now, 2 before" in again.stderr
    back = run("--store", store.root, "--requeue")
    assert back.stdout == "2 images sent back to the captioner\n"
    assert run("--store", store.root, "--requeue").stdout.startswith("0 images sent")
    assert balance(store.view()) == (10, 8, 0, 2)
    assert run("--store", store.root, "--quarantine", 0).exit_code == 2


def test_requeue_goes_alone(store):
    done = run("--store", store.root, "--requeue", "--json")
    assert isinstance(done.exception, SystemExit | Exception)
    assert "--requeue goes alone" in str(done.exception) + done.output
