"""The one protocol of everything that writes records from pictures."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from trsllava.errors import TrsllavaError
from trsllava.records import Variant

if TYPE_CHECKING:
    from PIL.Image import Image


class Usage(NamedTuple):
    """What an image took: tokens in and out, and how often the model was asked."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    calls: int = 0

    def plus(self, other: "Usage") -> "Usage":
        """Return the sum of both."""
        return Usage(*map(sum, zip(self, other, strict=True)))


NO_USAGE = Usage()


@dataclass(frozen=True, slots=True)
class Prepared:
    """A picture as a captioner gets it: upright RGB, both sides at least 28 pixels."""

    image: str
    pixels: "Image"


@dataclass(frozen=True, slots=True)
class Captioned:
    """Five full variants of one image; ``flags`` (sorted) say what was unusual, as ``repaired``."""

    image: str
    variants: tuple[Variant, ...]
    flags: tuple[str, ...] = ()
    usage: Usage = NO_USAGE


@dataclass(frozen=True, slots=True)
class Failed:
    """Why an image got no record.

    ``reason`` is one word that never varies between runs (``cut``, ``refused``, ...), ``detail``
    a sentence for people with the remedy, ``raw`` the reply as it came.
    """

    image: str
    reason: str
    detail: str
    raw: str = ""
    usage: Usage = NO_USAGE


Outcome = Captioned | Failed


class CaptionerUnavailable(TrsllavaError):
    """The captioner cannot work now (server down, key refused); images stay pending."""


class Captioner(Protocol):
    """A frozen model that looks at pictures.

    ``caption`` pulls pictures when it has room for them and yields exactly one outcome an image,
    in any order; when ``images`` ends, what is in flight is finished. It raises
    `CaptionerUnavailable` when no image can be captioned now. Batching and concurrency stay
    inside. Closing the generator abandons what is in flight.
    """

    def identity(self) -> Mapping[str, Any]:
        """Return all that changes a record, as JSON: name, model, revision, prompt, sampling."""

    def caption(self, images: Iterable[Prepared]) -> Iterator[Outcome]:
        """Look at every picture and say what is in it."""
