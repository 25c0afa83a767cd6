"""A worker: takes lots, shows their pictures to the captioner, publishes what it says.

One stream of pictures runs through all lots, so a captioner with many slots never idles between
two of them. Several lots are therefore open at a time; each is published as soon as its last
image is settled.
"""

import logging
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, suppress
from typing import Any, Protocol

from trsllava.captioning.captioner import Captioner, Failed, Outcome, Prepared
from trsllava.errors import TrsllavaError
from trsllava.images.locating import located
from trsllava.images.opening import open_source
from trsllava.images.prefetch import prefetch
from trsllava.images.source import Source, Unreadable
from trsllava.jobs.first_answers import FirstAnswers, storable
from trsllava.jobs.job import Job, Tally
from trsllava.jobs.lease import Lease, Leases
from trsllava.jobs.open_lot import OpenLot
from trsllava.jobs.unfinished import leftovers
from trsllava.store.lots import read_lot
from trsllava.store.store import Store
from trsllava.store.view import Lot, View

log = logging.getLogger(__name__)

AHEAD = 16  # pictures decoded ahead of the captioner
_POLL_SECONDS = 1.0
_PATIENCE = 10  # polls until it is said who is waited for


class Stop(Protocol):
    """Says whether to take no further picture; a threading or multiprocessing event does."""

    def is_set(self) -> bool:
        """Whether to stop."""


Allowance = Callable[[], bool]
Report = Callable[[Tally], None]


class Suspicious(TrsllavaError):
    """The captioner seems not to look at the pictures."""


