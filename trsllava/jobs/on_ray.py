"""The job as Ray tasks, one a lot: the same `Worker`, on the machines of a Ray cluster.

The store must lie on a disk that every node sees. A task whose node dies is run again elsewhere by
Ray; it takes over the dead worker's lease and what its journal kept.
"""

import json
import threading
from functools import lru_cache
from typing import Any

from trsllava.captioning import Captioner, load_captioner
from trsllava.errors import MissingExtra, TrsllavaError
from trsllava.jobs.job import Job, Tally
from trsllava.jobs.run import tidy
from trsllava.jobs.worker import Report, Worker
from trsllava.records import canonical_json
from trsllava.store.store import open_store

_AHEAD = 2  # tasks handed to Ray for each that can run


def run_on_ray(job: Job, report: Report, *, cpus: float = 1.0, gpus: float = 0.0) -> None:
    """Caption every lot of a job that is not finished; `ray.init` was called before.

    Parameters
    ----------
    job
        What to do; its store's path is the same on every node.
    report
        Gets what each finished lot counted.
    cpus
        How many processors a task needs.
    gpus
        How many GPUs a task needs.

    Raises
    ------
    TrsllavaError
        What a worker raised; lots that are finished stay finished.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingExtra("captioning on Ray", "ray") from error
    store = open_store(job.store)
    view = store.view(job.set)
    todo = [lot.ref.name for lot in view.lots if lot.manifest is None and job.has(lot)]
    task = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=-1)(caption_lot)
    cluster = ray.cluster_resources()  # type: ignore[no-untyped-call]
    slots = max(1, int(cluster.get("CPU", 1) // max(cpus, 0.01)))
    running: list[Any] = []
    try:
        while todo or running:
            while todo and len(running) < slots * _AHEAD:
                running.append(task.remote(job, todo.pop(0)))
            done, running = ray.wait(running, num_returns=1)
            report(ray.get(done[0]))
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, TrsllavaError):
            raise error.cause from error
        raise
    finally:
        for unfinished in running:
            ray.cancel(unfinished)
    tidy(store, job.set)


def caption_lot(job: Job, lot: str) -> Tally:
    """Caption one lot, wherever this runs, and return what was counted."""
    store = open_store(job.store)
    tally = Tally()
    worker = Worker(
        job,
        store,
        _captioner(job.captioner, canonical_json(dict(job.options))),
        stop=threading.Event(),
        report=tally.add,
    )
    worker.run([store.view(job.set).lot(lot)])
    return tally


@lru_cache(maxsize=1)
def _captioner(name: str, options: bytes) -> Captioner:
    """Load a captioner once for all lots that this process works on."""
    return load_captioner(name, **json.loads(options))
