"""Any mode of Pillow's to RGB, strip by strip, so that no second whole picture is held.

What is transparent shows the ground of `prepare`. Values of more than 8 bits go through
`stretch`, its limits being those of the whole picture.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from trsllava.images import stretch
from trsllava.images.prepare import GROUND

if TYPE_CHECKING:
    from PIL.Image import Image

DEEP = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")  # modes of more than 8 bits a value
_STRIP = 4_000_000  # pixels that are converted at a time
_SAMPLE = 4_000_000  # pixels from which the limits of a stretch are taken


def rgb(picture: "Image", low: "Image | None", side: int) -> "Image":
    """Return a picture in RGB, shrunk by a whole number where it is far too large.

    Parameters
    ----------
    picture
        A loaded picture of any mode.
    low
        The same with the low bytes, if it has several bands of 16 bits; itself has the high ones.
    side
        The longest side that will be wanted, in pixels.

    Returns
    -------
    PIL.Image.Image
        At least three times ``side`` long if the picture is.
    """
    from PIL import Image

    width, height = picture.size
    shrink = max(1, int(max(width, height) / side / 3))
    rows = shrink * max(1, _STRIP // (width * shrink))
    limits = _limits(picture, low)
    if rows >= height and shrink == 1:
        return _strip_rgb(picture, low, limits)
    small = Image.new("RGB", (-(-width // shrink), -(-height // shrink)))
    for top, strip, strip_low in _strips(picture, low, rows):
        small.paste(_strip_rgb(strip, strip_low, limits).reduce(shrink), (0, top // shrink))
    return small


def _strips(
    picture: "Image", low: "Image | None", rows: int
) -> Iterator[tuple[int, "Image", "Image | None"]]:
    """Yield the picture from top to bottom: first row, pixels, low bytes."""
    for top in range(0, picture.height, rows):
        box = (0, top, picture.width, min(picture.height, top + rows))
        yield top, picture.crop(box), None if low is None else low.crop(box)


def _limits(picture: "Image", low: "Image | None") -> tuple[float, float] | None:
    """Return the limits of the stretch, from at most some four million pixels."""
    if low is None and picture.mode not in DEEP:
        return None
    import numpy as np

    step = int((picture.width * picture.height / _SAMPLE) ** 0.5) + 1
    rows = step * max(1, _STRIP // (picture.width * step))
    values, valid = [], []
    for _, strip, strip_low in _strips(picture, low, rows):
        array, alpha = _values(strip, strip_low)
        values.append(array[::step, ::step])
        valid.append(alpha[::step, ::step] > 0)
    known = np.concatenate(valid)
    every = np.concatenate(values)
    return stretch.limits(every, known if every.ndim == 2 else known[..., None])


def _values(strip: "Image", low: "Image | None") -> tuple[Any, Any]:
    """Return the values and the opacity (uint8) of a strip of more than 8 bits a value."""
    import numpy as np

    array = np.asarray(strip)
    if low is None:
        valid = np.isfinite(array)
        transparent = strip.info.get("transparency")
        if isinstance(transparent, int):
            valid &= array != transparent
        return array, valid.astype(np.uint8) * 255
    whole = (array.astype(np.uint16) << 8) | np.asarray(low)
    if whole.shape[2] == 3:
        return whole, np.full(whole.shape[:2], 255, np.uint8)
    colours = whole[..., :3] if whole.shape[2] == 4 else whole[..., 0]
    return colours, array[..., -1]


def _strip_rgb(strip: "Image", low: "Image | None", limits: tuple[float, float] | None) -> "Image":
    """Return a strip in RGB, what is transparent in it on the ground."""
    from PIL import Image

    if limits is not None:
        values, opacity = _values(strip, low)
        colours = Image.fromarray(stretch.apply(values, limits)).convert("RGB")
        alpha = Image.fromarray(opacity)
    elif strip.has_transparency_data:
        strip = strip.convert("RGBA")
        colours, alpha = strip.convert("RGB"), strip.getchannel("A")
    else:
        return strip.convert("RGB")
    ground = Image.new("RGB", strip.size, GROUND)
    ground.paste(colours, mask=alpha)
    return ground


__all__ = ["DEEP", "rgb"]
