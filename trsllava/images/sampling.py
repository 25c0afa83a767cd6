"""A coarse look at a whole scene: the limits of its stretch, and where it has data."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from trsllava.images import stretch
from trsllava.images.nodata import Coverage, coverage_of, valid_pixels
from trsllava.images.rasters import gdal, gdal_errors, one_line
from trsllava.images.source import Unreadable, Window
from trsllava.untrusted import printable

_SIDE = 1024  # samples along the longer side, at most
_ROWS = 64  # rows of samples read at a time: a broken part costs no more than these


@dataclass(frozen=True, slots=True)
class Sample:
    """Every ``step``-th pixel of a scene.

    ``limits`` are those of the stretch; ``valid`` says of each sample (rows, columns) whether it
    has data, None if every pixel of the raster has.
    """

    limits: tuple[float, float]
    coverage: Coverage
    step: int
    valid: Any


def take_sample(dataset: Any, path: str, bands: tuple[int, int, int]) -> Sample:
    """Look at a whole scene.

    Raises `Unreadable` if no part of it can be read; parts that cannot are left out.
    """
    import numpy as np

    distinct = list(dict.fromkeys(bands))
    coverage = coverage_of(dataset, tuple(distinct))
    if coverage.is_full and dataset.dtypes[distinct[0] - 1] == "uint8":
        # Nothing to find out: archives of many small pictures are listed much faster.
        return Sample(_limits(dataset, distinct, np.empty(0, "uint8"), True), coverage, 1, None)
    step = -(-max(dataset.width, dataset.height) // _SIDE)
    across = -(-dataset.width // step)
    values, valid = [], []
    broken: Exception | None = None
    for window in _strips(dataset, step * _ROWS):
        shape = -(-window.height // step), across
        try:
            part = dataset.read(distinct, window=_gdal(window), out_shape=(len(distinct), *shape))
            mask = valid_pixels(dataset, coverage, part, _gdal(window), shape)
        except gdal_errors() as error:
            broken = error
            part = np.zeros((len(distinct), *shape), dataset.dtypes[distinct[0] - 1])
            mask = np.zeros(shape, bool)
        values.append(part)
        valid.append(np.ones(shape, bool) if mask is None else mask)
    if broken is not None and not any(mask.any() for mask in valid):
        raise Unreadable("truncated", f"{printable(path)}: {one_line(broken)}") from broken
    everywhere = np.concatenate(valid)
    return Sample(
        _limits(dataset, distinct, np.concatenate(values, axis=1), everywhere),
        coverage,
        step,
        everywhere,
    )


def has_data(dataset: Any, window: Window, sample: Sample) -> bool:
    """Tell whether any pixel of a window has data; True of a part that cannot be read.

    The sample can say yes; that there is none only the pixels can.
    """
    if sample.valid is None:
        return True
    # Overviews may have moved a sample by one.
    top, left = (at // sample.step + 2 for at in (window.y, window.x))
    bottom = (window.y + window.height) // sample.step - 1
    right = (window.x + window.width) // sample.step - 1
    if bottom > top and right > left and sample.valid[top:bottom, left:right].any():
        return True
    try:
        with gdal():
            return any(
                mask is None or mask.any()
                for mask in (
                    valid_pixels(dataset, sample.coverage, None, _gdal(part))
                    for part in _parts(dataset, window)
                )
            )
    except gdal_errors():
        return True


def _limits(dataset: Any, bands: list[int], values: Any, valid: Any) -> tuple[float, float]:
    """Return the limits of the stretch, of less than eight bits too."""
    bits = dataset.tags(bands[0], ns="IMAGE_STRUCTURE").get("NBITS", "")
    if dataset.dtypes[bands[0] - 1] == "uint8" and bits.isdecimal() and 1 <= int(bits) < 8:
        return 0.0, float(2 ** int(bits) - 1)
    return stretch.limits(values, valid)


def _strips(dataset: Any, rows: int) -> Iterator[Window]:
    for y in range(0, dataset.height, rows):
        yield Window(0, y, dataset.width, min(rows, dataset.height - y))


def _parts(dataset: Any, window: Window) -> Iterator[Window]:
    """Cut a window in parts of bounded size, along the rows of blocks."""
    rows = max(dataset.block_shapes[0][0], (1 << 22) // window.width, 1)
    end = window.y + window.height
    for y in range(window.y, end, rows):
        yield window._replace(y=y, height=min(rows, end - y))


def _gdal(window: Window) -> Any:
    from rasterio.windows import Window as RasterWindow

    return RasterWindow(*window)


__all__ = ["Sample", "has_data", "take_sample"]
