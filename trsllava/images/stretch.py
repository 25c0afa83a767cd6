"""The stretch: how values of any type and range become the 0..255 of a picture.

The low limit is the 2nd percentile of the valid values of the whole scene, the high one the
98th, so that clouds, glints and broken pixels do not take the whole range. The three bands of
a picture share their limits: limits of its own for each band would shift the colours (a band
that is zero everywhere stays black). Unsigned 8-bit values are a picture already and stay.

Values of zero do not count, unless little else is there: most products fill the ground outside
the swath with them and do not say so.
"""

from typing import Any

PERCENTILES = (2.0, 98.0)

_UNSTRETCHED = (0.0, 255.0)
_FULL = 255.5 / 256  # the 256 levels are equally wide
_NOTHING = 1e-30  # a range that is none
_BEYOND = 1e30  # no measured quantity is that large: fill values such as -3.4e38, infinities


def limits(values: Any, valid: Any) -> tuple[float, float]:
    """Return the values that become 0 and 255.

    Parameters
    ----------
    values
        Array of real numbers, any shape: the pixels of all bands of the picture.
    valid
        Array of bool that broadcasts to it: False where there is no data.

    Returns
    -------
    tuple[float, float]
        Low and high, always ``low < high``; (0, 255) of unsigned 8-bit values. Where the
        percentiles fall together the extremes are taken; of one single value twice its range
        from zero, so that it is neither white nor (unless it is zero) black; where nothing is
        valid the limits of the type (0 and 1 for floating point).
    """
    import numpy as np

    if values.dtype == np.uint8:
        return _UNSTRETCHED
    inside = np.broadcast_to(valid, values.shape)
    if values.dtype.kind == "f":
        inside = inside & (np.abs(values) < _BEYOND)
    known = values[inside]
    if not known.size:
        if values.dtype.kind == "f":
            return 0.0, 1.0
        info = np.iinfo(values.dtype)
        return float(info.min), float(info.max)
    low, high = _percentiles(known[known != 0])
    if low == high:
        low, high = _percentiles(known)
    if low == high:
        low, high = float(known.min()), float(known.max())
    if low == high:
        low, high = min(0.0, 2 * low), max(0.0, 2 * low)
    return (low, high) if high - low > _NOTHING else (0.0, 1.0)


def _percentiles(known: Any) -> tuple[float, float]:
    import numpy as np

    if not known.size:
        return 0.0, 0.0
    # As float64: between two values of a narrow type the difference overflows.
    low, high = np.percentile(known.astype(float), PERCENTILES)
    return float(low), float(high)


def apply(array: Any, limits: tuple[float, float]) -> Any:
    """Return an array as uint8: the low limit and below is 0, the high one and above 255.

    What is not a number becomes 0.
    """
    import numpy as np

    low, high = limits
    if array.dtype == np.uint8 and limits == _UNSTRETCHED:
        return array
    # Single precision holds 8- and 16-bit integers; wider values need the other one.
    exact = array.dtype.itemsize <= 2 or array.dtype == np.float32
    scaled = np.subtract(array, low, dtype=np.float32 if exact else np.float64)
    np.clip(scaled, 0, (high - low) * _FULL, out=scaled)
    scaled *= 256 / (high - low)
    if array.dtype.kind == "f":
        scaled[np.isnan(scaled)] = 0
    return scaled.astype(np.uint8)


__all__ = ["PERCENTILES", "apply", "limits"]
