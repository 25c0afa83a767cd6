"""Place, date and free properties of a line from outside."""

import math
from collections.abc import Mapping
from typing import Any

from trsllava.errors import InputError
from trsllava.interchange.values import fit, kind
from trsllava.records import BBox, Metadata, bounding_box, time_span

METADATA_KEYS = ("bbox", "datetime", "start_datetime", "end_datetime", "properties")

_DEPTH = 32
_FARTHEST = 1e7  # a box may hold heights in metres
_LONGEST_TIME = 100
_NO_METADATA = Metadata()


def metadata_of(body: Mapping[str, Any]) -> Metadata:
    """Read place, date and properties, at top level or inside ``metadata``; null is absent.

    Raises `InputError` if one of them is not what it should be.
    """
    inner = body.get("metadata")
    given = {key: body[key] for key in METADATA_KEYS if body.get(key) is not None}
    if inner is None and not given:
        return _NO_METADATA
    properties = _object(given.pop("properties", {}), "properties")
    if inner is not None:
        rest = dict(_object(inner, "metadata"))
        more = _object(rest.pop("properties", None) or {}, "metadata.properties")
        for key in METADATA_KEYS:
            value = rest.pop(key, None)
            if value is not None and given.setdefault(key, value) != value:
                raise InputError(f"{key} differs from metadata.{key}")
        properties = {**rest, **more, **properties}
    _check_json(properties, "properties", 0)
    return Metadata(_bbox(given.get("bbox")), _datetime(given), properties)


def _object(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{where} must be an object, not {kind(value)}")
    return value


def _bbox(value: object) -> BBox | None:
    if value is None:
        return None
    if not isinstance(value, list):
        raise InputError(f"a bbox must be four numbers W,S,E,N, not {kind(value)}")
    for number in value[:6]:
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise InputError(f"a bbox must be four numbers W,S,E,N; one is {kind(number)}")
        if not abs(number) <= _FARTHEST:
            raise InputError("the bbox holds a number beyond all degrees")
    if len(value) not in (4, 6):
        raise InputError(f"a bbox must be four numbers W,S,E,N, not {len(value)}")
    return bounding_box(value)


def _datetime(given: Mapping[str, Any]) -> str | None:
    """Return ``datetime``, or the interval of ``start_datetime`` and ``end_datetime``."""
    value = given.get("datetime")
    if value is None and ("start_datetime" in given or "end_datetime" in given):
        ends = (given.get("start_datetime", ".."), given.get("end_datetime", ".."))
        for end in ends:
            if not isinstance(end, str) or "/" in end:
                raise InputError(f"{kind(end)} is not one end of an interval of time")
        value = "/".join(ends)
    if value is None:
        return None
    if not isinstance(value, str):
        raise InputError(f"a datetime must be a string, not {kind(value)}")
    if len(value) > _LONGEST_TIME:
        raise InputError(f"a text of {len(value)} characters is no datetime")
    time_span(fit(value, "datetime"))
    return value


def _check_json(value: object, where: str, depth: int) -> None:
    """Refuse properties that JSON, or a reader with a small stack, cannot take back."""
    if depth > _DEPTH:
        raise InputError(f"{where} is nested more than {_DEPTH} deep")
    if isinstance(value, str):
        fit(value, where)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise InputError(f"{where} holds {value}, which is not JSON")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_json(key, where, depth)
            _check_json(item, where, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_json(item, where, depth + 1)
    elif value is not None and not isinstance(value, bool | int):
        raise InputError(f"{where} holds {kind(value)}, which is not JSON")
