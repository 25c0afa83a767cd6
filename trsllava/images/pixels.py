"""The pixels of a raster or of a window of it, brought to RGB as its rendering says."""

import hashlib
from dataclasses import dataclass
from typing import Any

from trsllava.images import stretch
from trsllava.images.nodata import GROUND, Coverage, coverage_of, valid_pixels
from trsllava.images.prepare import prepare
from trsllava.images.rasters import gdal, gdal_errors, kept_open, one_line
from trsllava.images.source import Picture, Reading, Rendering, Source, Unreadable, Window
from trsllava.untrusted import printable


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
        If the file is gone, a part of it that is needed is damaged, or it is only a few pixels.
    OSError
        If the disk is in trouble.
    """
    from PIL import Image

    assert source.rendering is not None
    try:
        with gdal():
            dataset, look = kept_open(source.path, _look, source.rendering.bands)
            window = source.window or Window(0, 0, dataset.width, dataset.height)
            planes = _planes(dataset, look, window, source.rendering, 2 * reading.side)
        digest = _digest(planes) if source.window else _file_digest(source.path)
    except gdal_errors() as error:
        raise Unreadable("truncated", f"{printable(source.image)}: {one_line(error)}") from error
    pixels = Image.merge("RGB", [Image.fromarray(plane) for plane in planes])
    try:
        return Picture(prepare(pixels, reading.side), digest, source.metadata)
    except Unreadable as error:
        raise Unreadable(error.reason, f"{printable(source.image)}: {error}") from error


@dataclass(frozen=True, slots=True)
class _Look:
    """What reading pixels needs to know of an open raster, found out once."""

    coverage: Coverage
    palette: Any
    white_is_zero: bool


def _look(dataset: Any, bands: tuple[int, int, int]) -> _Look:
    distinct = tuple(dict.fromkeys(bands))
    told = dataset.tags(ns="IMAGE_STRUCTURE")
    return _Look(
        coverage_of(dataset, distinct),
        _palette(dataset, distinct),
        told.get("MINISWHITE") == "YES",
    )


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
        wanted = list(zip(rendering.bands, rendering.limits, strict=True))
        made = {
            (band, limits): stretch.apply(values[bands.index(band)], limits)
            for band, limits in dict.fromkeys(wanted)
        }
        planes = [made[one] for one in wanted]  # the same one thrice if it is grey
        if look.white_is_zero:
            planes = [255 - plane for plane in planes]
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


__all__ = ["read"]