class Worker:
    """Works through the lots of a job that no other worker has."""

    def __init__(
        self,
        job: Job,
        store: Store,
        captioner: Captioner,
        *,
        stop: Stop,
        report: Report,
        may_ask: Allowance = lambda: True,
        strict: bool = False,
    ) -> None:
        """Prepare to work.

        Parameters
        ----------
        job
            What to do.
        store
            The job's store.
        captioner
            What looks at the pictures.
        stop
            Set when no further picture shall be taken.
        report
            Gets what was counted since it was called last.
        may_ask
            Asked before each picture goes to the captioner; False ends the work.
        strict
            Whether to stop when the first answers show that the pictures are not looked at.
        """
        self.job, self.store, self.captioner = job, store, captioner
        self._stop, self._report, self._may_ask, self._strict = stop, report, may_ask, strict
        self._leases = Leases(store.layout, job.set)
        self._open: dict[str, OpenLot] = {}
        self._lot_of: dict[str, OpenLot] = {}
        self._model = str(captioner.identity().get("model") or job.captioner)
        self._alone: set[str] = set()
        self._first = FirstAnswers(job.captioner)
        self._view: View | None = None
        self._exhausted = False

    def run(self, lots: Iterable[Lot]) -> None:
        """Work until every lot is finished, by this worker or another, or until told to stop.

        Raises `CaptionerUnavailable` if nothing can be captioned now, `Suspicious` if it must
        stop because answers to different pictures do not differ.
        """
        left = {lot.ref.name: lot for lot in lots if self.job.has(lot)}
        waited = 0
        try:
            while left and not self._ended():
                self._isolate(left)
                self._settle_all(self._pictures(left))
                if self._lot_of and not self._ended():
                    raise TrsllavaError(
                        f"the captioner {self.job.captioner} gave no answer for "
                        f"{len(self._lot_of)} images, for example {next(iter(self._lot_of))}"
                    )
                if left and not self._ended():
                    waited += 1
                    if waited == _PATIENCE:
                        holder = self._leases.holder(next(iter(left)))
                        log.warning("waiting for %d lots that others have (%s)", len(left), holder)
                    time.sleep(_POLL_SECONDS)
        finally:
            for opened in list(self._open.values()):
                with suppress(OSError):  # a full disk: what is journaled so far is what there is
                    opened.close()
                with suppress(OSError):
                    self._leases.release(opened.lease)
            self._leases.close()

    def _ended(self) -> bool:
        return self._stop.is_set() or self._exhausted

    def _settle_all(self, pictures: Iterator[Prepared]) -> None:
        # Closed whatever happens: the thread that reads ahead must not outlive the open lots.
        with closing(self._caption(pictures)) as outcomes:
            for outcome in outcomes:
                self._settle(outcome)

    def _caption(self, pictures: Iterator[Prepared]) -> Generator[Outcome, None, None]:
        """Show pictures, read ahead in a thread of their own, to the captioner."""
        ahead = prefetch(pictures, AHEAD)
        asked = self.captioner.caption(self._until_stopped(ahead))
        try:
            yield from asked
        finally:
            for generator in (asked, ahead):
                close = getattr(generator, "close", None)
                if close is not None:
                    close()

    def _until_stopped(self, pictures: Iterable[Prepared]) -> Iterator[Prepared]:
        for picture in pictures:
            if self._stop.is_set():  # what was read ahead is not asked about any more
                return
            if picture.image not in self._alone:
                self._lot_of[picture.image].begin(picture.image)
            yield picture

    def _take(self, left: dict[str, Lot], names: Iterable[str]) -> Iterator[OpenLot]:
        """Open those of the named lots that are not finished and nobody else has."""
        for name in names:
            if self._ended():
                return
            lot = left[name]
            if name in self._open:
                del left[name]
                yield self._open[name]
                continue
            if read_lot(self.store.layout, self.job.set, name) is not None:
                del left[name]
                continue
            lease = self._leases.take(name)
            if lease is not None:
                del left[name]
                yield self._begin(lot, lease)

    def _begin(self, lot: Lot, lease: Lease) -> OpenLot:
        view = self._view = self._view or self.store.view(self.job.set)
        opened = OpenLot(self.store.layout, lot, view.rows(lot), lease, self._model)
        self._open[lot.ref.name] = opened
        self._report(Tally(adopted=opened.adopted))
        self._publish_if_finished(opened)
        return opened

    def _isolate(self, left: dict[str, Lot]) -> None:
        """Look alone at pictures that were there when workers died."""
        begun = leftovers(self.store.layout, self.job.set) & left.keys()
        found = list(self._take(left, [name for name in list(left) if name in begun]))
        others = dict(left)
        left.clear()  # what was begun comes first in the stream
        left.update({opened.lot.ref.name: opened.lot for opened in found} | others)
        for opened in found:
            for row in opened.suspects():
                if self._ended():
                    return
                self._settle_all(self._prepared(opened, [row], alone=True))

    def _pictures(self, left: dict[str, Lot]) -> Iterator[Prepared]:
        """Yield the pictures of every lot that can be taken."""
        for opened in self._take(left, list(left)):
            yield from self._prepared(opened, opened.todo())
            self._publish_if_finished(opened)

    def _prepared(
        self, opened: OpenLot, rows: list[dict[str, Any]], *, alone: bool = False
    ) -> Iterator[Prepared]:
        for row in rows:
            if self._stop.is_set():
                return
            image = row["image"]
            opened.begin(image, alone=alone)
            if "unfit" in row:
                self._fail(opened, image, *row["unfit"])
                continue
            try:
                picture = open_source(self._source(row), self.job.reading)
            except Unreadable as error:
                self._fail(opened, image, error.reason, str(error))
                continue
            if opened.is_twin(image, picture):
                self._report(Tally(records=1, copied=1))
                continue
            if "same" in row and self._copy(opened, image, row["same"], picture.sha256):
                continue
            if not self._may_ask():
                self._exhausted = True
                return
            self._lot_of[image] = opened
            if alone:
                self._alone.add(image)
            else:
                opened.wait(image)
            self._first.remember(image, picture)
            yield Prepared(image, picture.pixels)

    def _source(self, row: dict[str, Any]) -> Source:
        """Return where the picture of a row is now; its archive may have moved."""
        source = Source.from_json(row)
        folders = self._view.image_folders if self._view is not None else ()
        return located(source, folders) or source

    def _fail(self, opened: OpenLot, image: str, reason: str, detail: str) -> None:
        opened.fail(image, reason, detail)
        self._report(Tally(quarantined=1, reasons={reason: 1}))

    def _copy(self, opened: OpenLot, image: str, twin: str, sha256: str) -> bool:
        """Give an image the texts of a twin that was captioned earlier, from the same bytes."""
        view = self._view = self.store.view(self.job.set)
        place = view.find(twin)
        if place is None or view.digest(twin) != sha256:
            return False  # the twin may have changed since the intake
        opened.copy(image, view.record(place))
        self._report(Tally(records=1, copied=1))
        return True

    def _settle(self, outcome: Outcome) -> None:
        """Take in what the captioner says about one image."""
        outcome = storable(outcome)
        if outcome.image not in self._lot_of:
            raise TrsllavaError(
                f"the captioner {self.job.captioner} answers twice or unasked about "
                f"{outcome.image!r}; its author must mend it"
            )
        opened = self._lot_of.pop(outcome.image)
        self._compare(outcome)
        opened.settle(outcome)
        usage = outcome.usage
        failed = isinstance(outcome, Failed)
        self._report(
            Tally(
                records=not failed,
                quarantined=failed,
                prompt_tokens=usage.prompt_tokens,
                completion_tokens=usage.completion_tokens,
                calls=usage.calls,
                reasons={outcome.reason: 1} if isinstance(outcome, Failed) else {},
            )
        )
        self._publish_if_finished(opened)

    def _publish_if_finished(self, opened: OpenLot) -> None:
        name = opened.lot.ref.name
        # Both threads may see that it is finished; the one that takes it out publishes it.
        if not opened.finished or self._open.pop(name, None) is None:
            return
        try:
            if not opened.publish():
                log.warning("lot %s: another worker was first", name)
        except OSError:
            self._open[name] = opened  # to be closed and given back
            raise
        self._leases.clear(opened.lease)

    def _compare(self, outcome: Outcome) -> None:
        """Say, or stop, when a server seems not to look at the pictures."""
        verdict = self._first.verdict(outcome)
        if verdict is None:
            return
        if not self._strict:
            advice = f"Look at a few: trsllava audit --store {self.store.root}"
            log.warning("WARNING: %s. %s", verdict, advice)
            return
        for lot in self._open.values():
            lot.forget()
            self._leases.release(lot.lease)
        self._open.clear()
        raise Suspicious(f"{verdict}; stopped, nothing of this run's unfinished lots is kept")
