"""The journal: what a job has done so far, one checked line at a time.

A line is ``crc32 payload\\n``, the CRC over the payload in eight hex digits.
After a crash the lines before the first bad one are the truth; what follows is
a torn tail, which is cut off and reported.
"""

import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from trsllava.errors import StoreDamaged


def checked_line(payload: bytes) -> bytes:
    """Return the payload (which holds no newline) as a line with its CRC."""
    return b"%08x %b\n" % (zlib.crc32(payload), payload)


def payload_of(line: bytes) -> bytes | None:
    """Return the payload of a whole line, or None when it is torn or damaged."""
    if len(line) < 10 or not line.endswith(b"\n") or line[8:9] != b" ":
        return None
    payload = line[9:-1]
    return payload if line[:8] == b"%08x" % zlib.crc32(payload) else None


class Journal:
    """An append-only file of checked lines."""

    def __init__(self, path: Path) -> None:
        """Open the journal for appending; its good lines stay, a torn tail is cut off.

        Parameters
        ----------
        path
            Where the journal lies or shall lie.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = path.open("a+b")
        self.torn = self._recover()

    def _recover(self) -> int:
        """Cut the file after its last good line and return how many bytes that took."""
        self._file.seek(0)
        good = 0
        for line in self._file:
            if payload_of(line) is None:
                break
            good += len(line)
        end = os.fstat(self._file.fileno()).st_size
        self._file.truncate(good)
        self._file.seek(0, os.SEEK_END)
        return end - good

    def append(self, payload: bytes) -> None:
        """Add one line; it is durable after the next `commit`."""
        self._file.write(checked_line(payload))

    def flush(self) -> None:
        """Hand every line so far to the kernel: they outlive this process, not a power cut."""
        self._file.flush()

    def commit(self) -> None:
        """Make every line so far durable."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def cut(self, size: int) -> None:
        """Drop everything after the first ``size`` bytes."""
        self._file.flush()
        self._file.truncate(size)
        self._file.seek(0, os.SEEK_END)

    def tell(self) -> int:
        """Return the size in bytes, lines not yet committed included."""
        return self._file.tell()

    def __enter__(self) -> Self:
        """Return the journal itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file; what was not committed may be lost."""
        self.close()

    def close(self) -> None:
        """Close the file; what was not committed may be lost."""
        self._file.close()


def read_lines(path: Path, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """Yield the payloads between two byte offsets that stand at line starts.

    Raises `StoreDamaged` at the first line whose CRC does not match.
    """
    with path.open("rb") as file:
        file.seek(start)
        at = start
        for line in file:
            if end is not None and at >= end:
                return
            payload = payload_of(line)
            if payload is None:
                raise StoreDamaged(f"{path} is damaged at byte {at}")
            at += len(line)
            yield payload
