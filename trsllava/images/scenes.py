"""Rasters: what pictures a scene gives.

With ``--tile`` a scene is cut in windows of that size, row by row from the upper left; the last
window of a row or column is moved inward, so that all are full (a scene smaller than a tile
is one window). Windows without any data are left out and counted. All windows of a scene share
its bands and the limits of its stretch, so that a window looks the same whatever else is read.
"""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from trsllava.errors import InputError, UsageError
from trsllava.images.bands import choose_bands
from trsllava.images.decode import is_turned
from trsllava.images.footprint import footprint_of
from trsllava.images.notices import say_once
from trsllava.images.pixels import read
from trsllava.images.rasters import driver_of, gdal, gdal_errors, one_line, open_raster
from trsllava.images.sampling import Sample, has_data, take_sample
from trsllava.images.source import (
    Found,
    Reading,
    Rendering,
    Skipped,
    Source,
    Unfit,
    Unreadable,
    Window,
)
from trsllava.records import Metadata, time_span
from trsllava.untrusted import printable

log = logging.getLogger(__name__)

_SMALLEST_TILE = 28  # pixels: captioners refuse less
_LARGE = 4096  # pixels a side above which one picture shows little of a scene
_TIME = re.compile(r"(\d{4})[:-](\d\d)[:-](\d\d)(?:[ T](\d\d:\d\d:\d\d)(?:\.\d+)?Z?)?")


def sources(path: Path, image: str, reading: Reading) -> Iterator[Found]:
    """Yield the picture of a raster, or that of each window.

    Parameters
    ----------
    path
        The file, GeoTIFF or JPEG 2000.
    image
        Its id; windows add ``#x,y,w,h``.
    reading
        How to cut it and which bands to show.

    Yields
    ------
    Found
        A source a picture; at the end one `Skipped` that counts the windows without data. A
        raster that cannot be read is one `Unfit`, a file of another kind a plain source.

    Raises
    ------
    UsageError
        If tile, overlap or bands make no sense (for this raster).
    MissingExtra
        If rasterio is not installed.
    """
    check_tiles(reading)
    name = os.path.abspath(path)
    try:
        whole = reading.tile is None and reading.bands is None
        if driver_of(name) is None or (whole and is_turned(name)):
            # A picture of another kind, whatever it is called, or one that GDAL would not turn
            # upright: its decoder will tell.
            status = os.stat(name)
            yield Source(image, name, status.st_size, status.st_mtime_ns)
            return
        dataset = open_raster(name)
    except Unreadable as error:
        yield Unfit(image, error.reason, str(error))
        return
    with closing(dataset):  # as its own context it would leave an environment to others
        status = os.stat(name)
        try:
            with gdal():
                bands = choose_bands(dataset, name, reading.bands)
                sample = take_sample(dataset, name, bands)
        except Unreadable as error:
            yield Unfit(image, error.reason, str(error))
            return
        except gdal_errors() as error:
            yield Unfit(image, "unreadable", f"{printable(name)}: {one_line(error)}")
            return
        windows = _windows(dataset, name, reading)
        empty = 0
        for window in windows:
            if not has_data(dataset, window, sample):
                empty += 1
                continue
            yield Source(
                image if reading.tile is None else f"{image}#{','.join(map(str, window))}",
                name,
                status.st_size,
                status.st_mtime_ns,
                window=None if reading.tile is None else window,
                rendering=_rendering(bands, sample),
                metadata=_metadata(dataset, name, window),
            )
        if empty:
            yield Skipped(f"{'scene' if reading.tile is None else 'window'} without data", empty)


def check_tiles(reading: Reading) -> None:
    """Raise `UsageError` for a tile or an overlap that cannot be."""
    if reading.tile is None:
        if reading.overlap:
            raise UsageError(f"--overlap {reading.overlap} needs --tile")
        return
    if reading.tile < _SMALLEST_TILE:
        raise UsageError(f"--tile {reading.tile} is too small: {_SMALLEST_TILE} pixels at least")
    if not 0 <= reading.overlap < reading.tile:
        raise UsageError(
            f"--overlap {reading.overlap} must be at least 0 and less than --tile {reading.tile}"
        )


def _windows(dataset: Any, path: str, reading: Reading) -> Iterator[Window]:
    """Yield the windows of a scene, or the whole as one."""
    width, height = dataset.width, dataset.height
    if reading.tile is None:
        if max(width, height) > _LARGE:
            say_once(
                log,
                "whole scene",
                f"{printable(path)} has {width} x {height} pixels and becomes one small picture "
                "(others like it too); --tile PX cuts scenes in windows",
            )
        yield Window(0, 0, width, height)
        return
    step = reading.tile - reading.overlap
    for y in _starts(height, reading.tile, step):
        for x in _starts(width, reading.tile, step):
            yield Window(x, y, min(reading.tile, width), min(reading.tile, height))


def _starts(length: int, tile: int, step: int) -> Iterator[int]:
    """Yield where windows begin along one side."""
    last = max(length - tile, 0)
    yield from range(0, last, step)
    yield last


def _rendering(bands: tuple[int, int, int], sample: Sample) -> Rendering:
    return Rendering(bands, (sample.limits,) * 3)


def _metadata(dataset: Any, path: str, window: Window) -> Metadata:
    """Return where and when a window was taken."""
    footprint = footprint_of(dataset, window)
    if footprint is None:
        say_once(
            log,
            "no footprint",
            f"{printable(path)} (and others like it) does not say where on Earth it lies: "
            "its pictures have no bbox",
        )
        return Metadata(None, _datetime(dataset))
    properties = {"footprint": footprint.corners} if footprint.corners else {}
    return Metadata(footprint.bbox, _datetime(dataset), properties)


def _datetime(dataset: Any) -> str | None:
    """Return when a scene was taken, else when its file says it was made; UTC where unsaid."""
    tags = dataset.tags()
    told = (
        dataset.tags(ns="IMAGERY").get("ACQUISITIONDATETIME"),
        tags.get("ACQUISITIONDATETIME"),
        tags.get("TIFFTAG_DATETIME"),
    )
    for text in told:
        match = _TIME.fullmatch((text or "").strip())
        if match:
            year, month, day, clock = match.groups()
            moment = f"{year}-{month}-{day}" + (f"T{clock}Z" if clock else "")
            try:
                time_span(moment)
            except InputError:
                continue
            return moment
    return None


__all__ = ["check_tiles", "read", "sources"]
