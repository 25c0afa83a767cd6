"""`trsllava caption` as a user runs it: real processes, a real server on loopback."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from jobs_kit import COLOURS, paint, paint_archive, published

from trsllava.testing.server import StubServer

KILLS = int(os.environ.get("TRSLLAVA_KILLS", "10"))


def command(*arguments):
    return [sys.executable, "-m", "trsllava", *map(str, arguments)]


def run(folder, *arguments, expect=0):
    done = subprocess.run(
        command(*arguments), cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done


def asking(server, *arguments):
    return ("caption", *arguments, "--model", "stub", "--base-url", server.address, "--store", "s")


def status(folder, store="s"):
    found = json.loads(run(folder, "status", "--store", store, "--json").stdout)
    assert found["images"] == found["records"] + found["quarantined"] + found["pending"]
    return found


@pytest.fixture
def archive(tmp_path):
    return paint_archive(tmp_path / "in", 20)


def test_an_archive_becomes_records_that_queries_find(tmp_path, archive):
    with StubServer() as server:
        done = run(tmp_path, *asking(server, "in"))
        assert done.stdout.startswith("20 records, 0 quarantined (record set ")
        assert "20 new images" in done.stderr
        again = run(tmp_path, *asking(server, "in"))
        assert "20 known" in again.stderr
        assert len(server.calls) == 20
    run(tmp_path, "index", "--store", "s")
    hits = json.loads(
        run(tmp_path, "query", "a blue field", "--store", "s", "--json", "--top", "4").stdout
    )["hits"]
    blue = [f"{n:04d}.png" for n in range(20) if list(COLOURS)[n % 5] == "blue"]
    assert sorted(hit["image"] for hit in hits) == blue
    assert all(Path(hit["path"]).is_file() for hit in hits)
    assert run(tmp_path, "verify", "--store", "s").returncode == 0


def test_quarantined_images_are_named_with_reason_and_end_with_3(tmp_path, archive):
    (archive / "cut.png").write_bytes((archive / "0000.png").read_bytes()[:70])
    with StubServer() as server:
        done = run(tmp_path, *asking(server, "in"), expect=3)
        assert "cut.png" in done.stderr
        assert "--retry-failed" in done.stderr
        found = status(tmp_path)
        assert (found["records"], found["quarantined"], found["pending"]) == (20, 1, 0)
        [entry] = found["quarantine"]
        assert (entry["image"], "cut.png" in entry["detail"]) == ("cut.png", True)
        paint(archive / "cut.png", "green")
        run(tmp_path, *asking(server, "in", "--retry-failed"))
        assert len(server.calls) == 21
    assert status(tmp_path)["quarantined"] == 0


@pytest.mark.parametrize("mode", ["length", "blank", "loop", "refuse", "null", "emptythink"])
def test_no_bad_answer_becomes_a_record(tmp_path, mode):
    paint_archive(tmp_path / "in", 2)
    with StubServer(mode) as server:
        run(tmp_path, *asking(server, "in"), expect=3)
        assert len(server.calls) <= 8
        assert all(call["max_tokens"] for call in server.calls)
    found = status(tmp_path)
    assert (found["records"], found["quarantined"]) == (0, 2)
    assert all(entry["reason"] and entry["detail"] for entry in found["quarantine"])
    side = "".join(p.read_text() for p in (tmp_path / "s" / "side").rglob("*.jsonl"))
    assert mode in ("null", "emptythink") or '"raw":"' in side


def test_a_server_that_is_not_there_leaves_everything_pending(tmp_path, archive):
    with StubServer() as server:
        address = server.address
    gone = ("caption", "in", "--model", "stub", "--base-url", address, "--store", "s")
    script = (
        "import sys, trsllava.captioning.served as served; from trsllava.cli import main;"
        f"served.BUDGET_SECONDS = 0.5; sys.argv = ['trsllava', *{gone!r}]; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1
    assert address in done.stderr
    assert "20 images are pending" in done.stderr
    assert status(tmp_path)["pending"] == 20
    with StubServer() as server:
        run(tmp_path, *asking(server, "in"))
    assert status(tmp_path)["records"] == 20


def test_sigterm_finishes_what_is_in_flight_and_says_how_to_go_on(tmp_path):
    paint_archive(tmp_path / "in", 60)
    with StubServer(delay=0.3) as server:
        job = subprocess.Popen(
            command(*asking(server, "in", "--concurrency", "4")),
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        while len(server.calls) < 8:
            time.sleep(0.02)
        job.send_signal(signal.SIGTERM)
        out, err = job.communicate(timeout=60)
        assert job.returncode == 130
        assert "run the same command again" in err
        assert "60 pending" in out
        before = len(server.calls)
        assert before < 30
        run(tmp_path, *asking(server, "in", "--concurrency", "16"))
        assert Counter(call["sha256"] for call in server.calls).most_common(1)[0][1] == 1
        assert len(server.calls) == 60


def test_kills_at_random_moments_end_in_the_store_of_an_undisturbed_job(tmp_path):
    count, slots = 400, 4
    paint_archive(tmp_path / "in", count)
    draw = random.Random(7)
    with StubServer() as server:
        run(tmp_path, *asking(server, "in"))
        shutil.move(tmp_path / "s", tmp_path / "undisturbed")
        expected = published(tmp_path / "undisturbed")
    kills = rounds = repeated = 0
    while kills < KILLS:
        rounds += 1
        with StubServer(delay=0.05) as server:
            job = command(*asking(server, "in", "--concurrency", slots))
            finished = False
            while not finished:
                process = subprocess.Popen(job, cwd=tmp_path, stderr=subprocess.DEVNULL)
                try:
                    process.wait(draw.uniform(0.2, 3.0) if kills < KILLS else None)
                    finished = True
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                    kills += 1
            assert process.returncode == 0
            calls = Counter(call["sha256"] for call in server.calls)
        assert published(tmp_path / "s") == expected
        assert len(calls) == count
        repeated += calls.total() - count
        shutil.rmtree(tmp_path / "s")
    print(f"{kills} kills in {rounds} jobs of {count} images: {repeated} calls were repeated")
    assert repeated <= kills * 2 * slots
