"""Bytes of a picture to upright RGB, whatever is in them, in bounded memory.

Only the formats of `formats.PILLOW_FORMATS`, told by content. The header is judged before
anything is decoded; a JPEG is decoded at the smallest of its scales that suffices, and every
conversion works on strips, so what is held is the picture as Pillow stores it (at most four
bytes a pixel) and little more. Of several frames or pages the first is taken. What is
transparent shows the ground of `prepare`. More than 8 bits a value go through `stretch`, the
limits being those of the whole picture.
"""

import io
import logging
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from trsllava.images import stretch
from trsllava.images.exif import orientation, told
from trsllava.images.formats import PILLOW_FORMATS
from trsllava.images.notices import say_once
from trsllava.images.prepare import GROUND, target
from trsllava.images.source import Unreadable
from trsllava.records import Metadata
from trsllava.untrusted import printable

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

log = logging.getLogger(__name__)

PIXEL_LIMIT = 300_000_000
_STRIP = 4_000_000  # pixels that are converted at a time
_SAMPLE = 4_000_000  # pixels from which the limits of a stretch are taken
_DEEP = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")
# What the first bytes of a cut or damaged picture still tell.
_MAGIC = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|RIFF....WEBP|II\*\0|MM\0\*|BM....\0\0\0\0|"
    rb"P[1-6]\s|\0\0\0\x0cjP  |\xff\x4f\xff\x51|....ftypavi[fs]",
    re.DOTALL,
)
# All that decoders raise on bytes that are not what they should be.
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    EOFError,
    RuntimeError,
    struct.error,
    zlib.error,
)


def decode(data: bytes, side: int) -> tuple["Image", Metadata]:
    """Read a picture.

    Parameters
    ----------
    data
        The bytes of its file.
    side
        The longest side that will be wanted, in pixels.

    Returns
    -------
    tuple[PIL.Image.Image, Metadata]
        Upright RGB pixels, longer than ``side`` where the picture is, and where and when it was
        taken as far as it tells.

    Raises
    ------
    Unreadable
        If no picture comes out of it.
    """
    from PIL import Image

    if not data:
        raise Unreadable("empty", "the file has no bytes")
    _hush()
    try:
        picture = _opened(io.BytesIO(data))
        _check(picture)
        high, low = _loaded(picture, data, side)
        return _upright(_rgb(high, low, side), orientation(picture)), told(picture)
    except Image.DecompressionBombError as error:
        raise Unreadable("bomb", str(error)) from error
    except MemoryError as error:
        raise Unreadable("too_large", "decoding it needs more memory than there is") from error
    except _BROKEN as error:
        raise _damaged(error) from error


def is_plain(path: str) -> bool:
    """Tell whether a raster is one that Pillow shows rightly, or none at all."""
    _hush()
    try:
        with open(path, "rb") as file:
            picture = _opened(file)
            return picture.mode not in _DEEP and not _is_deep_tiff(picture)
    except (Unreadable, *_BROKEN):
        return True


def _opened(file: BinaryIO | io.BytesIO) -> "ImageFile":
    """Read the header alone, with our limit of pixels instead of Pillow's."""
    from PIL import Image

    Image.init()
    head = file.read(32)
    for name in PILLOW_FORMATS:
        if name not in Image.OPEN:
            continue
        factory, accept = Image.OPEN[name]
        if accept is not None and accept(head) is not True:
            continue
        file.seek(0)
        try:
            return factory(file, "")
        except (SyntaxError, IndexError, TypeError, struct.error):
            continue
    if _MAGIC.match(head):
        raise Unreadable("truncated", "the picture is cut short or damaged in its header")
    raise Unreadable("not_an_image", "the file holds no picture of a format that is read")


