"""Killed, cut short, damaged: what a store survives, and what verify finds."""

import errno
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from stub import StubEncoder, record_line, write_lines

from trsllava.errors import StoreBusy
from trsllava.index.build import build_index
from trsllava.index.generation import open_generation
from trsllava.search.archive import open_searcher
from trsllava.search.query import Query
from trsllava.store import runs
from trsllava.store.files import lock
from trsllava.store.importing import import_files
from trsllava.store.journal import Journal, read_lines
from trsllava.store.maintenance import compact, remove_images
from trsllava.store.store import create_store, open_store
from trsllava.upkeep.verify import verify

# A worker with short runs, so that a small import has many of them.
WORKER = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from stub import StubEncoder
from trsllava.index.build import build_index
from trsllava.store import runs
from trsllava.store.importing import import_files
from trsllava.store.store import create_store
runs.RUN_BYTES = 200_000
store = create_store(sys.argv[2])
if sys.argv[1] == "import":
    print(import_files(store, [Path(name) for name in sys.argv[3:]], skip_bad=True).added)
else:
    build_index(store, StubEncoder())
"""


def worker(*arguments):
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    return stdout, stderr


def content(store):
    """Every byte that an import publishes."""
    root = store.root
    parts = [path for name in ("log", "records", "bad-lines") for path in (root / name).rglob("*")]
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(parts) if p.is_file()}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    lines = [record_line(f"{n:05}.jpg") for n in range(6_000)]
    random.Random(1).shuffle(lines)
    lines.insert(4_000, "no json")
    return write_lines(tmp_path_factory.mktemp("records") / "r.jsonl", lines)


def test_an_import_killed_at_any_moment_is_finished_by_the_same_command(file, tmp_path):
    undisturbed = create_store(tmp_path / "undisturbed")
    started = time.monotonic()
    finish(worker("import", undisturbed.root, file))
    whole = time.monotonic() - started
    expected = content(undisturbed)
    draw = random.Random(2)
    went_on = 0
    for number in range(20):
        root = tmp_path / f"store{number}"
        while True:
            process = worker("import", root, file)
            time.sleep(draw.uniform(0.2, whole))
            process.send_signal(signal.SIGKILL)
            _, stderr = process.communicate()
            went_on += "going on with an import" in stderr
            if draw.random() < 0.7 or process.returncode == 0:
                break
        if (root / "store.json").exists():
            assert verify(open_store(root)).damaged == ()
        _, stderr = finish(worker("import", root, file))
        went_on += "going on with an import" in stderr
        store = open_store(root)
        assert content(store) == expected
        assert store.view().records == 6_000
        assert store.view().bad_lines == 1
        checked = verify(store)
        assert (checked.damaged, checked.notes) == ((), ())
        shutil.rmtree(root)
    assert went_on > 0


def test_a_torn_journal_is_cut_back_to_its_last_good_line_wherever_it_tore(tmp_path):
    path = tmp_path / "j.journal"
    with Journal(path) as journal:
        for payload in (b"one", b"two", b"three \xff\x00 more"):
            journal.append(payload)
        journal.commit()
    whole = path.read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    for cut in range(last, len(whole)):
        path.write_bytes(whole[:cut])
        with Journal(path) as journal:
            assert journal.torn == cut - last
            journal.append(b"four")
            journal.commit()
        assert list(read_lines(path)) == [b"one", b"two", b"four"]


class Failing:
    """Makes the k-th call of any of some functions fail."""

    def __init__(self, monkeypatch, error):
        self.left, self.error = 0, error
        for owner, name in ((os, "fsync"), (os, "link"), (os, "open"), (Path, "replace")):
            monkeypatch.setattr(owner, name, self.wrap(getattr(owner, name)))

    def wrap(self, function):
        def call(*arguments, **options):
            if self.left:
                self.left -= 1
                if self.left == 0:
                    raise OSError(self.error, os.strerror(self.error))
            return function(*arguments, **options)

        return call


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_a_step_that_fails_leaves_the_old_state_and_the_next_try_succeeds(
    tmp_path, monkeypatch, error
):
    first = write_lines(tmp_path / "1.jsonl", [record_line("a.jpg")])
    second = write_lines(tmp_path / "2.jsonl", [record_line("b.jpg"), "no json"])
    failing = Failing(monkeypatch, error)
    encoder = StubEncoder()
    failures = 0
    for step in itertools.count(1):
        root = tmp_path / f"s{step}"
        store = create_store(root)
        import_files(store, [first])
        build_index(store, encoder)
        failing.left = step
        try:
            import_files(store, [second], skip_bad=True)
            build_index(store, encoder)
        except OSError:
            failures += 1
        finished, failing.left = failing.left > 0, 0
        assert store.view().records in (1, 2)
        assert verify(store).damaged == ()
        import_files(store, [second], skip_bad=True)
        build_index(store, encoder)
        assert [record.image for record in store.view()] == ["a.jpg", "b.jpg"]
        assert store.view().bad_lines == 1
        assert open_generation(store.layout, "imported").images == ("a.jpg", "b.jpg")
        checked = verify(store)
        assert checked.damaged == ()
        if finished:
            break
    assert failures > 15


def test_any_flipped_byte_is_found(tmp_path, monkeypatch):
    lines = [record_line(f"{n}.jpg") for n in range(3)]
    store = create_store(tmp_path / "store")
    import_files(store, [write_lines(tmp_path / "1", lines)])
    import_files(store, [write_lines(tmp_path / "2", [record_line("x.jpg"), "bad"])], skip_bad=True)
    remove_images(store, ["1.jpg"])
    build_index(store, StubEncoder())
    monkeypatch.setattr(runs, "RUN_BYTES", 1)
    with Journal(store.layout.journals / "import-0.journal") as journal:
        runs.read_into(journal, [tmp_path / "1"], None, False)
    assert verify(store).damaged == ()
    draw = random.Random(3)
    files = [p for p in sorted(store.root.rglob("*")) if p.is_file() and p.name != "lock"]
    assert len(files) > 20
    for path in files:
        whole = path.read_bytes()
        for at in {0, len(whole) - 1, len(whole) // 2, *draw.choices(range(len(whole)), k=3)}:
            damaged = bytearray(whole)
            damaged[at] ^= 1 << draw.randrange(8)
            path.write_bytes(bytes(damaged))
            assert verify(store).damaged, (path, at)
        path.write_bytes(whole[:-2])
        found = verify(store)
        assert found.damaged or (path.suffix == ".journal" and found.notes)
        path.write_bytes(whole)
    assert verify(store).damaged == ()


def test_a_missing_file_is_found(tmp_path):
    store = create_store(tmp_path / "store")
    import_files(store, [write_lines(tmp_path / "1", [record_line("a.jpg")])])
    import_files(store, [write_lines(tmp_path / "2", [record_line("b.jpg")])])
    build_index(store, StubEncoder())
    for path in sorted(p for p in store.root.rglob("*") if p.is_file()):
        if path.name in ("lock", "00000002.json", "current-imported", "store.json"):
            continue  # the newest of a chain, and what may be missing
        kept = path.read_bytes()
        path.unlink()
        found = verify(store)
        vectors = path.suffix == ".json" and path.parent.parent.name == "vectors"
        assert found.damaged or (vectors and found.notes), path
        path.write_bytes(kept)
    assert verify(store).damaged == ()


def test_an_index_build_killed_at_any_moment_leaves_a_whole_index(tmp_path):
    store = create_store(tmp_path / "store")
    old = [record_line(f"{n:04}.jpg", "old") for n in range(200)]
    new = [record_line(f"n{n:04}.jpg", "new") for n in range(200)]
    import_files(store, [write_lines(tmp_path / "1", old)])
    encoder = StubEncoder()
    build_index(store, encoder)
    import_files(store, [write_lines(tmp_path / "2", new)])
    seen = set()
    for number in range(20):  # ever later: a quick machine is done after few of them
        process = worker("index", store.root)
        time.sleep(0.05 + 0.08 * number)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        searcher = open_searcher(store.view(), open_generation(store.layout, "imported"), encoder)
        hits = searcher.search(Query("field", top=1000)).hits
        seen.add(len(hits))
        assert len(hits) in (200, 400)
        assert bool(searcher.notes) == (len(hits) == 200)
        assert verify(store).damaged == ()
    finish(worker("index", store.root))
    assert len(open_generation(store.layout, "imported").images) == 400
    assert 200 in seen


def test_two_imports_at_once_lose_and_double_nothing(tmp_path):
    files = [
        write_lines(tmp_path / f"{k}.jsonl", [record_line(f"{k}-{n}.jpg") for n in range(1_500)])
        for k in "abcd"
    ]
    shared = write_lines(tmp_path / "shared.jsonl", [record_line(f"s{n}.jpg") for n in range(50)])
    processes = [worker("import", tmp_path / "store", file, shared) for file in files]
    added = sum(int(finish(process)[0]) for process in processes)
    store = open_store(tmp_path / "store")
    assert added == store.view().records == 4 * 1_500 + 50
    assert len({record.image for record in store.view()}) == 6_050
    assert verify(store).damaged == ()


def test_whoever_makes_a_store_is_not_called_an_import(tmp_path, monkeypatch):
    held = []

    @contextmanager
    def noted(path, purpose, wait=60.0):
        held.append(purpose)
        with lock(path, purpose, wait):
            yield

    monkeypatch.setattr("trsllava.store.store.lock", noted)
    create_store(tmp_path / "store")
    assert held == ["the first command of the store"]


def test_a_second_writer_waits_names_the_first_and_gives_up(tmp_path):
    path = tmp_path / "store" / "lock"
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom trsllava.store.files import lock\n"
        "with lock(Path(sys.argv[1]), 'trsllava import'):\n"
        "    print('held', flush=True)\n    time.sleep(60)\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    busy = pytest.raises(StoreBusy, match=f"trsllava import .*pid {holder.pid}")
    with busy, lock(path, "trsllava remove", wait=0.2):
        pass
    holder.kill()
    holder.communicate()
    with lock(path, "trsllava remove", wait=0.2):
        pass


def test_a_compaction_that_is_killed_changes_nothing(tmp_path, monkeypatch):
    store = create_store(tmp_path / "store")
    for name in "abc":
        import_files(store, [write_lines(tmp_path / name, [record_line(f"{name}.jpg")])])
    remove_images(store, ["b.jpg"])
    before = [json.dumps(record.to_json()) for record in store.view()]

    def killed(*_arguments, **_options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("trsllava.store.store.publish", killed)
        with pytest.raises(KeyboardInterrupt):
            compact(store)
    assert [json.dumps(record.to_json()) for record in store.view()] == before
    assert compact(store) == (3, 1)
    assert [json.dumps(record.to_json()) for record in store.view()] == before
