"""The journal of an import: what its files say, in sorted runs.

Payloads are of three kinds. ``P`` is a piece: image id, file, line, flags
(``w`` whole or ``p`` part, then ``t`` thin or ``f`` full, then ``a`` if it is an
answer of a service) and the canonical record, tab-separated. ``B`` is a line
that was set aside. ``M`` ends a run and names the line to go on with.
"""

import json
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from trsllava.errors import InputError, StoreDamaged
from trsllava.interchange import BadLine, Piece, read
from trsllava.records import Record, canonical_json
from trsllava.store.journal import Journal, payload_of, read_lines

log = logging.getLogger(__name__)

RUN_BYTES = 32 << 20
_CHUNK = 64 << 10  # bytes of each run held while runs are merged
_OVERHEAD = 400  # bytes of Python objects around a short line


class Entry(NamedTuple):
    """One piece in the journal; sorts by image, then by where it stood."""

    image: str
    file: int
    line: int
    flags: str
    body: bytes

    @property
    def thin(self) -> bool:
        """Whether the piece alone would make a thin record."""
        return self.flags[1] == "t"

    @property
    def answer(self) -> bool:
        """Whether the piece is an answer of a service."""
        return self.flags[2:] == "a"

    @classmethod
    def of(cls, piece: Piece, file: int, line: int) -> "Entry":
        """Return the entry of a piece that stood in a line of a file."""
        record = Record(piece.image, piece.variants, piece.model, piece.metadata)
        flags = ("w" if piece.whole else "p") + ("t" if record.is_thin else "f")
        flags += "a" if piece.answer else ""
        return cls(piece.image, file, line, flags, canonical_json(record.to_json()))

    def piece(self) -> Piece:
        """Return the piece again."""
        record = Record.from_json(json.loads(self.body))
        whole = self.flags[0] == "w"
        return Piece(
            record.image, record.variants, whole, record.model, record.metadata, self.answer
        )

    def payload(self) -> bytes:
        """Return the journal's payload."""
        name = json.dumps(self.image).encode()
        place = b"%d\t%d" % (self.file, self.line)
        return b"\t".join((b"P", name, place, self.flags.encode(), self.body))

    @classmethod
    def parse(cls, payload: bytes) -> "Entry":
        """Read what `payload` wrote."""
        _, name, file, line, flags, body = payload.split(b"\t", 5)
        return cls(json.loads(name), int(file), int(line), flags.decode(), body)


class SetAside(NamedTuple):
    """A line that gives no record; ``failed`` if it is sound and says so itself."""

    file: int
    line: int
    reason: str
    image: str | None
    raw: str
    failed: bool = False


@dataclass(slots=True)
class Progress:
    """How far a journal has got: its runs (byte ranges) and the next line to read."""

    runs: list[tuple[int, int]] = field(default_factory=list)
    set_aside: list[SetAside] = field(default_factory=list)
    file: int = 0
    position: tuple[int, int] = (0, 0)

    @property
    def end(self) -> int:
        """Where the last run ends."""
        return self.runs[-1][1] if self.runs else 0


def read_into(
    journal: Journal, files: Sequence[Path], images: Path | None, skip_bad: bool
) -> Progress:
    """Journal what the files say, going on where a killed import stopped.

    Raises `InputError` at the first bad line, unless ``skip_bad``; one that says that its image
    got no record is none.
    """
    progress = _resume(journal)
    for number in range(progress.file, len(files)):
        run: list[Entry] = []
        size = 0
        start = progress.position if number == progress.file else (0, 0)
        last = start
        for line in read(files[number], start, images=images):
            last = (line.number, line.end)
            if isinstance(line.content, BadLine):
                bad = line.content
                if not skip_bad and not bad.failed:
                    raise InputError(
                        f"{files[number]}, line {line.number}: {bad.reason}. Nothing was "
                        "imported; repair the line, or set bad lines aside with --skip-bad"
                    )
                raw = bad.raw.decode(errors="backslashreplace")
                aside = SetAside(number, line.number, bad.reason, bad.image, raw, bad.failed)
                progress.set_aside.append(aside)
                journal.append(b"B\t" + canonical_json(aside))
                continue
            if line.note:
                log.warning("%s, line %d: %s", files[number], line.number, line.note)
            run.append(Entry.of(line.content, number, line.number))
            size += len(run[-1].body) + _OVERHEAD
            if size > RUN_BYTES:
                _end_run(journal, progress, run, (number, *last))
                run, size = [], 0
        if last != start:
            _end_run(journal, progress, run, (number + 1, 0, 0))
    return progress


def _resume(journal: Journal) -> Progress:
    """Return how far an earlier import came; what follows its last run is dropped."""
    if journal.torn:
        log.warning("%s: dropped a torn tail of %d bytes", journal.path, journal.torn)
    progress = Progress()
    set_aside: list[SetAside] = []
    at = 0
    for payload in read_lines(journal.path):
        at += len(payload) + 10
        if payload[:1] == b"B":
            set_aside.append(SetAside(*json.loads(payload[2:])))
        elif payload[:1] == b"M":
            file, number, position = json.loads(payload[2:])
            progress.runs.append((progress.end, at))
            progress.set_aside += set_aside
            progress.file, progress.position = file, (number, position)
            set_aside = []
    journal.cut(progress.end)
    if progress.runs:
        log.warning("going on with an import that was stopped (%d runs read)", len(progress.runs))
    return progress


def _end_run(
    journal: Journal, progress: Progress, run: list[Entry], mark: tuple[int, int, int]
) -> None:
    """Journal a run, sorted, and the line to go on with."""
    start = progress.end
    for entry in sorted(run):
        journal.append(entry.payload())
    journal.append(b"M\t" + json.dumps(mark).encode())
    journal.commit()
    progress.runs.append((start, journal.tell()))


def entries(path: Path, journal: BinaryIO, run: tuple[int, int]) -> Iterator[Entry]:
    """Yield the pieces of one run; many runs share the one open file.

    Raises `StoreDamaged` if a line's CRC does not match.
    """
    at, end = run
    rest = b""
    while at < end:
        chunk = os.pread(journal.fileno(), min(_CHUNK, end - at), at)
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            payload = payload_of(line + b"\n")
            if payload is None:
                raise StoreDamaged(f"{path} is damaged near byte {at}; delete it and import again")
            if payload[:1] == b"P":
                yield Entry.parse(payload)
        if not chunk:
            raise StoreDamaged(f"{path} was cut at byte {at}; delete it and import again")
        at += len(chunk)
