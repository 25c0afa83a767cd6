"""Where a raster has data: nodata values, masks, alpha bands and NaN told alike."""

from collections.abc import Sequence
from typing import Any

from trsllava.images.bands import is_alpha

GROUND = (128, 128, 128)  # the grey that stands where there is no data


def knows_nodata(dataset: Any, bands: Sequence[int]) -> bool:
    """Tell whether any pixel of these bands could be without data."""
    return _masked(dataset, bands) is not None or _floating(dataset, bands)


def valid_pixels(
    dataset: Any,
    bands: Sequence[int],
    values: Any,
    window: Any = None,
    shape: tuple[int, int] | None = None,
) -> Any:
    """Return where there is data: a pixel is without when none of its bands has any.

    Parameters
    ----------
    dataset
        An open raster.
    bands
        The bands that are shown, from 1.
    values
        Their values, array (bands, rows, columns), if they were read already; floating-point
        ones are read otherwise.
    window
        The part of the raster; all of it if None.
    shape
        Rows and columns to read it in, if not at full size.

    Returns
    -------
    numpy.ndarray or None
        bool (rows, columns); None where every pixel has data.
    """
    masked = _masked(dataset, bands)
    valid = None
    if masked is not None:
        masks = dataset.read_masks(
            masked, window=window, out_shape=(len(masked), *shape) if shape else None
        )
        valid = masks.any(axis=0)
    if _floating(dataset, bands):
        import numpy as np

        if values is None:
            values = dataset.read(
                list(bands), window=window, out_shape=(len(bands), *shape) if shape else None
            )
        finite = np.isfinite(values).any(axis=0)
        valid = finite if valid is None else valid & finite
    return None if valid is not None and valid.all() else valid


def _masked(dataset: Any, bands: Sequence[int]) -> list[int] | None:
    """Return the bands whose masks to read, if there are any."""
    flags = {flag.name for band in bands for flag in dataset.mask_flag_enums[band - 1]}
    if "nodata" in flags:
        return list(bands)
    if "alpha" in flags:
        named = any(
            is_alpha(dataset, band, interpretation.name.lower())
            for band, interpretation in enumerate(dataset.colorinterp, start=1)
        )
        return [bands[0]] if named else None
    return [bands[0]] if "per_dataset" in flags else None


def _floating(dataset: Any, bands: Sequence[int]) -> bool:
    return any(dataset.dtypes[band - 1].startswith("float") for band in bands)


__all__ = ["GROUND", "knows_nodata", "valid_pixels"]
