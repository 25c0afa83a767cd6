"""A lot in work: its journal, what earlier workers left of it, and its end.

Payloads of the journal are JSON lists. ``["S", image]`` a picture is decoded or with the
captioner; ``["A", image]`` the same, alone; ``["W", image]`` it is decoded and waits; ``["R",
image, record, sha256, side]`` its record; ``["F", image, reason, sha256, side]`` why it has none;
``["X"]`` the worker stopped in good order. A journal without an end tells which pictures were
looked at when its worker died: one that was there at `TOGETHER` deaths is looked at alone from
then on, and one that was alone at `ALONE` deaths kills workers and is quarantined. Whoever kills
a worker from outside may hit the same innocent picture again, but hardly so often: the most
suspect one comes first, and is soon done.
"""

import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from trsllava.captioning.captioner import Captioned, Failed, Outcome
from trsllava.images.source import Picture
from trsllava.jobs.lease import Lease
from trsllava.records import Metadata, Record, canonical_json
from trsllava.store.files import publish
from trsllava.store.journal import Journal, payload_of
from trsllava.store.layout import Layout
from trsllava.store.lots import LotManifest, publish_lot
from trsllava.store.segments import RecordLine, write_segments
from trsllava.store.view import Lot

log = logging.getLogger(__name__)

TOGETHER, ALONE = 2, 6
GROUP_RECORDS = 64
GROUP_SECONDS = 1.0


class Settled(NamedTuple):
    """The end of one image: its record's canonical line or the reason why there is none."""

    record: dict[str, Any] | None
    reason: str
    sha256: str | None
    side: Mapping[str, Any]


