"""The last step before a captioner: a picture of a size that every model takes.

Longest side at most `Reading.side`; both sides at least 28 pixels, the patch of common models. A
picture that is too small is enlarged. A slim one is let be longer, up to 200 times its width, as
its few pixels would be lost otherwise; one that is slimmer still is padded with grey. Below 4
pixels a side nobody could say what it shows.
"""

import math
from typing import TYPE_CHECKING, Any

from trsllava.images.nodata import GROUND
from trsllava.images.source import Reading, Unreadable
from trsllava.images.stretch import PERCENTILES

if TYPE_CHECKING:
    from PIL.Image import Image

# Raised whenever the same file would give a captioner other pixels than before.
PREPARATION = 1
LEAST_SIDE = 28
LONGEST_ASPECT = 200
SMALLEST = 4


def prepare(pixels: "Image", side: int) -> "Image":
    """Bring a picture to a size that a captioner takes.

    Parameters
    ----------
    pixels
        An upright RGB picture.
    side
        The longest side wanted, in pixels, at least 28; slim pictures may be longer.

    Returns
    -------
    PIL.Image.Image
        An RGB picture; the same one if there is nothing to do.

    Raises
    ------
    Unreadable
        If a side has fewer than 4 pixels, or would have when it is shown.
    """
    from PIL import Image

    width, height = pixels.size
    if min(width, height) < SMALLEST:
        raise Unreadable(
            "too_small", f"{width} x {height} pixels: both sides must have at least {SMALLEST}"
        )
    wanted = target(width, height, side)
    if min(wanted) < SMALLEST:
        raise Unreadable("too_small", f"{width} x {height} pixels: too slim to show anything")
    if wanted != pixels.size:
        pixels = pixels.resize(wanted, Image.Resampling.LANCZOS, reducing_gap=3.0)
    least = max(LEAST_SIDE, math.ceil(max(wanted) / LONGEST_ASPECT))
    if min(wanted) >= least:
        return pixels
    padded = Image.new("RGB", (max(wanted[0], least), max(wanted[1], least)), GROUND)
    padded.paste(pixels, ((padded.width - wanted[0]) // 2, (padded.height - wanted[1]) // 2))
    return padded


def target(width: int, height: int, side: int) -> tuple[int, int]:
    """Return the size in which a picture is shown, before it is padded; its aspect is kept."""
    long, short = max(width, height), min(width, height)
    room = max(side, LEAST_SIDE * min(long / short, LONGEST_ASPECT))
    scale = min(room / long, max(1.0, LEAST_SIDE / short))
    return max(1, round(width * scale)), max(1, round(height * scale))


def identity(reading: Reading) -> dict[str, Any]:
    """Return all that decides which pixels a captioner sees, as JSON for the fingerprint."""
    return {
        "preparation": PREPARATION,
        "side": reading.side,
        "tile": reading.tile,
        "overlap": reading.overlap,
        "bands": list(reading.bands) if reading.bands else None,
        "percentiles": list(PERCENTILES),
        "ground": list(GROUND),
        "least_side": LEAST_SIDE,
        "longest_aspect": LONGEST_ASPECT,
    }


__all__ = ["GROUND", "LEAST_SIDE", "PREPARATION", "SMALLEST", "identity", "prepare", "target"]
