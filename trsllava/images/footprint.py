"""Where on Earth a raster or a window of it lies, in EPSG:4326.

The edges are followed in 21 steps each, so that curved ones count. Boxes across the
antimeridian have ``west > east`` (RFC 7946, 5.2); a ring around a pole spans all longitudes.
Without a CRS, or with positions that no projection can have, there is no footprint: a wrong
one would be worse.
"""

import math
from typing import Any, NamedTuple

from trsllava.images.rasters import gdal, gdal_errors
from trsllava.images.source import Window
from trsllava.records import BBox

_STEPS = 21
_DIGITS = 7  # of a degree: a centimetre


class Footprint(NamedTuple):
    """A box, and for rotated rasters the four corners [longitude, latitude] in ring order.

    The corners begin at the raster's upper left pixel and go along its first row.
    """

    bbox: BBox
    corners: list[list[float]] | None


def footprint_of(dataset: Any, window: Window) -> Footprint | None:
    """Return where a window of an open raster lies, or None if that cannot be known."""
    points, crs = dataset.gcps
    by_points = dataset.transform.is_identity and bool(points)
    if not by_points and (dataset.transform.is_identity or dataset.crs is None):
        return None
    columns, rows = _ring(window)
    with gdal():
        from rasterio.transform import GCPTransformer
        from rasterio.warp import transform

        try:
            if by_points:
                if crs is None:
                    return None
                with GCPTransformer(_unwrapped(points, crs)) as transformer:
                    xs, ys = transformer.xy(rows, columns, offset="ul")
            else:
                crs, turn = dataset.crs, dataset.transform
                xs = turn.c + columns * turn.a + rows * turn.b
                ys = turn.f + columns * turn.d + rows * turn.e
            longitudes, latitudes = transform(crs, "EPSG:4326", xs, ys)
        except gdal_errors():
            return None
    bbox = _box(longitudes, latitudes)
    if bbox is None:
        return None
    rotated = by_points or dataset.transform.b != 0 or dataset.transform.d != 0
    corners = [
        [_normal(longitudes[at]), round(latitudes[at], _DIGITS)]
        for at in range(0, 4 * _STEPS, _STEPS)
    ]
    return Footprint(bbox, corners if rotated else None)


def _ring(window: Window) -> tuple[Any, Any]:
    """Return columns and rows of the points along the four edges, each edge's end left out."""
    import numpy as np

    along = np.arange(_STEPS) / _STEPS
    start, end = np.zeros(_STEPS), np.ones(_STEPS)
    columns = np.concatenate([along, end, 1 - along, start])
    rows = np.concatenate([start, along, end, 1 - along])
    return window.x + columns * window.width, window.y + rows * window.height


def _unwrapped(points: Any, crs: Any) -> Any:
    """Return ground control points with longitudes that do not jump at the antimeridian."""
    xs = [point.x for point in points]
    if not crs.is_geographic or max(xs) - min(xs) <= 180:
        return points
    from rasterio.control import GroundControlPoint

    return [
        GroundControlPoint(point.row, point.col, point.x % 360, point.y, point.z)
        for point in points
    ]


def _box(longitudes: Any, latitudes: Any) -> BBox | None:
    """Return the box around a ring of points."""
    import numpy as np

    if not (np.isfinite(longitudes).all() and np.isfinite(latitudes).all()):
        return None
    south, north = float(np.min(latitudes)), float(np.max(latitudes))
    if south < -90.001 or north > 90.001 or np.abs(longitudes).max() > 540:  # no degrees
        return None
    closed = np.unwrap([*longitudes, longitudes[0]], period=360)
    west, east = float(closed.min()), float(closed.max())
    if abs(closed[-1] - closed[0]) > 180:  # once around: a pole lies inside
        west, east = -180.0, 180.0
        south, north = (south, 90.0) if south + north > 0 else (-90.0, north)
    elif east - west > 360 - 1e-6:
        west, east = -180.0, 180.0
    else:
        west, east = _normal(west), _normal(east, upper=True)
    return BBox(west, max(round(south, _DIGITS), -90.0), east, min(round(north, _DIGITS), 90.0))


def _normal(longitude: float, *, upper: bool = False) -> float:
    """Return a longitude from -180 to 180; which of the two names the antimeridian is told."""
    turned = math.remainder(round(longitude, _DIGITS), 360)
    if abs(turned) == 180:
        return 180.0 if upper else -180.0
    return round(turned, _DIGITS)


__all__ = ["Footprint", "footprint_of"]
