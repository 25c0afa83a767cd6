"""Bytes of a picture to upright RGB, whatever is in them, in bounded memory.

Only the formats of `formats.PILLOW_FORMATS`, told by content. The header is judged before
anything is decoded, and a JPEG is decoded at the smallest of its scales that suffices, so what
is held is the picture as Pillow stores it (at most four bytes a pixel) and little more. Of
several frames or pages the first is taken.
"""

import io
import logging
import re
import struct
import warnings
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO

from trsllava.images.colours import DEEP, rgb
from trsllava.images.exif import orientation, told
from trsllava.images.formats import PILLOW_FORMATS
from trsllava.images.notices import say_once
from trsllava.images.prepare import target
from trsllava.images.source import Unreadable
from trsllava.records import Metadata
from trsllava.untrusted import printable

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

log = logging.getLogger(__name__)

PIXEL_LIMIT = 300_000_000
# What the first bytes of a cut or damaged picture still tell.
_MAGIC = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|RIFF....WEBP|II\*\0|MM\0\*|BM....\0\0\0\0|"
    rb"P[1-6]\s|\0\0\0\x0cjP  |\xff\x4f\xff\x51|....ftypavi[fs]",
    re.DOTALL,
)
# ModelPixelScale, ModelTiepoint, ModelTransformation.
_GEOREFERENCE = frozenset((33550, 33922, 34264))
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
        return _upright(rgb(high, low, side), orientation(picture)), told(picture)
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
            return picture.mode not in DEEP and not _is_deep_tiff(picture)
    except (Unreadable, *_BROKEN):
        return True


def is_turned(path: str) -> bool:
    """Tell whether a TIFF is an ordinary picture that stands upright only when it is turned.

    Of one with a place on Earth the transform is that of the pixels as they are stored.
    """
    _hush()
    try:
        with open(path, "rb") as file:
            picture = _opened(file)
            if picture.format != "TIFF" or picture.mode in DEEP or _is_deep_tiff(picture):
                return False
            tags = picture.tag_v2  # type: ignore[attr-defined]
            return orientation(picture) != 1 and not _GEOREFERENCE & set(tags)
    except (Unreadable, *_BROKEN):
        return False


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
            "a TIFF of several bands with more than 8 bits is read as a raster only: it must be a "
            "file of its own called .tif; if it is in a tar, unpack it",
        )
    if getattr(picture, "is_animated", False) and picture.format != "MPO":
        say_once(log, "frames", "of pictures with several frames or pages the first is taken")


def _is_deep_tiff(picture: "ImageFile") -> bool:
    """Tell whether Pillow would cut wide values of a TIFF down to their high bytes."""
    if picture.format != "TIFF" or picture.mode in DEEP:
        return False
    bits = picture.tag_v2.get(258, (1,))  # type: ignore[attr-defined]
    return bool(max(bits) > 8)


def _deep_png(picture: "ImageFile") -> str | None:
    """Return how a PNG lays out several bands of 16 bits; None of any other picture."""
    layout = picture.tile[0][3] if picture.format == "PNG" and picture.tile else None
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
        _read_as(picture, "RGBA")
        grey, grey_low, alpha, alpha_low = picture.split()
        return Image.merge("LA", (grey, alpha)), Image.merge("LA", (grey_low, alpha_low))
    if layout:
        second = _opened(io.BytesIO(data))
        _read_as(second, layout.replace("16B", "16L"))
        second.load()
        low = second
    picture.load()
    return picture, low


def _read_as(picture: "ImageFile", layout: str) -> None:
    """Make Pillow decode a PNG's bytes by another layout of the same width."""
    codec, box, offset, _ = picture.tile[0]
    tile: Any = (codec, box, offset, layout)  # a plain tuple in older releases
    picture.tile = [tile]


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


__all__ = ["PIXEL_LIMIT", "decode", "is_plain", "is_turned"]
