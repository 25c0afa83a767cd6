"""Many workers: a pool of processes, and a Ray cluster that loses a node."""

import multiprocessing
import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest
from jobs_kit import balance, caption, paint_archive, published

from trsllava.captioning import load_captioner
from trsllava.images.source import Reading
from trsllava.jobs.intake import Wish, take_in
from trsllava.jobs.job import Job, Tally, fingerprint_of, identity_of
from trsllava.jobs.pool import run_pool
from trsllava.store.store import create_store, open_store
from trsllava.testing.server import StubServer


def prepare(root, archive, server, **options):
    """Take an archive in for the openai captioner and return the job."""
    options = {"model": "stub", "base_url": server.address, "concurrency": 4, **options}
    captioner = load_captioner("openai", **options)
    identity = identity_of(captioner, Reading())
    name = fingerprint_of(identity)
    take_in(create_store(root), name, identity, Wish((str(archive),), Reading()))
    return Job(str(root), name, "openai", options, Reading())


def undisturbed(tmp_path, archive, server):
    caption(
        tmp_path / "alone",
        archive,
        load_captioner("openai", model="stub", base_url=server.address),
    )
    return published(tmp_path / "alone")


@pytest.fixture
def archive(tmp_path, monkeypatch):
    monkeypatch.setattr("trsllava.store.lots.LOT_IMAGES", 16)
    return paint_archive(tmp_path / "in", 160)


def test_a_pool_shares_the_lots_and_replaces_a_worker_that_is_killed(tmp_path, archive):
    with StubServer(delay=0.05) as server:
        job = prepare(tmp_path / "store", archive, server)
        tally = Tally()

        def kill_one():
            while len(server.calls) < 40:
                time.sleep(0.02)
            os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)

        killer = threading.Thread(target=kill_one)
        killer.start()
        stop = threading.Event()
        run_pool(job, 2, stop=stop, report=tally.add, limit=None, strict=False)
        killer.join()
        calls = Counter(call["sha256"] for call in server.calls)
        assert len(calls) == 160
        assert calls.total() <= 160 + 8
        assert balance(open_store(tmp_path / "store").view()) == (160, 160, 0, 0)
        assert published(tmp_path / "store") == undisturbed(tmp_path, archive, server)


def test_a_pool_passes_on_that_nothing_can_be_captioned(tmp_path, archive):
    from trsllava.captioning import CaptionerUnavailable

    with StubServer("unauthorized") as server:
        job = prepare(tmp_path / "store", archive, server)
        with pytest.raises(CaptionerUnavailable, match="OPENAI_API_KEY"):
            run_pool(job, 2, stop=threading.Event(), report=Tally().add, limit=None, strict=False)
    assert balance(open_store(tmp_path / "store").view()) == (160, 0, 0, 160)


def test_a_pool_keeps_to_the_limit(tmp_path, archive):
    with StubServer() as server:
        job = prepare(tmp_path / "store", archive, server)
        run_pool(job, 2, stop=threading.Event(), report=Tally().add, limit=30, strict=False)
        assert len(server.calls) == 30


@pytest.mark.filterwarnings("ignore")
def test_a_ray_cluster_that_loses_a_node_finishes_every_lot(tmp_path, archive, monkeypatch):
    ray = pytest.importorskip("ray", reason="ray is not installed")
    from ray.cluster_utils import Cluster

    from trsllava.jobs.on_ray import run_on_ray

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[1])]))
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        lost = cluster.add_node(num_cpus=1)
        ray.init(address=cluster.address, log_to_driver=False)
        with StubServer(delay=0.1) as server:
            job = prepare(tmp_path / "store", archive, server)
            tally = Tally()

            def lose_a_node():
                while len(server.calls) < 40:
                    time.sleep(0.02)
                for process in lost.live_processes():
                    for child in psutil.Process(process[1].pid).children(recursive=True):
                        child.kill()
                cluster.remove_node(lost, allow_graceful=False)

            loser = threading.Thread(target=lose_a_node)
            loser.start()
            run_on_ray(job, tally.add)
            loser.join()
            assert len({call["sha256"] for call in server.calls}) == 160
            assert balance(open_store(tmp_path / "store").view()) == (160, 160, 0, 0)
            assert published(tmp_path / "store") == undisturbed(tmp_path, archive, server)
    finally:
        ray.shutdown()
        cluster.shutdown()
