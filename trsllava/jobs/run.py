"""Running a job on this machine from beginning to end."""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from trsllava.captioning import Captioner
from trsllava.jobs.job import Job, Tally
from trsllava.jobs.pool import run_pool
from trsllava.jobs.progress import Progress
from trsllava.jobs.worker import Worker
from trsllava.store.files import TEMPORARY, can_link
from trsllava.store.store import Store
from trsllava.store.view import View

log = logging.getLogger(__name__)

GRACE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Where a run ends early: after so many pictures, or at such a cost.

    ``price`` is what a million tokens cost, in and out.
    """

    images: int | None = None
    cost: float | None = None
    price: tuple[float, float] | None = None


def run_job(
    job: Job,
    store: Store,
    captioner: Captioner,
    *,
    workers: int = 1,
    limits: Limits | None = None,
    strict: bool = False,
) -> tuple[Tally, bool]:
    """Caption what waits in the job's lots.

    Parameters
    ----------
    job
        What to do.
    store
        The job's store.
    captioner
        The job's captioner; further workers load their own.
    workers
        How many processes.
    limits
        Where to end early.
    strict
        Whether to stop when the first answers show that the pictures are not looked at.

    Returns
    -------
    tuple[Tally, bool]
        What was counted, and whether the run was interrupted by a signal.

    Raises
    ------
    TrsllavaError
        If nothing can be captioned now (`CaptionerUnavailable`) or the run had to stop; what was
        finished is kept.
    """
    limits = limits or Limits()
    view = store.view(job.set)
    waiting = [lot for lot in view.lots if lot.manifest is None and job.has(lot)]
    todo = sum(lot.ref.images for lot in waiting)
    progress = Progress(todo, limits.price, limits.images)
    stop = threading.Event()
    left = limits.images

    def report(news: Tally) -> None:
        progress.report(news)
        if limits.cost is not None and progress.cost >= limits.cost and not stop.is_set():
            log.warning("stopping: --max-cost %g is reached", limits.cost)
            stop.set()

    def may_ask() -> bool:
        nonlocal left
        if left is None:
            return True
        left -= 1
        return left >= 0

    if workers > 1 and not can_link(store.root):
        log.warning("%s is on a disk without hard links: one worker only", store.root)
        workers = 1
    with _patient(stop) as interrupted:
        try:
            if not waiting:
                pass
            elif workers > 1:
                run_pool(job, workers, stop=stop, report=report, limit=limits.images, strict=strict)
            else:
                worker = Worker(
                    job,
                    store,
                    captioner,
                    stop=stop,
                    report=report,
                    may_ask=may_ask,
                    strict=strict,
                )
                worker.run(waiting)
        finally:
            progress.close()
    tidy(store, job.set)
    return progress.tally, interrupted.is_set()


@contextmanager
def _patient(stop: threading.Event) -> Iterator[threading.Event]:
    """On Ctrl-C or SIGTERM finish what is in flight, within a grace; a second one ends at once."""
    interrupted = threading.Event()

    def ask(_signal: int, _frame: FrameType | None) -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()
        stop.set()
        log.warning("stopping: finishing what is in flight, at most %.0f s", GRACE_SECONDS)
        signal.setitimer(signal.ITIMER_REAL, GRACE_SECONDS)

    def end(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return
    handlers = {signal.SIGINT: ask, signal.SIGTERM: ask, signal.SIGALRM: end}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield interrupted
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def tidy(store: Store, set_name: str) -> None:
    """Delete what killed workers left of lots that are finished."""
    layout = store.layout
    view: View = store.view(set_name)
    finished = {lot.ref.name for lot in view.lots if lot.manifest is not None}
    for folder in (layout.journals / set_name, layout.leases / set_name):
        for path in folder.glob("*"):
            if path.name.split(".")[0] in finished:
                path.unlink(missing_ok=True)
    if len(finished) == len(view.lots):
        for folder in (layout.records, layout.journals, layout.leases, layout.side):
            for path in (folder / set_name).rglob(f".*{TEMPORARY}"):
                path.unlink(missing_ok=True)
