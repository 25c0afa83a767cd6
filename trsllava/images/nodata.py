"""Where a raster has data: nodata values, masks, alpha bands and NaN told alike."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from trsllava.images.bands import is_alpha

GROUND = (128, 128, 128)  # the grey that stands where there is no data


@dataclass(frozen=True, slots=True)
class Coverage:
    """How a raster says where it has data in the bands that are shown.

    ``masks`` are the bands whose masks GDAL is asked for, ``nodata`` a whole number that stands
    for no data, ``floating`` whether values can be NaN.
    """

    bands: tuple[int, ...]
    masks: tuple[int, ...] = ()
    nodata: int | None = None
    floating: bool = False

    @property
    def is_full(self) -> bool:
        """Whether every pixel must have data."""
        return not self.masks and self.nodata is None and not self.floating


def coverage_of(dataset: Any, bands: tuple[int, ...]) -> Coverage:
    """Return how an open raster says where it has data in these bands (from 1)."""
    flags = {flag.name for band in bands for flag in dataset.mask_flag_enums[band - 1]}
    floating = any(dataset.dtypes[band - 1].startswith("float") for band in bands)
    if "nodata" in flags and not floating:
        # Comparing is cheaper than to have GDAL do it; a fraction is no value of whole numbers.
        nodata = dataset.nodata
        return Coverage(bands, nodata=int(nodata) if nodata == nodata // 1 else None)
    if "nodata" in flags:
        return Coverage(bands, bands, floating=floating)
    if "alpha" in flags:
        named = any(
            is_alpha(dataset, band, interpretation.name.lower())
            for band, interpretation in enumerate(dataset.colorinterp, start=1)
        )
        return Coverage(bands, bands[:1] if named else (), floating=floating)
    return Coverage(bands, bands[:1] if "per_dataset" in flags else (), floating=floating)


def valid_pixels(
    dataset: Any, coverage: Coverage, values: Any, window: Any, shape: tuple[int, int] | None = None
) -> Any:
    """Return where there is data: a pixel is without when none of its bands has any.

    Parameters
    ----------
    dataset
        An open raster.
    coverage
        What `coverage_of` says of it.
    values
        The values of its bands in the window, array (bands, rows, columns); None to have them
        read where they are needed.
    window
        The part of the raster, a rasterio window.
    shape
        Rows and columns to read it in, if not at full size.

    Returns
    -------
    numpy.ndarray or None
        bool (rows, columns); None where every pixel has data.
    """
    import numpy as np

    if coverage.is_full:
        return None
    if values is None and (coverage.floating or not coverage.masks):
        values = dataset.read(list(coverage.bands), window=window)
    if coverage.masks:
        masks = dataset.read_masks(
            list(coverage.masks),
            window=window,
            out_shape=(len(coverage.masks), *shape) if shape else None,
        )
        valid = masks.any(axis=0)
        if coverage.floating:
            valid &= np.isfinite(values).any(axis=0)
        return None if valid.all() else valid
    told = np.isfinite if coverage.floating else partial(np.not_equal, coverage.nodata)
    valid = told(values[0])
    for band in values[1:]:
        if valid.all():  # mostly the first band knows
            break
        valid |= told(band)
    return None if valid.all() else valid


__all__ = ["GROUND", "Coverage", "coverage_of", "valid_pixels"]
