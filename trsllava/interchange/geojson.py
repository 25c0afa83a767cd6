"""GeoJSON (RFC 7946) for maps: one feature per image, its box the geometry."""

import json
from collections.abc import Iterable
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
    if bbox is not None:
        feature |= {"bbox": bbox, "geometry": geometry(BBox(*bbox))}
    return feature


def geometry(box: BBox) -> dict[str, Any]:
    """Return a box as a GeoJSON geometry, cut at the antimeridian where it crosses it (3.1.9)."""
    if box.west == box.east and box.south == box.north:
        return {"type": "Point", "coordinates": [box.west, box.south]}
    if box.west <= box.east:
        return {"type": "Polygon", "coordinates": [_ring(box)]}
    halves = [box._replace(east=180.0), box._replace(west=-180.0)]
    rings = [[_ring(half)] for half in halves if half.west < half.east]
    if len(rings) == 1:
        return {"type": "Polygon", "coordinates": rings[0]}
    return {"type": "MultiPolygon", "coordinates": rings}


def _ring(box: BBox) -> list[list[float]]:
    """Return a box as a closed ring, counter-clockwise (3.1.6)."""
    west, south, east, north = box
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]
