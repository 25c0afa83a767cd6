"""Opening a file of records, whatever its form."""

import gzip
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from trsllava.errors import InputError, UsageError
from trsllava.interchange import parquet, tables
from trsllava.interchange.lines import BOM, read_lines
from trsllava.interchange.pieces import Line

EXPECTED = "expected JSON Lines (one object a line), CSV with a header, parquet, or OpenAI Batch"

_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"
_OBJECT = re.compile(rb'(?:^|\n)(?:\xef\xbb\xbf)?[ \t\r]*\{[ \t]*"')
_TEXT_SUFFIXES = {".jsonl", ".ndjson", ".json", ".txt"}


def read(
    path: Path, start: tuple[int, int] = (0, 0), *, images: Path | None = None
) -> Iterator[Line]:
    """Yield what each line of a file says about an image.

    Memory is constant. A file without any line yields nothing. A file that
    gzip packed is read too.

    Parameters
    ----------
    path
        The file. Its form is told by its content.
    start
        ``(number, end)`` of the last line that was taken already.
    images
        The folder of the pictures; absolute image paths under it are made relative to it.

    Yields
    ------
    Line
        A piece, or a bad line with its reason.

    Raises
    ------
    InputError
        If the file is missing, unreadable or damaged as a whole (a `UsageError` if it is of
        no form that is known).
    MissingExtra
        If it is parquet and pyarrow is not installed.
    """
    path = Path(path)
    if path.is_dir():
        raise UsageError(f"{path} is a folder; name the files of records in it")
    try:
        with path.open("rb") as plain:
            packed = plain.read(2) == _GZIP
            plain.seek(0)
            if packed:
                with gzip.open(plain) as unpacked:
                    yield from _read(path, unpacked, start, images)  # type: ignore[arg-type]
            else:
                yield from _read(path, plain, start, images)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path} is damaged: {error}") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def _read(
    path: Path, file: BinaryIO, start: tuple[int, int], images: Path | None
) -> Iterator[Line]:
    """Tell the form by the first bytes and read on."""
    head = file.read(tables.HEAD)
    if head.startswith(_PARQUET):
        return parquet.read_rows(path, file, start, images)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UsageError(f"{path} is UTF-16; save it as UTF-8")
    try:
        header = tables.header_of(head)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    if header is not None:
        return tables.read_rows(file, header, start, images)
    suffix = path.suffix.lower()
    text = head.isascii() and b"\0" not in head
    if (
        _OBJECT.search(head)
        or not head.removeprefix(BOM).strip()
        or (text and suffix in _TEXT_SUFFIXES)
    ):
        return read_lines(file, start, images)
    if suffix == ".parquet":
        raise InputError(f"{path} is damaged: it does not begin as a parquet file does")
    raise UsageError(f"{path} is not a file of records; {EXPECTED}")
