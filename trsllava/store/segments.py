"""Segments: immutable files of records, sorted by image id, equal by construction.

The first line is a header, each further line one record as canonical JSON, so
the same records always give the same bytes. Nothing that varies between runs
(times, hosts, latency) is in a segment.
"""

import hashlib
import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from trsllava.errors import StoreDamaged
from trsllava.records import Record, canonical_json
from trsllava.store.files import publish, seal, unseal
from trsllava.store.layout import SEGMENT_RECORDS, VERSION, Layout, SegmentRef

SEGMENT_BYTES = 64 << 20


class RecordLine(NamedTuple):
    """A record's canonical JSON with what the store must know without parsing it."""

    image: str
    thin: bool
    line: bytes

    @classmethod
    def of(cls, record: Record) -> "RecordLine":
        """Return the line of a record."""
        return cls(record.image, record.is_thin, canonical_json(record.to_json()))


@dataclass(frozen=True, slots=True)
class Offsets:
    """A segment's sidecar: the line of ``ids[i]`` begins at ``starts[i]``, ends at the next."""

    ids: tuple[str, ...]
    starts: tuple[int, ...]
    thin: frozenset[int]

    def row(self, image: str) -> int | None:
        """Return the row of an image, or None."""
        at = bisect_left(self.ids, image)
        return at if at < len(self.ids) and self.ids[at] == image else None


def write_segments(
    layout: Layout, set_name: str, lines: Iterable[RecordLine]
) -> Iterator[SegmentRef]:
    """Publish lines (sorted by image id) as segments of at most `SEGMENT_RECORDS` records."""
    batch: list[RecordLine] = []
    size = 0
    for line in lines:
        if batch and (len(batch) == SEGMENT_RECORDS or size + len(line.line) > SEGMENT_BYTES):
            yield _write(layout, set_name, batch)
            batch, size = [], 0
        batch.append(line)
        size += len(line.line)
    if batch:
        yield _write(layout, set_name, batch)


def _write(layout: Layout, set_name: str, batch: list[RecordLine]) -> SegmentRef:
    header = canonical_json({"format": "trsllava-segment", "set": set_name, "version": VERSION})
    starts = [len(header) + 1]
    for line in batch:
        starts.append(starts[-1] + len(line.line) + 1)
    data = b"\n".join([header, *(line.line for line in batch), b""])
    thin = [row for row, line in enumerate(batch) if line.thin]
    sidecar = seal(
        {
            "format": "trsllava-offsets",
            "version": VERSION,
            "ids": [line.image for line in batch],
            "starts": starts,
            "thin": thin,
        }
    )
    ref = SegmentRef(
        set=set_name,
        sha256=hashlib.sha256(data).hexdigest(),
        offsets_sha256=hashlib.sha256(sidecar).hexdigest(),
        records=len(batch),
        thin=len(thin),
        first=batch[0].image,
        last=batch[-1].image,
    )
    # The name is the content's digest: writing it again writes the same bytes.
    publish(layout.segment(ref), data)
    publish(layout.offsets(ref), sidecar)
    return ref


def read_offsets(layout: Layout, ref: SegmentRef) -> Offsets:
    """Read a segment's sidecar.

    Raises `StoreDamaged` if it does not belong to the segment.
    """
    path = layout.offsets(ref)
    body = unseal(path, VERSION)
    if len(body["ids"]) != ref.records or len(body["starts"]) != ref.records + 1:
        raise StoreDamaged(f"{path} does not belong to its segment; restore it from a backup")
    return Offsets(tuple(body["ids"]), tuple(body["starts"]), frozenset(body["thin"]))


def read_line(path: Path, start: int, end: int) -> bytes:
    """Return the canonical JSON of the record between two byte offsets.

    Raises `StoreDamaged` if the file is missing or too short.
    """
    try:
        with path.open("rb") as file:
            file.seek(start)
            data = file.read(end - start)
    except OSError as error:
        raise StoreDamaged(f"{path} cannot be read: {error.strerror}") from error
    if len(data) != end - start or not data.endswith(b"\n"):
        raise StoreDamaged(f"{path} is damaged at byte {start}; run: trsllava verify")
    return data[:-1]


def parse_line(path: Path, line: bytes) -> Record:
    """Return the record of a canonical line.

    Raises `StoreDamaged` if the line is not what the store wrote.
    """
    try:
        return Record.from_json(json.loads(line))
    except (ValueError, KeyError, TypeError) as error:
        raise StoreDamaged(f"{path} is damaged: {error!r}; run: trsllava verify") from error
