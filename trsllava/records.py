"""The record: what is known in words about one image.

A record is five variants of {one_sentence, feature, caption}, the RSRT form of
"Beyond Pixels" (arXiv 2512.10596), with the model that wrote it and, when
known, where and when the picture was taken. A *thin* record holds fewer texts,
because fewer were given; the missing ones are never invented.
"""

import json
import re
import unicodedata
from calendar import monthrange
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from typing import Any, NamedTuple

from trsllava.errors import InputError

FIELDS = ("one_sentence", "feature", "caption")
VARIANTS = 5


class BBox(NamedTuple):
    """A box in EPSG:4326 degrees; ``west > east`` crosses the antimeridian (RFC 7946, 5.2)."""

    west: float
    south: float
    east: float
    north: float


class Text(NamedTuple):
    """One text of a record and where it stands; variants are counted from 1."""

    variant: int
    field: str
    text: str


@dataclass(frozen=True, slots=True)
class Variant:
    """One way of describing the image; an empty string is a text that was not given."""

    one_sentence: str = ""
    feature: str = ""
    caption: str = ""

    def texts(self) -> tuple[str, str, str]:
        """Return the three texts in the order of `FIELDS`."""
        return self.one_sentence, self.feature, self.caption


@dataclass(frozen=True, slots=True)
class Metadata:
    """Where and when, and whatever else is known.

    ``datetime`` is an RFC 3339 instant, a day, a month or a year (the whole of it), or an
    interval ``start/end`` of these with ``..`` for an open end, as in the STAC API.
    """

    bbox: BBox | None = None
    datetime: str | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return what is known as a JSON object, the rest left out."""
        body: dict[str, Any] = {}
        if self.bbox is not None:
            body["bbox"] = list(self.bbox)
        if self.datetime is not None:
            body["datetime"] = self.datetime
        if self.properties:
            body["properties"] = dict(self.properties)
        return body

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> "Metadata":
        """Read what `to_json` wrote; other keys of ``body`` are passed over."""
        bbox = body.get("bbox")
        return cls(BBox(*bbox) if bbox else None, body.get("datetime"), body.get("properties", {}))


@dataclass(frozen=True, slots=True)
class Record:
    """What is known in words about one image.

    ``flags`` say what was unusual when a captioner wrote it, such as ``repaired``.
    """

    image: str
    variants: tuple[Variant, ...]
    model: str | None = None
    metadata: Metadata = field(default_factory=Metadata)
    flags: tuple[str, ...] = ()

    @property
    def is_thin(self) -> bool:
        """Whether any of the fifteen texts is missing."""
        return len(self.variants) < VARIANTS or not all(all(v.texts()) for v in self.variants)

    def texts(self) -> Iterator[Text]:
        """Yield the texts that are there, variant by variant, in the order of `FIELDS`."""
        for number, variant in enumerate(self.variants, start=1):
            for name, text in zip(FIELDS, variant.texts(), strict=True):
                if text:
                    yield Text(number, name, text)

    def to_json(self) -> dict[str, Any]:
        """Return the official one-line-per-image form, missing texts left out."""
        body: dict[str, Any] = {"image": self.image, **self.metadata.to_json()}
        if self.flags:
            body["flags"] = list(self.flags)
        if self.model is not None:
            body["model"] = self.model
        body["variants"] = [
            {name: text for name, text in zip(FIELDS, v.texts(), strict=True) if text}
            for v in self.variants
        ]
        return body

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> "Record":
        """Read what `to_json` wrote; for lines from outside use `trsllava.interchange`."""
        return cls(
            image=body["image"],
            variants=tuple(Variant(**v) for v in body["variants"]),
            model=body.get("model"),
            metadata=Metadata.from_json(body),
            flags=tuple(body.get("flags", ())),
        )


def canonical_json(value: Any) -> bytes:
    """Return the one spelling of a JSON value: sorted keys, no spaces, UTF-8.

    Raises `ValueError` if the value holds NaN, an infinity or a lone surrogate.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def image_id(name: object) -> str:
    """Return the id in its one spelling: a relative POSIX path in Unicode NFC.

    Raises `InputError` if it is empty, absolute, climbs out of its folder, or could never be a
    file name.
    """
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"an image id must be a non-empty string, not {name!r}")
    if "\0" in name or re.search(r"[\ud800-\udfff]", name):
        raise InputError(f"the image id {name!r} holds a NUL or a lone surrogate")
    if name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:[\\/]", name):
        raise InputError(f"the image id {name!r} is absolute; give it relative to the images")
    parts = [
        part for part in unicodedata.normalize("NFC", name).split("/") if part not in ("", ".")
    ]
    if not parts or ".." in re.split(r"[/\\]", name):
        raise InputError(f"the image id {name!r} leaves its folder; '..' is not allowed")
    return "/".join(parts)


def bounding_box(value: object) -> BBox:
    """Check a box W,S,E,N in degrees.

    Raises `InputError` if it is not four finite numbers in that order and range.
    """
    if isinstance(value, list | tuple) and len(value) == 6:  # GeoJSON with heights
        value = [value[0], value[1], value[3], value[4]]
    if (
        isinstance(value, list | tuple)
        and len(value) == 4
        # NaN, infinities and integers too large for a float are not between the limits either.
        and all(type(v) in (int, float) and -180 <= v <= 180 for v in value)
        and -90 <= value[1] <= value[3] <= 90
    ):
        return BBox(*map(float, value))
    raise InputError(
        f"{str(value)[:80]} is no bbox: W,S,E,N in degrees expected; did you give lat,lon?"
    )


EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)


def time_span(text: object) -> tuple[datetime, datetime]:
    """Return the first and the last instant (UTC) that a ``datetime`` stands for.

    A time without a zone is read as UTC.

    Raises `InputError` if it is no date, instant or interval, or an interval that ends before
    it starts.
    """
    if not isinstance(text, str):
        raise InputError(f"a datetime must be a string, not {text!r}")
    start, slash, end = text.partition("/")
    if not slash:
        return _moment(text)
    span = (
        EARLIEST if start in ("", "..") else _moment(start)[0],
        LATEST if end in ("", "..") else _moment(end)[1],
    )
    if span == (EARLIEST, LATEST):
        raise InputError(f"the interval {text!r} is open at both ends: leave the datetime out")
    if span[0] > span[1]:
        raise InputError(f"the interval {text!r} ends before it starts")
    return span


def _moment(text: str) -> tuple[datetime, datetime]:
    """Return first and last instant of one time, day, month or year."""
    try:
        if match := re.fullmatch(r"(\d{4})(?:-(\d\d))?(?:-(\d\d))?", text):
            year, month, day = (int(part) if part else None for part in match.groups())
            start = datetime(year or 0, month or 1, day or 1, tzinfo=UTC)
            if day:
                last = start
            elif month:
                last = start.replace(day=monthrange(start.year, month)[1])
            else:
                last = start.replace(month=12, day=31)
            return start, datetime.combine(last, time.max, UTC)
        if not re.match(r"\d{4}-\d\d-\d\d[T ]", text, re.IGNORECASE):
            raise InputError(f"{text!r} is not a date or an RFC 3339 time: YYYY-MM-DD expected")
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InputError(f"{text!r} is not a date or an RFC 3339 time: {error}") from error
    return moment, moment
