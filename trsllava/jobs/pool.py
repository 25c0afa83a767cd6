"""Several worker processes on one machine; they share the lots through leases.

A worker that dies is replaced: what it had begun is told by its journals, so a picture that kills
workers is found and quarantined (see `open_lot`).
"""

import logging
import multiprocessing
import queue
import signal
import threading
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any

from trsllava.captioning import CaptionerUnavailable
from trsllava.errors import TrsllavaError
from trsllava.jobs.job import Job, Tally
from trsllava.jobs.worker import Report, Stop, Worker
from trsllava.store.store import open_store

log = logging.getLogger(__name__)

_WAIT_SECONDS = 0.2
_DEATHS_WITHOUT_NEWS = 10
_FAILED = 1  # how python ends a process that raised


def run_pool(
    job: Job, workers: int, *, stop: Stop, report: Report, limit: int | None, strict: bool
) -> None:
    """Run a job in so many processes until every lot is finished or ``stop`` is set.

    Parameters
    ----------
    job
        What to do.
    workers
        How many processes.
    stop
        Set when no further picture shall be taken.
    report
        Gets what was counted.
    limit
        How many pictures may go to captioners in all.
    strict
        See `Worker`.

    Raises
    ------
    TrsllavaError
        What a worker raised (`CaptionerUnavailable` among them; a full disk too), or if workers
        keep dying.
    """
    context = multiprocessing.get_context("spawn")
    pool = _Pool(context, job, limit, strict)
    try:
        for _ in range(workers):
            pool.start()
        while pool.children:
            if stop.is_set():
                pool.stop.set()
            pool.listen(report)
            pool.replace_dead()
        pool.listen(report)
        if pool.error is not None:
            raise pool.error
        if pool.failed:
            raise TrsllavaError("a worker failed, as shown above; what was finished is kept")
    finally:
        pool.end()


class _Pool:
    def __init__(self, context: SpawnContext, job: Job, limit: int | None, strict: bool) -> None:
        self.context, self.job, self.strict = context, job, strict
        self.stop = context.Event()
        self.news: Any = context.Queue()
        self.left = None if limit is None else context.Value("q", limit)
        self.children: list[SpawnProcess] = []
        self.error: TrsllavaError | None = None
        self.failed = False
        self._deaths = 0

    def start(self) -> None:
        arguments = (self.job, self.stop, self.news, self.left, self.strict)
        child = self.context.Process(target=_work, args=arguments, name="trsllava worker")
        child.start()
        self.children.append(child)

    def listen(self, report: Report) -> None:
        """Take in what the workers say, for a moment."""
        wait = _WAIT_SECONDS
        while True:
            try:
                said = self.news.get(timeout=wait)
            except queue.Empty:
                return
            if isinstance(said, Tally):
                self._deaths = 0
                report(said)
            elif self.error is None:
                unavailable, text = said
                self.error = (CaptionerUnavailable if unavailable else TrsllavaError)(text)
                self.stop.set()
            wait = 0.0

    def replace_dead(self) -> None:
        """Start a worker for each that died; one that ended has left."""
        for child in [child for child in self.children if not child.is_alive()]:
            child.join()
            self.children.remove(child)
            self.failed |= child.exitcode == _FAILED  # why is said or shown; another would too
            if child.exitcode in (0, _FAILED) or self.stop.is_set():
                continue
            self._deaths += 1
            log.warning("a worker died (exit code %s); another one goes on", child.exitcode)
            if self._deaths > _DEATHS_WITHOUT_NEWS:
                self.error = TrsllavaError(
                    f"workers keep dying (exit code {child.exitcode}) before they finish one "
                    "image; is there memory enough for so many?"
                )
                self.stop.set()
            else:
                self.start()

    def end(self) -> None:
        for child in self.children:
            child.terminate()
            child.join()
        self.news.close()


def _work(job: Job, stop: Any, news: Any, left: Any, strict: bool) -> None:
    """Be a worker; Ctrl-C is the parent's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, args=(stop, news), daemon=True).start()

    def may_ask() -> bool:
        if left is None:
            return True
        with left.get_lock():
            left.value -= 1
            return bool(left.value >= 0)

    try:
        store = open_store(job.store)
        worker = Worker(
            job, store, job.load(), stop=stop, report=news.put, may_ask=may_ask, strict=strict
        )
        worker.run(store.view(job.set).lots)
    except TrsllavaError as error:
        news.put((isinstance(error, CaptionerUnavailable), str(error)))
        raise SystemExit(_FAILED) from error
    except OSError as error:
        news.put((False, f"{error}; what was finished is kept: mend it and run the job again"))
        raise SystemExit(_FAILED) from error


def _end_with_parent(stop: Any, news: Any) -> None:
    """Take no further picture once the parent was killed: nobody counts any more, nor sees it."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    news.cancel_join_thread()  # nobody reads it
    stop.set()
