"""Workers that die, stop, race or come back: nothing is lost, nothing is asked without need."""

import errno
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from jobs_kit import Colours, balance, caption, paint_archive, published

from trsllava.jobs import lease as lease_module
from trsllava.jobs.lease import Leases
from trsllava.jobs.open_lot import ALONE, TOGETHER
from trsllava.store.files import publish
from trsllava.store.journal import Journal, checked_line
from trsllava.store.store import open_store
from trsllava.upkeep.verify import verify

WORKER = Path(__file__).parent / "jobs_worker.py"


def start(store, archive, seconds, log, poison=None):
    command = [sys.executable, str(WORKER), str(store), str(archive), str(seconds), str(log)]
    return subprocess.Popen(command + ([poison] if poison else []), stderr=subprocess.DEVNULL)


def asked(log):
    return Counter(log.read_text().split()) if log.exists() else Counter()


def wait_for(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


@pytest.fixture
def archive(tmp_path):
    return paint_archive(tmp_path / "in", 40)


def test_a_killed_worker_loses_only_what_was_in_flight(archive, tmp_path):
    log, random_ = tmp_path / "log", random.Random(3)
    kills = 0
    while True:
        worker = start(tmp_path / "store", archive, 0.02, log)
        before = asked(log).total()
        target = before + random_.randint(1, 20)
        while worker.poll() is None and asked(log).total() < target:
            time.sleep(0.005)
        if worker.poll() is not None:
            break
        worker.kill()
        worker.wait()
        kills += 1
        assert kills < 60
    assert worker.returncode == 0
    assert kills >= 2
    repeated = asked(log).total() - 40
    assert repeated <= 2 * kills  # one picture at a time: one in flight, one being journaled
    caption(tmp_path / "other", archive, Colours())
    assert published(tmp_path / "store") == published(tmp_path / "other")
    assert balance(open_store(tmp_path / "store").view()) == (40, 40, 0, 0)
    assert verify(open_store(tmp_path / "store")).damaged == ()


def test_two_workers_share_the_lots_and_ask_nothing_twice(archive, tmp_path, monkeypatch):
    log = tmp_path / "log"
    monkeypatch.setattr("trsllava.store.lots.LOT_IMAGES", 4)
    from trsllava.images.source import Reading
    from trsllava.jobs.intake import Wish, take_in
    from trsllava.jobs.job import fingerprint_of, identity_of
    from trsllava.store.store import create_store

    identity = identity_of(Colours(), Reading())
    take_in(
        create_store(tmp_path / "store"),
        fingerprint_of(identity),
        identity,
        Wish((str(archive),), Reading()),
    )
    workers = [start(tmp_path / "store", archive, 0.03, log) for _ in range(2)]
    assert [worker.wait(60) for worker in workers] == [0, 0]
    assert asked(log) == Counter(f"{n:04d}.png" for n in range(40))
    assert balance(open_store(tmp_path / "store").view()) == (40, 40, 0, 0)


def test_a_worker_that_was_stopped_past_its_lease_harms_nothing_when_it_wakes(
    archive, tmp_path, monkeypatch
):
    log = tmp_path / "log"
    zombie = start(tmp_path / "store", archive, 0.05, log)
    wait_for(lambda: asked(log).total() >= 5)
    zombie.send_signal(signal.SIGSTOP)
    monkeypatch.setattr(lease_module, "STALE_SECONDS", 0.5)
    thief = Colours()
    caption(tmp_path / "store", archive, thief)
    before = published(tmp_path / "store")
    assert len(thief.asked) < 40  # it took over what the zombie had finished
    zombie.send_signal(signal.SIGCONT)
    assert zombie.wait(60) == 0
    assert published(tmp_path / "store") == before
    assert balance(open_store(tmp_path / "store").view()) == (40, 40, 0, 0)
    assert verify(open_store(tmp_path / "store")).damaged == ()


def test_a_picture_that_kills_workers_is_quarantined_and_its_neighbours_are_captioned(
    archive, tmp_path
):
    log = tmp_path / "log"
    deaths = 0
    while True:
        worker = start(tmp_path / "store", archive, 0.0, log, poison="0011.png")
        if worker.wait(60) == 0:
            break
        deaths += 1
        assert deaths <= TOGETHER + ALONE
    view = open_store(tmp_path / "store").view()
    assert view.quarantined == {"0011.png": "kills_worker"}
    assert balance(view) == (40, 39, 1, 0)
    assert deaths == TOGETHER + ALONE


def test_a_lease_is_stale_at_once_when_its_process_is_dead_and_after_silence_otherwise(
    archive, tmp_path, monkeypatch
):
    caption(tmp_path / "store", archive, Colours())
    layout = open_store(tmp_path / "store").layout
    mine, other = Leases(layout, "s"), Leases(layout, "s")
    first = mine.take("lot-1")
    assert first is not None
    assert mine.take("lot-1") is None
    assert other.take("lot-1") is None
    dead = subprocess.Popen(["true"])
    dead.wait()
    body = json.loads(first.path.read_bytes())
    publish(first.path, json.dumps({**body, "pid": dead.pid}).encode())
    second = other.take("lot-1")
    assert second is not None
    assert second.name.startswith("lot-1.2-")
    publish(second.path, json.dumps({**body, "host": "elsewhere"}).encode())
    monkeypatch.setattr(lease_module, "STALE_SECONDS", 0.2)
    assert mine.take("lot-1") is None  # it looks for the first time
    time.sleep(0.3)
    third = mine.take("lot-1")
    assert third is not None
    assert third.name.startswith("lot-1.3-")
    publish(third.path, json.dumps({**body, "host": "elsewhere"}).encode())
    other.take("lot-1")
    time.sleep(0.3)
    os.utime(third.path, ns=(5, 5))  # a heart beat, on a clock that is wrong
    assert other.take("lot-1") is None
    mine.close()
    other.close()


def test_a_torn_journal_is_cut_and_the_rest_is_kept(archive, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        caption(tmp_path / "store", archive, Colours(dies_at="0020.png"))
    [journal] = (tmp_path / "store" / "journal").rglob("*.journal")
    whole = journal.read_bytes()
    last = whole[:-1].rfind(b"\n") + 1
    for cut in range(last, len(whole)):
        journal.write_bytes(whole[:cut])
        found = [n for n in verify(open_store(tmp_path / "store")).damaged if "journal" in n]
        assert found == []
    again = Colours()
    caption(tmp_path / "store", archive, again)
    assert again.asked == [f"{n:04d}.png" for n in range(20, 40)]
    assert whole.startswith(checked_line(b'["S","0000.png"]'))


def test_a_flipped_byte_in_an_unfinished_journal_is_found(archive, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        caption(tmp_path / "store", archive, Colours(dies_at="0020.png"))
    [journal] = (tmp_path / "store" / "journal").rglob("*.journal")
    whole = journal.read_bytes()
    for at in random.Random(1).sample(range(len(whole)), 30):
        journal.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        assert verify(open_store(tmp_path / "store")).damaged, at


def test_a_flipped_byte_in_any_file_of_a_captioned_store_is_found(tmp_path):
    caption(tmp_path / "store", paint_archive(tmp_path / "in", 6), Colours())
    for name, content in published(tmp_path / "store").items():
        path = tmp_path / "store" / name
        for at in {0, len(content) // 2, len(content) - 2}:
            path.write_bytes(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :])
            assert verify(open_store(tmp_path / "store")).damaged if name != "store.json" else True
        path.write_bytes(content)
    assert verify(open_store(tmp_path / "store")).damaged == ()


@pytest.mark.parametrize("trouble", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("step", ["fsync", "link", "replace", "write"])
def test_a_disk_that_fails_at_any_step_loses_nothing(tmp_path, monkeypatch, step, trouble):
    archive = paint_archive(tmp_path / "in", 6)
    caption(tmp_path / "undisturbed", archive, Colours())
    expected = published(tmp_path / "undisturbed")
    at = failures = 0
    while True:
        at += 1
        store = tmp_path / f"store{at}"
        count = itertools.count(1)
        with monkeypatch.context() as patched:
            module, name = (Journal, "append") if step == "write" else (os, step)
            if step == "replace":
                module = Path
            real = getattr(module, name)

            def failing(*arguments, real=real, count=count, at=at, **more):
                if next(count) >= at:
                    raise OSError(trouble, os.strerror(trouble))
                return real(*arguments, **more)

            patched.setattr(module, name, failing)
            ended = True
            with suppress(OSError):
                ended = False
                caption(store, archive, Colours())
                ended = True
        if ended:
            break
        failures += 1
        if (store / "store.json").exists():
            assert verify(open_store(store)).damaged == ()
        caption(store, archive, Colours())
        assert published(store) == expected
    assert failures >= 2
