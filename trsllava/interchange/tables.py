"""CSV: one row per variant, read from anyone's spreadsheet and written for anyone's.

Read: a header that names the image and its texts (the names of `bodies`, in
any order and case), separated by commas, semicolons or tabs. An empty cell is
a text that was not given. A row that cannot be parsed costs its first line;
reading goes on with the next.

Written: what a spreadsheet would take for a formula (a cell that begins with
``=``, ``+``, ``-``, ``@``, a tab or a line break) gets a ``'`` in front, as
OWASP advises, which `read_rows` takes off again. Control characters and
direction marks are spelled out (``\\x1b``) and stay so: to keep every byte,
export rsrt or parquet.
"""

import codecs
import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from trsllava.errors import InputError, UsageError
from trsllava.interchange.bodies import FIELD_KEYS, ID_KEYS, named_image, piece_of
from trsllava.interchange.lines import BOM, LINE_LIMIT, Oversized, parse_json, physical_lines
from trsllava.interchange.pieces import RAW_KEPT, BadLine, Line, Piece
from trsllava.records import FIELDS, Record, canonical_json

BOX = ("west", "south", "east", "north")
COLUMNS = ("image", "variant", *FIELDS, "model", "datetime", *BOX, "properties")

HEAD = 4096  # bytes in which a header must end

_DELIMITERS = ",;\t"
_USED = {*ID_KEYS, *FIELD_KEYS, "text", "model", "datetime", *BOX, "bbox", "properties"}
_FORMULA = re.compile("'*[=+\\-@\t\r\n＝＋－＠]")
_NEUTRALISED = re.compile("'" + _FORMULA.pattern)
_CONTROL = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
)


@dataclass(frozen=True, slots=True)
class Header:
    """The first line of a CSV file."""

    names: tuple[str, ...]
    delimiter: str
    end: int


def header_of(head: bytes) -> Header | None:
    """Return the header, if the first bytes of a file hold one that names images and texts.

    Raises `UsageError` if it names a column twice.
    """
    first, newline, _ = head.partition(b"\n")
    if not newline and len(head) == HEAD:
        return None
    try:
        text = first.removeprefix(BOM).decode()
        for delimiter in _DELIMITERS:
            row = next(csv.reader([text], delimiter=delimiter, strict=True), [])
            names = tuple(name.strip().lower() for name in row)
            if set(names) & set(ID_KEYS) and set(names) & {*FIELD_KEYS, "text"}:
                twice = [name for name in _USED if names.count(name) > 1]
                if twice:
                    raise UsageError(f"the header names the column {twice[0]!r} twice")
                return Header(names, delimiter, len(first) + len(newline))
    except (UnicodeDecodeError, csv.Error):
        return None
    return None


class _Source:
    """The lines that a CSV reader takes, and where the row that it is in began."""

    def __init__(self, file: BinaryIO, start: tuple[int, int]) -> None:
        self._lines = physical_lines(file, start)
        self.first = self.last = start
        self.raw = b""
        self._size = 0

    def begin(self) -> None:
        """Say that the next line begins a row."""
        self.raw = b""
        self._size = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        number, end, raw = next(self._lines)
        self.last = number, end
        if not self._size:
            self.first = self.last
        self._size += len(raw)
        if len(self.raw) < RAW_KEPT:
            self.raw += raw[:RAW_KEPT]
        if isinstance(raw, Oversized) or self._size > LINE_LIMIT:
            raise csv.Error(f"longer than {LINE_LIMIT >> 20} MiB")
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise csv.Error(f"not UTF-8: byte {error.start + 1} of the line") from error


def read_rows(
    file: BinaryIO, header: Header, start: tuple[int, int], images: Path | None
) -> Iterator[Line]:
    """Yield what each row says."""
    position = start if start[0] else (1, header.end)
    while True:
        source = _Source(file, position)
        reader = csv.reader(source, delimiter=header.delimiter, strict=True)
        try:
            while True:
                source.begin()
                row = next(reader)
                if row:
                    yield _line(source, header, row, images)
        except StopIteration:
            return
        except csv.Error as error:
            position = source.first
            raw = source.raw.split(b"\n", 1)[0][:RAW_KEPT]
            image = _salvaged(raw, header, images)
            yield Line(*position, BadLine(f"not a CSV row: {error}", image, raw))


def _line(source: _Source, header: Header, row: list[str], images: Path | None) -> Line:
    content: Piece | BadLine
    note = None
    try:
        content, note = piece_of(_body(header, row), images)
    except InputError as error:
        content = BadLine(str(error), _id_in(row, header, images), source.raw[:RAW_KEPT])
    return Line(*source.last, content, note)


def _body(header: Header, row: Sequence[str]) -> dict[str, Any]:
    """Return a row as the object of a flat line; empty cells are absent."""
    if len(row) != len(header.names):
        raise InputError(f"{len(row)} cells under a header of {len(header.names)}")
    body: dict[str, Any] = {
        name: _restored(cell)
        for name, cell in zip(header.names, row, strict=True)
        if name in _USED and cell.strip()
    }
    if "properties" in body:
        body["properties"] = parse_json(body["properties"])
    sides = [body.pop(side) for side in BOX if side in body]
    if "bbox" in body:
        sides = body["bbox"].strip("[] ").split(",")
    if sides:
        try:
            body["bbox"] = [float(side) for side in sides]
        except ValueError as error:
            raise InputError(f"the bbox {','.join(sides)[:80]!r} is not four numbers") from error
    return body


def _salvaged(raw: bytes, header: Header, images: Path | None) -> str | None:
    """Return the id in a line that is no row, if it can be known."""
    text = raw.decode(errors="surrogateescape")  # refused in an id
    try:
        row = next(csv.reader([text], delimiter=header.delimiter), [])
    except csv.Error:
        return None
    if len(raw) == RAW_KEPT:  # its last cell may be cut
        row.pop()
    return _id_in(row, header, images)


def _id_in(row: Sequence[str], header: Header, images: Path | None) -> str | None:
    """Return the id in a bad row, if it can be known."""
    cells = zip(header.names, map(_restored, row), strict=False)
    try:
        return named_image(dict(cells), images)
    except InputError:
        return None


def write_csv(file: BinaryIO, records: Iterable[Record]) -> int:
    """Write one row per variant; return the number of records."""
    rows = csv.writer(codecs.getwriter("utf-8")(file), lineterminator="\n")
    rows.writerow(COLUMNS)
    count = 0
    for record in records:
        count += 1
        metadata = record.metadata
        properties = canonical_json(metadata.properties).decode() if metadata.properties else ""
        rest = (
            _cell(record.model or ""),
            _cell(metadata.datetime or ""),
            *(metadata.bbox or ("",) * 4),
            _cell(properties),
        )
        image = _cell(record.image)
        for number, variant in enumerate(record.variants, start=1):
            rows.writerow((image, number, *map(_cell, variant.texts()), *rest))
    return count


def _cell(text: str) -> str:
    """Return a text as a cell that a spreadsheet shows and does not run."""
    text = _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
    return f"'{text}" if _FORMULA.match(text) else text


def _restored(cell: str) -> str:
    """Undo what `_cell` did to a formula."""
    return cell[1:] if _NEUTRALISED.match(cell) else cell
