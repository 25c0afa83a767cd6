"""Where and when a picture was taken, as its EXIF or TIFF tags tell; XMP is never parsed.

A doubtful position is none: a missing hemisphere, a sign that contradicts it, a division by
zero, a place out of range or exactly at 0, 0. A time without a zone is taken for UTC.
"""

import math
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from trsllava.records import BBox, Metadata

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image

_ORIENTATION = 0x0112
_DATE_TIME = 0x0132
_EXIF = 0x8769
_GPS = 0x8825
_ORIGINAL, _OFFSET, _OFFSET_ORIGINAL = 0x9003, 0x9010, 0x9011
_LATITUDE_REF, _LATITUDE, _LONGITUDE_REF, _LONGITUDE, _STATUS = 1, 2, 3, 4, 9
# What Pillow raises on directories of tags that point nowhere.
_BROKEN = (OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError)


def orientation(picture: "Image") -> int:
    """Return the EXIF orientation, 1 (upright) if there is none or it is none of the eight."""
    try:
        turned = picture.getexif().get(_ORIENTATION, 1)
    except _BROKEN:
        return 1
    return turned if turned in range(1, 9) else 1


def told(picture: "Image") -> Metadata:
    """Return what a loaded picture tells about where and when it was taken."""
    try:
        tags = picture.getexif()
        return Metadata(bbox=_position(tags.get_ifd(_GPS)), datetime=_time(tags))
    except _BROKEN:
        return Metadata()


def _time(tags: Any) -> str | None:
    """Return the time of the exposure, else that of the file, in RFC 3339."""
    details = tags.get_ifd(_EXIF)
    return _instant(details.get(_ORIGINAL), details.get(_OFFSET_ORIGINAL)) or _instant(
        tags.get(_DATE_TIME), details.get(_OFFSET)
    )


def _instant(value: Any, offset: Any) -> str | None:
    """Return ``YYYY:MM:DD HH:MM:SS`` with its zone in RFC 3339; None if it is no time."""
    match = re.match(r"(\d{4}):(\d\d):(\d\d)[ T](\d\d:\d\d:\d\d)", _text(value))
    if not match:
        return None
    zone = _text(offset)
    zone = zone if re.fullmatch(r"[+-]\d\d:\d\d", zone) else "Z"
    moment = f"{match[1]}-{match[2]}-{match[3]}T{match[4]}{zone}"
    try:
        datetime.fromisoformat(moment)
    except ValueError:
        return None
    return moment


def _position(gps: "Mapping[int, Any]") -> BBox | None:
    """Return the place of the camera as a box without size."""
    south = _degrees(gps.get(_LATITUDE), _text(gps.get(_LATITUDE_REF)), "NS", 90)
    west = _degrees(gps.get(_LONGITUDE), _text(gps.get(_LONGITUDE_REF)), "EW", 180)
    void = _text(gps.get(_STATUS)).upper() == "V"
    if south is None or west is None or void or (south == 0 and west == 0):
        return None
    return BBox(west, south, west, south)


def _degrees(value: Any, reference: str, signs: str, limit: int) -> float | None:
    """Return degrees of one to three parts (degrees, minutes, seconds), signed once."""
    parts = value if isinstance(value, tuple | list) else (value,)
    sign = {signs[0]: 1, signs[1]: -1}.get(reference.upper())
    if sign is None or value is None or not 1 <= len(parts) <= 3:
        return None
    numbers = [float(part) for part in parts]
    if not all(map(math.isfinite, numbers)) or any(abs(n) > 60 for n in numbers[1:]):
        return None
    if sign > 0 and any(n < 0 for n in numbers):
        return None
    size = sum(abs(n) / 60**power for power, n in enumerate(numbers))
    return sign * size if size <= limit else None


def _text(value: Any) -> str:
    """Return a tag's text without the zeros and blanks that pad it."""
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    return value.strip("\0 ") if isinstance(value, str) else ""


__all__ = ["orientation", "told"]