def _check(picture: "ImageFile") -> None:
    """Refuse by the header alone what is not to be decoded."""
    width, height = picture.size
    if not width or not height:
        raise Unreadable("damaged", f"the picture is {width} x {height} pixels")
    if width * height > (PIXEL_LIMIT // 2 if _deep_png(picture) else PIXEL_LIMIT):
        raise Unreadable(
            "bomb",
            f"{width} x {height} pixels are more than the {PIXEL_LIMIT // 1_000_000} million (half "
            "as many of 16-bit colour) that are decoded whole; write a GeoTIFF and give --tile",
        )
    if _is_deep_tiff(picture):
        raise Unreadable(
            "unreadable",
            "a TIFF of several bands with more than 8 bits is not read inside a tar; unpack it",
        )
    if getattr(picture, "is_animated", False) and picture.format != "MPO":
        say_once(log, "frames", "of pictures with several frames or pages the first is taken")


def _is_deep_tiff(picture: "ImageFile") -> bool:
    """Tell whether Pillow would cut wide values of a TIFF down to their high bytes."""
    if picture.format != "TIFF" or picture.mode in _DEEP:
        return False
    bits = picture.tag_v2.get(258, (1,))  # type: ignore[attr-defined]
    return bool(max(bits) > 8)


def _deep_png(picture: "ImageFile") -> str | None:
    """Return how a PNG lays out several bands of 16 bits; None of any other picture."""
    layout = picture.tile[0].args if picture.format == "PNG" and picture.tile else None
    return layout if layout in ("RGB;16B", "RGBA;16B", "LA;16B") else None


def _loaded(picture: "ImageFile", data: bytes, side: int) -> tuple["Image", "Image | None"]:
    """Decode, a JPEG at a scale that suffices; return the low bytes of a deep PNG beside.

    Pillow keeps the high bytes of such a picture, which leaves data of 12 bits nearly black.
    """
    from PIL import Image

    if picture.format in ("JPEG", "MPO"):
        wide, high = target(*picture.size, side)
        picture.draft(None, (2 * wide, 2 * high))
    low: Image.Image | None = None
    layout = _deep_png(picture)
    if layout == "LA;16B":
        # Its pixels are as wide as those of RGBA: high and low byte of the grey, then of alpha.
        picture.tile = [picture.tile[0]._replace(args="RGBA")]
        grey, grey_low, alpha, alpha_low = picture.split()
        return Image.merge("LA", (grey, alpha)), Image.merge("LA", (grey_low, alpha_low))
    if layout:
        second = _opened(io.BytesIO(data))
        second.tile = [second.tile[0]._replace(args=layout.replace("16B", "16L"))]
        second.load()
        low = second
    picture.load()
    return picture, low


def _rgb(picture: "Image", low: "Image | None", side: int) -> "Image":
    """Return the picture in RGB, shrunk by a whole number where it is far too large."""
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
    if low is None and picture.mode not in _DEEP:
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


def _upright(picture: "Image", turned: int) -> "Image":
    """Turn a picture as its EXIF orientation (1 to 8) asks."""
    from PIL.Image import Transpose

    how = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }.get(turned)
    return picture if how is None else picture.transpose(how)


def _damaged(error: BaseException) -> Unreadable:
    text = str(error) or type(error).__name__
    reason = "truncated" if "truncat" in text.lower() else "damaged"
    return Unreadable(reason, f"the picture is {reason}: {printable(text[:200])}")


def _hush() -> None:
    """Keep Pillow's complaints about odd files to ourselves: they are no trouble of the user's.

    Filters belong to the process, and this runs in threads: one that is added once and stays
    is safe there, `warnings.catch_warnings` is not.
    """
    mine = ("ignore", None, Warning, re.compile(r"PIL\."), 0)
    if mine not in warnings.filters:
        warnings.filterwarnings("ignore", module=r"PIL\.")
    if logging.getLogger("PIL").level == logging.NOTSET:
        logging.getLogger("PIL").setLevel(logging.CRITICAL)


__all__ = ["PIXEL_LIMIT", "decode", "is_plain"]
