"""Rasters: what pictures a scene gives, and the pixels of each.

With ``--tile`` a scene is cut in windows of that size, row by row from the upper left; the last
window of a row or column is moved inward, so that all are full (a scene smaller than a tile
is one window). Windows without any data are left out and counted. All windows of a scene share
its bands and the limits of its stretch, so that a window looks the same whatever else is read.
"""

import hashlib
import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trsllava.errors import InputError, UsageError
from trsllava.images import stretch
from trsllava.images.bands import choose_bands
from trsllava.images.footprint import footprint_of
from trsllava.images.nodata import GROUND, Coverage, coverage_of, valid_pixels
from trsllava.images.notices import say_once
from trsllava.images.prepare import prepare
from trsllava.images.rasters import kept_open, one_line, open_raster
from trsllava.images.sampling import Sample, has_data, take_sample
from trsllava.images.source import (
    Found,
    Picture,
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
        raster that cannot be read is one `Unfit`.

    Raises
    ------
    UsageError
        If tile, overlap or bands make no sense (for this raster).
    MissingExtra
        If rasterio is not installed.
    """
    _check(reading)
    name = os.path.abspath(path)
    try:
        dataset = open_raster(name)
    except Unreadable as error:
        yield Unfit(image, error.reason, str(error))
        return
    with dataset:
        status = os.stat(name)
        bands = choose_bands(dataset, name, reading.bands)
        try:
            sample = take_sample(dataset, name, bands)
        except Unreadable as error:
            yield Unfit(image, error.reason, str(error))
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


def _check(reading: Reading) -> None:
    """Refuse a tile or an overlap that cannot be."""
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


def read(source: Source, reading: Reading) -> Picture:
    """Read the pixels of a raster or a window, brought to RGB as its source says.

    Only the window is read; one much larger than ``reading.side`` is read smaller. Pixels
    without data are grey (128, 128, 128).

    Parameters
    ----------
    source
        What `sources` yielded; it has a rendering.
    reading
        Gives the longest side of the picture.

    Returns
    -------
    Picture
        ``sha256`` is that of the file for a whole raster, of the RGB values of a window.

    Raises
    ------
    Unreadable
        If the file is gone, or a part of it that is needed is damaged.
    OSError
        If the disk is in trouble.
    """
    from PIL import Image
    from rasterio.errors import RasterioError

    assert source.rendering is not None
    dataset, look = kept_open(source.path, _look, source.rendering.bands)
    window = source.window or Window(0, 0, dataset.width, dataset.height)
    try:
        planes = _planes(dataset, look, window, source.rendering, 2 * reading.side)
        digest = _digest(planes) if source.window else _file_digest(source.path)
    except RasterioError as error:
        raise Unreadable("truncated", f"{printable(source.image)}: {one_line(error)}") from error
    pixels = Image.merge("RGB", [Image.fromarray(plane) for plane in planes])
    return Picture(prepare(pixels, reading.side), digest, source.metadata)


@dataclass(frozen=True, slots=True)
class _Look:
    """What reading pixels needs to know of an open raster, found out once."""

    coverage: Coverage
    palette: Any


def _look(dataset: Any, bands: tuple[int, int, int]) -> _Look:
    distinct = tuple(dict.fromkeys(bands))
    return _Look(coverage_of(dataset, distinct), _palette(dataset, distinct))


def _planes(
    dataset: Any, look: _Look, window: Window, rendering: Rendering, most: int
) -> list[Any]:
    """Return red, green and blue of a window, uint8 (rows, columns), at most ``most`` long."""
    import numpy as np
    from rasterio.enums import Resampling
    from rasterio.windows import Window as RasterWindow

    bands = list(look.coverage.bands)
    palette = look.palette
    part = RasterWindow(*window)
    scale = most / max(window.width, window.height)
    shape = None
    if scale < 1:
        shape = max(1, round(window.height * scale)), max(1, round(window.width * scale))
    values = dataset.read(
        bands,
        window=part,
        out_shape=(len(bands), *shape) if shape else None,
        resampling=Resampling.average if shape and palette is None else Resampling.nearest,
    )
    if palette is not None:
        planes = [colour.take(values[0], mode="clip") for colour in palette]
    else:
        planes = [
            stretch.apply(values[bands.index(band)], limits)
            for band, limits in zip(rendering.bands, rendering.limits, strict=True)
        ]
    valid = valid_pixels(dataset, look.coverage, values, part, shape)
    if valid is not None:
        planes = [
            np.where(valid, plane, np.uint8(ground))
            for plane, ground in zip(planes, GROUND, strict=True)
        ]
    return planes


def _palette(dataset: Any, bands: tuple[int, ...]) -> Any:
    """Return red, green and blue of the values of a palette, uint8 (3, values)."""
    import numpy as np

    if len(bands) > 1 or dataset.colorinterp[bands[0] - 1].name != "palette":
        return None
    colours = dataset.colormap(bands[0])
    table = np.zeros((3, max(colours) + 1), np.uint8)
    for value, colour in colours.items():
        table[:, value] = colour[:3]
    return table


def _digest(planes: list[Any]) -> str:
    """Return the sha256 of the pixels and their shape."""
    digest = hashlib.sha256(repr(planes[0].shape).encode())
    for plane in planes:
        digest.update(plane)
    return digest.hexdigest()


def _file_digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


__all__ = ["read", "sources"]
