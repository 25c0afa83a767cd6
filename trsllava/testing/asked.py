"""What a stub server was asked: a request for a record, and its picture."""

import base64
import binascii
import hashlib
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trsllava.testing.captioners import COLOURS

_URL = re.compile(r"data:([^;,]*);base64,(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a record: its number from 1, its body, and what its picture is.

    ``kind`` is the declared type, ``real`` the true one; ``mean`` its colour; ``last`` is the
    request before.
    """

    number: int
    body: Mapping[str, Any]
    headers: Mapping[str, str]
    sha256: str = ""
    kind: str = ""
    real: str = ""
    size: tuple[int, int] = (0, 0)
    mean: tuple[int, ...] = ()
    last: "Asked | None" = None

    @property
    def colour(self) -> str:
        """The name of the picture's mean colour, ``nothing`` without a picture."""
        if not self.mean:
            return "nothing"
        return min(
            COLOURS,
            key=lambda name: sum(
                (a - b) ** 2 for a, b in zip(self.mean, COLOURS[name], strict=True)
            ),
        )

    @property
    def form(self) -> str:
        """The type of the response format that is asked for."""
        return str((self.body.get("response_format") or {}).get("type", ""))

    @property
    def limit(self) -> int | None:
        """The limit on new tokens, under whatever name it came."""
        value = self.body.get("max_tokens") or self.body.get("max_completion_tokens")
        return value if isinstance(value, int) else None

    def entry(self) -> dict[str, Any]:
        """Return what a log says about it."""
        return {
            "n": self.number,
            "sha256": self.sha256,
            "type": self.kind,
            "real_type": self.real,
            "size": list(self.size),
            "colour": self.colour,
            "response_format": self.form,
            "max_tokens": self.limit,
        }


def read_asked(body: bytes, headers: dict[str, str], number: int, last: Asked | None) -> Asked:
    """Read a request, and look at its picture."""
    from PIL import Image

    request = json.loads(body)
    parts = [
        part
        for message in request["messages"]
        if isinstance(message["content"], list)
        for part in message["content"]
    ]
    urls = [part["image_url"]["url"] for part in parts if part.get("type") == "image_url"]
    match = _URL.fullmatch(urls[0]) if urls else None
    if match is None:
        return Asked(number, request, headers, last=last)
    try:
        data = base64.b64decode(match[2], validate=True)
        with Image.open(io.BytesIO(data)) as picture:
            real, size = Image.MIME.get(picture.format or "", ""), picture.size
            picture.draft("RGB", (1, 1))  # the mean does not need every pixel of a JPEG
            small = picture.convert("RGB").resize((1, 1), Image.Resampling.BOX)
            mean = tuple(small.tobytes())
    except (OSError, binascii.Error):
        return Asked(number, request, headers, kind=match[1], last=last)
    digest = hashlib.sha256(data).hexdigest()
    return Asked(number, request, headers, digest, match[1], real, size, mean, last)
