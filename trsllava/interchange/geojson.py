"""GeoJSON (RFC 7946) for maps: one feature per image.

Its geometry is the property ``footprint`` (four corners, which rotated rasters have) where there
is a sound one, else its box.
"""

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, BinaryIO

from trsllava.records import BBox, Record


def write_geojson(file: BinaryIO, records: Iterable[Record]) -> int:
    """Write a feature collection, one feature a line; return the number of records.

    A feature's properties are ``image``, ``model``, ``datetime`` and ``variants``, and the
    record's own beside them; one that has such a name is written as ``properties.NAME``.
    """
    count = 0
    file.write(b'{"type":"FeatureCollection","features":[')
    for record in records:
        file.write(b",\n" if count else b"\n")
        file.write(json.dumps(_feature(record), ensure_ascii=False, allow_nan=False).encode())
        count += 1
    file.write(b"\n]}\n")
    return count


def _feature(record: Record) -> dict[str, Any]:
    """Return the feature of a record; without a box its geometry is null."""
    body = record.to_json()
    bbox, properties = body.pop("bbox", None), body.pop("properties", {})
    for name, value in properties.items():
        body[
            f"properties.{name}" if name in ("image", "model", "datetime", "variants") else name
        ] = value
    feature = {"type": "Feature", "id": record.image, "geometry": None, "properties": body}
    box = None if bbox is None else BBox(*bbox)
    if bbox is not None:
        feature["bbox"] = bbox
    feature["geometry"] = _quadrangle(properties.get("footprint"), box) or (
        None if box is None else geometry(box)
    )
    return feature


def geometry(box: BBox) -> dict[str, Any]:
    """Return a box as a GeoJSON geometry, cut at the antimeridian where it crosses it (3.1.9)."""
    west, south, east, north = box
    if west == east and south == north:
        return {"type": "Point", "coordinates": [west, south]}
    if west > east:
        east += 360
    return _shape([(west, south), (east, south), (east, north), (west, north)])


def _quadrangle(corners: object, box: BBox | None) -> dict[str, Any] | None:
    """Return four corners in ring order as a geometry; None if they are no such thing.

    Anybody may have written them: other things, corners in no order and a ring around a pole are
    passed over. So are corners half the globe apart, between which two ways are as good.
    """
    if not isinstance(corners, list | tuple) or len(corners) != 4:
        return None
    if box is not None and (box.east - box.west) % 360 > 180:
        return None
    ring: list[tuple[float, float]] = []
    for corner in corners:
        if not (
            isinstance(corner, list | tuple)
            and len(corner) == 2
            and all(type(value) in (int, float) for value in corner)
            and -180 <= corner[0] <= 180  # false for NaN
            and -90 <= corner[1] <= 90
        ):
            return None
        longitude = float(corner[0])
        if ring:  # the nearest of those that are the same place
            longitude -= 360 * round((longitude - ring[-1][0]) / 360)
        ring.append((longitude, float(corner[1])))
    if abs(ring[-1][0] - ring[0][0]) > 180:
        return None
    turns = [_area([ring[n - 2], ring[n - 1], ring[n]]) for n in range(4)]
    if max(turns) > 0 > min(turns) or not any(turns):
        return None
    if max(turns) <= 0:
        ring.reverse()
    turn = 360 * ((min(x for x, _ in ring) + 180) // 360)
    return _shape([(x - turn, y) for x, y in ring])


def _shape(ring: list[tuple[float, float]]) -> dict[str, Any]:
    """Return a convex, counter-clockwise ring that begins west of 180 degrees, cut there."""
    if max(x for x, _ in ring) <= 180:
        return {"type": "Polygon", "coordinates": [_closed(ring)]}
    halves = [_half(ring, -1, 0), _half(ring, 1, 360)]
    rings = [_closed(half) for half in halves if len({x for x, _ in half}) > 1]
    if len(rings) == 1:
        return {"type": "Polygon", "coordinates": rings}
    return {"type": "MultiPolygon", "coordinates": [[half] for half in rings]}


def _half(ring: list[tuple[float, float]], side: int, turn: int) -> list[tuple[float, float]]:
    """Return what of a ring lies west (-1) or east (1) of 180 degrees, turned back by ``turn``."""
    kept: list[tuple[float, float]] = []
    for (x, y), (u, v) in pairwise([*ring, ring[0]]):
        if (x - 180) * side >= 0:
            kept.append((x - turn, y))
        if (x - 180) * (u - 180) < 0:
            kept.append((180.0 - turn, round(y + (v - y) * (180 - x) / (u - x), 7)))
    return kept


def _area(ring: list[tuple[float, float]]) -> float:
    """Return the area of a ring in square degrees, positive if it runs counter-clockwise."""
    return sum(x * v - u * y for (x, y), (u, v) in pairwise([*ring, ring[0]])) / 2


def _closed(ring: list[tuple[float, float]]) -> list[list[float]]:
    """Return a ring as GeoJSON positions, the first one again at its end (3.1.6)."""
    return [[x, y] for x, y in (*ring, ring[0])]
