"""The box around a GeoJSON geometry."""

from collections.abc import Iterator
from typing import Any


def box_around(geometry: Any) -> list[float] | None:
    """Return the box around a geometry; None if there is none or it is no geometry."""
    if not isinstance(geometry, dict):
        return None
    parts = geometry.get("coordinates")
    if geometry.get("type") != "MultiPolygon" or not isinstance(parts, list):
        parts = [parts]
    boxes = [_around(list(_positions(part))) for part in parts]
    found = [box for box in boxes if box is not None]
    if not found:
        return None
    west, south, east, north = (list(side) for side in zip(*found, strict=True))
    if min(west) == -180 and max(east) == 180 and len(found) > 1:
        # Cut at the antimeridian (RFC 7946, 3.1.9): begins in the east, ends in the west.
        return [
            min(at for at in west if at >= 0) if max(west) >= 0 else -180.0,
            min(south),
            max(at for at in east if at <= 0) if min(east) <= 0 else 180.0,
            max(north),
        ]
    return [min(west), min(south), max(east), max(north)]


def _around(positions: list[tuple[float, float]]) -> tuple[float, float, float, float] | None:
    if not positions:
        return None
    xs, ys = zip(*positions, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _positions(coordinates: Any) -> Iterator[tuple[float, float]]:
    """Yield longitude and latitude of every position in nested coordinates."""
    pending = [coordinates]
    while pending:
        one = pending.pop()
        if not isinstance(one, list):
            continue
        if len(one) >= 2 and all(type(at) in (int, float) for at in one):
            yield one[0], one[1]
        else:
            pending += one


__all__ = ["box_around"]
