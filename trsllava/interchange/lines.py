"""JSON Lines: physical lines of bounded size, and what each says.

===================================  ========================================================
UTF-8 byte order mark                skipped, at the start of any line
CRLF; last line without newline      read
blank line                           skipped, and counted
bytes that are not UTF-8             bad line; the id is kept if it can be read
raw NUL                              bad line
``\\u0000``, lone ``\\ud800`` in a text  bad line
line above 16 MiB                    bad line, never held whole; reading goes on after it
nesting of any depth                 bad line (properties: up to 32 levels)
``NaN``, ``Infinity``                bad line
integers above Python's digit limit  bad line
the same key twice in one object     bad line: which of the two is meant cannot be known
JSON that is not an object           bad line
file cut inside its last line        bad line that says so; the id is kept if it can be read
===================================  ========================================================
"""

import re
from collections.abc import Iterator
from json import JSONDecodeError, JSONDecoder
from pathlib import Path
from typing import Any, BinaryIO

from trsllava.errors import InputError
from trsllava.interchange import openai_batch
from trsllava.interchange.bodies import named_image, piece_of
from trsllava.interchange.pieces import RAW_KEPT, BadLine, Line, Piece
from trsllava.interchange.values import checked_id, kind

LINE_LIMIT = 16 << 20
BOM = b"\xef\xbb\xbf"

_SKIP = 1 << 20
_ESCAPED_UNFIT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_FIRST_KEY = re.compile(
    r'\s*\{\s*(?:"id"\s*:\s*"[^"\\]*"\s*,\s*)?'
    r'"(?:image|image_path|filename|file_name|image_id|custom_id)"\s*:\s*("(?:[^"\\]|\\.)*")'
)


class Oversized(bytes):
    """The first bytes of a line above the limit."""

    __slots__ = ()


def physical_lines(file: BinaryIO, start: tuple[int, int]) -> Iterator[tuple[int, int, bytes]]:
    """Yield number, end and bytes of each line; of one above the limit an `Oversized` head."""
    number, end = start
    file.seek(end)
    while raw := file.readline(LINE_LIMIT + 1):
        number += 1
        end += len(raw)
        if len(raw) > LINE_LIMIT and not raw.endswith(b"\n"):
            head = Oversized(raw[:RAW_KEPT])
            while raw and not raw.endswith(b"\n"):
                raw = file.readline(_SKIP)
                end += len(raw)
            raw = head
        yield number, end, raw


def read_lines(file: BinaryIO, start: tuple[int, int], images: Path | None) -> Iterator[Line]:
    """Yield what each line of a JSON Lines file says, blank ones left out."""
    for number, end, raw in physical_lines(file, start):
        if raw.isspace() or (raw.startswith(BOM) and not raw[len(BOM) :].strip()):
            continue
        try:
            piece, note = _parse(raw, images)
        except InputError as error:
            image, failed = _salvaged(raw, images), isinstance(error, openai_batch.NoRecord)
            yield Line(number, end, BadLine(str(error), image, raw[:RAW_KEPT], failed))
        else:
            yield Line(number, end, piece, note)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    body = dict(pairs)
    if len(body) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice[:80]!r} stands twice in one object")
    return body


DECODER = JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_unique)


def parse_json(text: str) -> Any:
    """Parse JSON strictly.

    Raises `InputError` if it is not JSON, holds a key twice, a number beyond limits, or is
    nested too deep.
    """
    try:
        return DECODER.decode(text)
    except JSONDecodeError as error:
        raise InputError(f"not JSON: {error.msg} at character {error.pos + 1}") from error
    except ValueError as error:
        raise InputError(f"not a record: {error}") from error
    except RecursionError as error:
        raise InputError("not a record: JSON nested too deep") from error


def _parse(raw: bytes, images: Path | None) -> tuple[Piece, str | None]:
    """Read one line."""
    if isinstance(raw, Oversized):
        raise InputError(f"the line is longer than {LINE_LIMIT >> 20} MiB")
    try:
        text = raw.removeprefix(BOM).decode()
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8: byte {error.start + 1} of the line") from error
    try:
        body = parse_json(text)
    except InputError as error:
        if b"\0" in raw:
            raise InputError("the line holds NUL bytes") from error
        if raw.strip() in (b"[", b"{"):
            raise InputError("one object a line expected, not indented JSON") from error
        if not raw.endswith(b"\n") and "not JSON" in str(error):
            raise InputError(f"{error}; the file may be cut: its last line has no end") from error
        raise
    if not isinstance(body, dict):
        raise InputError(f"a JSON object expected, not {kind(body)}")
    if "custom_id" in body and openai_batch.is_batch_line(body):
        return openai_batch.piece_of(body, images)
    return piece_of(body, images, suspect=_ESCAPED_UNFIT.search(raw) is not None)


def _salvaged(raw: bytes, images: Path | None) -> str | None:
    """Return the id of the image that a bad line speaks of, if it can be known."""
    text = raw.removeprefix(BOM).decode(errors="surrogateescape")  # refused by `checked_id`
    try:
        try:
            body = parse_json(text)
        except InputError:
            first = _FIRST_KEY.match(text)
            return checked_id(parse_json(first[1]), images) if first else None
        if not isinstance(body, dict):
            return None
        if openai_batch.is_batch_line(body):
            return checked_id(body["custom_id"], images)
        return named_image(body, images)
    except InputError:
        return None
