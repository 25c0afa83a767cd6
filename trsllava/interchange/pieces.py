"""What one line says about one image, and how the lines of one image become its record."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from trsllava.errors import ConflictError
from trsllava.records import VARIANTS, BBox, Metadata, Record, Variant

RAW_KEPT = 4096  # bytes of a bad line that are kept to look at

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Piece:
    """What one line (or row) says about one image.

    ``whole`` tells a whole record from one variant of possibly several lines, ``answer`` what came
    back from a service that was asked about images of ours.
    """

    image: str
    variants: tuple[Variant, ...]
    whole: bool
    model: str | None
    metadata: Metadata
    answer: bool = False


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that gives no record; ``image`` is there when its id could still be read.

    ``failed`` if the line is sound and says that this image got no record.
    """

    reason: str
    image: str | None
    raw: bytes
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A line and where it ends.

    ``number`` counts lines (CSV: the last line of the row; parquet: rows) from
    1. ``(number, end)`` is where `read` goes on after this line. ``note`` says
    what of the line was left out.
    """

    number: int
    end: int
    content: Piece | BadLine
    note: str | None = None


def assemble(pieces: Sequence[Piece]) -> tuple[Record, list[str]]:
    """Make one record of the pieces of one image, in the order in which they were read.

    Parameters
    ----------
    pieces
        At least one; all of the same image.

    Returns
    -------
    tuple[Record, list[str]]
        The record, and what was left out. The notes name no image, so that equal ones can be
        counted.

    Raises
    ------
    ConflictError
        If the pieces contradict each other, or a whole record meets a single variant.
    """
    image = pieces[0].image
    notes = []
    distinct = dict.fromkeys((piece.whole, piece.variants) for piece in pieces)
    if len(distinct) < len(pieces):
        notes.append("a line that repeats another one of the same image was taken once")
    wholes = [variants for whole, variants in distinct if whole]
    parts = [variant for whole, variants in distinct if not whole for variant in variants]
    if len(wholes) > 1:
        raise ConflictError(f"{image!r} has {len(wholes)} different records")
    if wholes and parts:
        raise ConflictError(f"{image!r} has both a whole record and single variants")
    if len(parts) > VARIANTS:
        notes.append(f"an image has more than {VARIANTS} variants; the first {VARIANTS} were kept")
    record = Record(
        image,
        wholes[0] if wholes else tuple(parts[:VARIANTS]),
        _agreed(image, "model", [piece.model for piece in pieces]),
        _merged(image, [piece.metadata for piece in pieces]),
    )
    return record, notes


def _agreed(image: str, key: str, values: Sequence[_T | None]) -> _T | None:
    """Return the one value that is given, or None."""
    found: _T | None = None
    for value in values:
        if value is None or value == found:
            continue
        if found is not None:
            raise ConflictError(f"{image!r} has two different values of {key}")
        found = value
    return found


def _merged(image: str, parts: Sequence[Metadata]) -> Metadata:
    """Return the union of what the lines say about place, date and the rest."""
    if all(part == parts[0] for part in parts):
        return parts[0]
    bbox: BBox | None = _agreed(image, "bbox", [part.bbox for part in parts])
    datetime: str | None = _agreed(image, "datetime", [part.datetime for part in parts])
    properties: dict[str, Any] = {}
    for part in parts:
        for key, value in part.properties.items():
            if key in properties and properties[key] != value:
                raise ConflictError(f"{image!r} has two different values of property {key!r}")
            properties[key] = value
    return Metadata(bbox, datetime, properties)
