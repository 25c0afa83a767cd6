"""How a picture leaves this machine: as a PNG or a JPEG, nothing beside its pixels."""

import base64
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

# A small picture is cheap without loss, and what JPEG blurs is much of it.
_EXACT_PIXELS = 128 * 128
_QUALITY = 90
# Part of the fingerprint: other bytes may give other records.
ENCODING = f"png to {_EXACT_PIXELS} pixels, jpeg {_QUALITY} 4:4:4 beyond"


def data_uri(pixels: "Image") -> str:
    """Return an RGB picture as a data URI; the same pixels give the same text."""
    plain = pixels.convert("RGB")
    plain.info = {}  # profiles, comments and places would go along
    file = io.BytesIO()
    if plain.width * plain.height <= _EXACT_PIXELS:
        kind = "png"
        plain.save(file, "PNG")
    else:
        kind = "jpeg"
        plain.save(file, "JPEG", quality=_QUALITY, subsampling=0)
    return f"data:image/{kind};base64,{base64.b64encode(file.getbuffer()).decode('ascii')}"
