"""What an archive holds, as values: sources of pixels, and what was passed over."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from trsllava.errors import TrsllavaError
from trsllava.records import Metadata

if TYPE_CHECKING:
    from PIL.Image import Image


class Unreadable(TrsllavaError):
    """A picture that no record can be made of; ``reason`` is one word that never varies."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Window(NamedTuple):
    """A part of a scene, in pixels from its upper left corner."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Rendering:
    """How a raster becomes RGB: three band numbers (from 1) and the limits of each.

    A value at or below the low limit becomes 0, at or above the high one 255. The limits are
    those of the whole scene, so that its windows look alike.
    """

    bands: tuple[int, int, int]
    limits: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Source:
    """Where the pixels of one image are.

    ``path`` is the absolute path of a file; ``member`` is offset and size of the bytes inside it
    (a tar), ``window`` and ``rendering`` belong to rasters. ``size`` (bytes) and ``mtime_ns`` tell
    whether the picture is still the same. ``metadata`` is what is known without the pixels.
    """

    image: str
    path: str
    size: int
    mtime_ns: int
    member: tuple[int, int] | None = None
    window: Window | None = None
    rendering: Rendering | None = None
    metadata: Metadata = field(default_factory=Metadata)

    def to_json(self) -> dict[str, Any]:
        """Return the source as a JSON object, absent parts left out."""
        body: dict[str, Any] = {
            "image": self.image,
            "path": self.path,
            "size": self.size,
            "mtime_ns": self.mtime_ns,
        }
        if self.member is not None:
            body["member"] = list(self.member)
        if self.window is not None:
            body["window"] = list(self.window)
        if self.rendering is not None:
            body["bands"] = list(self.rendering.bands)
            body["limits"] = [list(pair) for pair in self.rendering.limits]
        return body | self.metadata.to_json()

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(
            image=body["image"],
            path=body["path"],
            size=body["size"],
            mtime_ns=body["mtime_ns"],
            member=tuple(body["member"]) if "member" in body else None,
            window=Window(*body["window"]) if "window" in body else None,
            rendering=Rendering(
                tuple(body["bands"]), tuple((low, high) for low, high in body["limits"])
            )
            if "bands" in body
            else None,
            metadata=Metadata.from_json(body),
        )


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that is no image to caption (companion file, empty window): counted by reason."""

    reason: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Unfit:
    """An image that cannot even be named or listed; it is quarantined under ``image``."""

    image: str
    reason: str
    detail: str


Found = Source | Skipped | Unfit


@dataclass(frozen=True, slots=True)
class Reading:
    """All that changes the pixels which a captioner sees; part of the fingerprint.

    ``tile`` and ``overlap`` cut rasters in windows (pixels), ``bands`` chooses red, green, blue,
    ``side`` is the longest side in pixels of what a captioner gets (slim pictures may be longer,
    see `prepare`).
    """

    tile: int | None = None
    overlap: int = 0
    bands: tuple[int, int, int] | None = None
    side: int = 1024


@dataclass(frozen=True, slots=True)
class Picture:
    """The pixels of an image, upright RGB at most ``Reading.side`` long, and what they told.

    ``sha256`` is that of the file's (member's) bytes; for a window that of its pixels.
    """

    pixels: "Image"
    sha256: str
    metadata: Metadata


__all__ = [
    "Found",
    "Picture",
    "Reading",
    "Rendering",
    "Skipped",
    "Source",
    "Unfit",
    "Unreadable",
    "Window",
]
