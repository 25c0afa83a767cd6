"""What a STAC item says of its pictures, and whether their files say the same."""

import logging
import math
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from trsllava.errors import InputError
from trsllava.images.footprint import footprint_of
from trsllava.images.notices import say_once
from trsllava.images.rasters import open_raster
from trsllava.images.source import Unreadable, Window
from trsllava.interchange.values import fit
from trsllava.records import BBox, Metadata, bounding_box, time_span
from trsllava.untrusted import printable

log = logging.getLogger(__name__)

_TIMES = ("datetime", "start_datetime", "end_datetime")
_ALIKE = 0.5  # the share of both boxes that must be common for the item's to be as good


def metadata_of_item(item: Mapping[str, Any], place: str) -> Metadata:
    """Return place, date and properties of an item; what makes no sense is left out, said once.

    Of the properties only texts, numbers and truth values are kept.
    """
    properties: Mapping[str, Any] = item["properties"]
    bbox = moment = None
    try:
        bbox = None if item.get("bbox") is None else bounding_box(item["bbox"])
    except InputError as error:
        _doubt(place, "bbox", error)
    try:
        moment = _datetime(properties)
    except InputError as error:
        _doubt(place, "datetime", error)
    return Metadata(
        bbox, moment, {key: one for key, one in properties.items() if _is_kept(key, one)}
    )


def _datetime(properties: Mapping[str, Any]) -> str | None:
    """Return the instant of an item, or its interval, or None if it has neither."""
    moment, start, end = (properties.get(name) for name in _TIMES)
    if moment is None:
        if start is None and end is None:
            return None
        if not all(
            one is None or (isinstance(one, str) and "/" not in one) for one in (start, end)
        ):
            raise InputError("start_datetime and end_datetime must be single times")
        moment = f"{start or '..'}/{end or '..'}"
    time_span(moment)
    return str(moment)


def _is_kept(key: str, value: object) -> bool:
    """Tell whether a property can be filtered by."""
    if key in _TIMES or value is None:
        return False
    try:
        fit(key, "a property")
        if isinstance(value, str):
            fit(value, key)
    except InputError:
        return False
    return isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))


def _doubt(place: str, what: str, error: InputError) -> None:
    say_once(
        log,
        f"stac {what}",
        f"{printable(place)} (and others like it): the {what} is left out: {error}",
    )


def alike_to_file(path: str, known: Metadata, described: Mapping[str, Any], place: str) -> bool:
    """Tell whether the box of an item can be that of its raster.

    The file knows better where the two contradict each other, which is said once.

    Parameters
    ----------
    path
        The file of the raster.
    known
        What the item says.
    described
        Its properties and its asset's, for ``proj:shape``.
    place
        The item's file, for the warning.

    Returns
    -------
    bool
        False too if the item has no box, or the file cannot be read.
    """
    try:
        with closing(open_raster(path)) as dataset:
            size = [dataset.height, dataset.width]
            own = footprint_of(dataset, Window(0, 0, dataset.width, dataset.height))
    except Unreadable:
        return False
    shape = described.get("proj:shape")
    trouble, alike = None, True
    if own is not None and known.bbox is not None:
        smaller, larger = sorted(_area(box) for box in (own.bbox, known.bbox))
        shared = larger if own.bbox == known.bbox else _shared(own.bbox, known.bbox)
        alike = shared >= _ALIKE * larger
        if not alike and shared < _ALIKE * smaller:
            trouble = f"the bbox is {list(known.bbox)}, of the file {list(own.bbox)}"
    if isinstance(shape, list) and shape != size:
        trouble = f"proj:shape is {shape!r:.60} (rows, columns), of the file {size}"
    if trouble:
        say_once(
            log,
            "stac against file",
            f"{printable(place)} (and others like it) contradicts {printable(path)}: {trouble}; "
            "the file is believed",
        )
    return known.bbox is not None and (own is None or (alike and not trouble))


def _area(box: BBox) -> float:
    return _width(box) * (box.north - box.south)


def _shared(one: BBox, other: BBox) -> float:
    """Return the area (square degrees) that two boxes share."""
    height = min(one.north, other.north) - max(one.south, other.south)
    return _shared_width(one, other) * max(0.0, height)


def _width(box: BBox) -> float:
    return box.east - box.west + (360 if box.east < box.west else 0)


def _shared_width(one: BBox, other: BBox) -> float:
    """Return the degrees of longitude that two boxes share, across the antimeridian too."""
    return sum(
        max(
            0.0,
            min(one.west + _width(one), other.west + turn + _width(other))
            - max(one.west, other.west + turn),
        )
        for turn in (-360, 0, 360)
    )


__all__ = ["alike_to_file", "metadata_of_item"]