class OpenLot:
    """A lot that this worker has the lease of; its methods may be called from two threads."""

    def __init__(
        self,
        layout: Layout,
        lot: Lot,
        rows: list[dict[str, Any]],
        lease: Lease,
        model: str | None,
    ) -> None:
        """Take over what earlier workers did and open a journal of one's own.

        Parameters
        ----------
        layout
            Where the store lies.
        lot
            The lot.
        rows
            Its images that still count.
        lease
            The right to work on it.
        model
            What writes the records, as they will name it.
        """
        self.lot, self.rows, self.lease = lot, {row["image"]: row for row in rows}, lease
        self._layout, self._model = layout, model
        self._lock = threading.RLock()
        self._settled: dict[str, Settled] = {}
        self._together: Counter[str] = Counter()
        self._alone: Counter[str] = Counter()
        self._pictures: dict[str, tuple[str, Metadata]] = {}
        self._first: dict[str, str] = {}
        self._twins: dict[str, list[str]] = {}
        self._uncommitted, self._committed = 0, time.monotonic()
        self.journals = sorted(_folder(layout, lot).glob(f"{lot.ref.name}.*.journal"), key=_number)
        for path in self.journals:
            self._adopt(path)
        self._journal = Journal(_folder(layout, lot) / f"{lease.name}.journal")
        for image in [i for i, deaths in self._alone.items() if deaths >= ALONE]:
            if image not in self._settled and image in self.rows:
                self._settle(
                    image,
                    Settled(
                        None,
                        "kills_worker",
                        None,
                        {"detail": f"the worker died {ALONE} times while it looked at this alone"},
                    ),
                )

    @property
    def finished(self) -> bool:
        """Whether every image has its record or its reason."""
        return self._settled.keys() >= self.rows.keys()

    @property
    def adopted(self) -> int:
        """How many images are settled so far."""
        return len(self._settled.keys() & self.rows.keys())

    def todo(self) -> list[dict[str, Any]]:
        """Return the rows that are still to do; those that a death interrupted come first."""
        left = [row for image, row in self.rows.items() if image not in self._settled]
        return sorted(left, key=lambda row: self._suspicion(row["image"]), reverse=True)

    def suspects(self) -> list[dict[str, Any]]:
        """Return the rows that must be looked at alone."""
        return [row for row in self.todo() if self._suspicion(row["image"]) >= (0, TOGETHER)]

    def _suspicion(self, image: str) -> tuple[int, int]:
        """Return how often a worker died with this picture alone, and with others."""
        return self._alone[image], self._together[image]

    def begin(self, image: str, *, alone: bool = False) -> None:
        """Note that a picture is about to be looked at."""
        with self._lock:
            self._journal.append(canonical_json(["A" if alone else "S", image]))
            self._journal.flush()

    def wait(self, image: str) -> None:
        """Note that a picture is decoded and waits for the captioner."""
        with self._lock:
            self._journal.append(canonical_json(["W", image]))
            self._journal.flush()

    def is_twin(self, image: str, picture: Picture) -> bool:
        """Take the picture of an image in; True if the same bytes are under way already.

        Such an image gets what the first one gets.
        """
        with self._lock:
            self._pictures[image] = (picture.sha256, picture.metadata)
            first = self._first.setdefault(picture.sha256, image)
            if first == image:
                return False
            settled = self._settled.get(first)
            if settled is None:
                self._twins.setdefault(first, []).append(image)
            else:
                self._settle_twin(image, settled)
            return True

    def settle(self, outcome: Outcome) -> None:
        """Journal the end of an image, and of its twins."""
        image = outcome.image
        with self._lock:
            sha256, metadata = self._pictures.pop(image, (None, Metadata()))
            side: dict[str, Any] = {"at": round(time.time(), 3), "usage": list(outcome.usage)}
            if isinstance(outcome, Captioned):
                record = Record(image, outcome.variants, self._model, metadata, outcome.flags)
                settled = Settled(record.to_json(), "", sha256, side)
            else:
                side |= {"detail": outcome.detail, "raw": outcome.raw}
                settled = Settled(None, outcome.reason, sha256, side)
            self._settle(image, settled)
            for twin in self._twins.pop(image, ()):
                self._settle_twin(twin, settled)

    def fail(self, image: str, reason: str, detail: str) -> None:
        """Journal that no record can be made of an image."""
        self.settle(Failed(image, reason, detail))

    def copy(self, image: str, record: Record) -> None:
        """Give an image the texts of another one with the same bytes."""
        self.settle(Captioned(image, record.variants, record.flags))

    def publish(self) -> bool:
        """Publish the lot's segment and manifest; False if another worker was first."""
        with self._lock:
            self._journal.commit()
            images = sorted(self.rows)
            lines = (
                RecordLine.of(Record.from_json(settled.record))
                for settled in map(self._settled.__getitem__, images)
                if settled.record is not None
            )
            lot, layout = self.lot, self._layout
            set_name = lot.intake.set
            segments = tuple(write_segments(layout, set_name, lines))
            of = self._settled
            manifest = LotManifest(
                set=set_name,
                lot=lot.ref.name,
                segments=segments,
                quarantined={i: of[i].reason for i in images if of[i].record is None},
                digests={i: sha for i in images if (sha := of[i].sha256) is not None},
            )
            side = [canonical_json({"image": i, **of[i].side}) for i in images]
            path = layout.side / set_name / f"{lot.ref.name}.jsonl"
            publish(path, b"\n".join([*side, b""]))
            first = publish_lot(layout, manifest)
            self._journal.close()
            for journal in _folder(layout, lot).glob(f"{lot.ref.name}.*.journal"):
                journal.unlink(missing_ok=True)
            return first

    def close(self) -> None:
        """Stop in good order: what was looked at and has no answer is nobody's fault."""
        with self._lock, self._journal:
            self._journal.append(b'["X"]')
            self._journal.commit()

    def forget(self) -> None:
        """Delete what this worker has journaled."""
        with self._lock:
            self._journal.close()
            self._journal.path.unlink(missing_ok=True)

    def _settle(self, image: str, settled: Settled) -> None:
        self._settled[image] = settled
        kind = "R" if settled.record is not None else "F"
        what = settled.record if settled.record is not None else settled.reason
        self._journal.append(
            canonical_json([kind, image, what, settled.sha256, dict(settled.side)])
        )
        self._uncommitted += 1
        now = time.monotonic()
        if self._uncommitted >= GROUP_RECORDS or now - self._committed > GROUP_SECONDS:
            self._journal.commit()
            self._uncommitted, self._committed = 0, now
        else:
            self._journal.flush()  # a killed process loses nothing of it, a power cut may

    def _settle_twin(self, image: str, first: Settled) -> None:
        sha256, metadata = self._pictures.pop(image)
        record = first.record
        if record is not None:
            known = Record.from_json(record)
            record = Record(image, known.variants, known.model, metadata, known.flags).to_json()
        self._settle(image, Settled(record, first.reason, sha256, {"same_as": True}))

    def _adopt(self, path: Path) -> None:
        """Read what an earlier worker left, up to a torn tail."""
        under_way: dict[str, str] = {}
        with path.open("rb") as file:
            for line in file:
                payload = payload_of(line)
                if payload is None:
                    log.warning("%s: dropped a torn tail", path)
                    break
                kind, *rest = json.loads(payload)
                if kind in "SA":
                    under_way[rest[0]] = kind
                elif kind == "W":
                    under_way.pop(rest[0], None)
                elif kind == "X":
                    under_way.clear()
                else:
                    image, what, sha256, side = rest
                    under_way.pop(image, None)
                    record, reason = (what, "") if kind == "R" else (None, what)
                    self._settled[image] = Settled(record, reason, sha256, side)
                    if sha256 is not None:
                        self._first.setdefault(sha256, image)
        self._together.update(image for image, kind in under_way.items() if kind == "S")
        self._alone.update(image for image, kind in under_way.items() if kind == "A")


def _folder(layout: Layout, lot: Lot) -> Path:
    return layout.journals / lot.intake.set


def _number(path: Path) -> tuple[int, str]:
    return int(path.name.split(".")[1].partition("-")[0]), path.name
