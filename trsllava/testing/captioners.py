"""A captioner without a model, whose records tell which picture it saw."""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from trsllava.captioning.captioner import Captioned, Failed, Outcome, Prepared, Usage
from trsllava.records import Variant

if TYPE_CHECKING:
    from PIL.Image import Image

COLOURS = {
    "red": (200, 40, 40),
    "green": (40, 160, 60),
    "blue": (40, 70, 200),
    "yellow": (220, 210, 60),
    "brown": (130, 90, 50),
    "purple": (130, 50, 150),
    "white": (240, 240, 240),
    "grey": (128, 128, 128),
    "black": (15, 15, 15),
}
_TEXTS = (
    (
        "One {colour} field without any object covers the whole image.",
        "one {colour} field, no road, no building, no tree",
        "A single {colour} field covers the image from the north edge to the south edge. Nothing "
        "stands on it that could be counted.",
    ),
    (
        "The ground is {tone} {colour} and even all over.",
        "even {colour} ground, {tone} tone, no line or edge in it",
        "The ground is of one {tone} {colour} tone, smooth and without pattern. No other colour "
        "can be seen.",
    ),
    (
        "From north to south and from east to west everything is {colour}.",
        "{colour} in the north, {colour} in the south, {colour} in the centre",
        "The centre is {colour}, and so are the four corners. There is no border between one part "
        "and another.",
    ),
    (
        "An open {colour} plain with nothing built on it.",
        "open {tone} {colour} plain, unbuilt land",
        "This is open {colour} land on which nothing is built. It may serve as a test pattern.",
    ),
    (
        "Just a plain {colour} surface seen from above.",
        "a plain {colour} surface and nothing else",
        "If you look for a plain {colour} surface, this is one. It is {tone} and looks the same "
        "everywhere.",
    ),
)


class StubCaptioner:
    """Names the mean colour of each picture in five full variants; the same for the same pixels.

    The variants pass the quality checks. The outcomes come in the order of the pictures.
    """

    def __init__(self, *, delay: float = 0.0, failing: Collection[str] = ()) -> None:
        """Say how it behaves.

        Parameters
        ----------
        delay
            Seconds that each picture takes.
        failing
            Ids of the images that get the outcome `Failed` with the reason ``refused``.
        """
        self._delay = delay
        self._failing = frozenset(failing)

    def identity(self) -> Mapping[str, Any]:
        """Return name and version."""
        return {"name": "stub", "model": "mean-colour", "revision": "1"}

    def caption(self, images: Iterable[Prepared]) -> Iterator[Outcome]:
        """Yield one outcome a picture, pulled one by one."""
        usage = Usage(300, 200, 1)
        for picture in images:
            if self._delay:
                time.sleep(self._delay)
            if picture.image in self._failing:
                yield Failed(picture.image, "refused", "the stub was told so", "No.", usage)
            else:
                yield Captioned(picture.image, describe(picture.pixels), usage=usage)


def describe(pixels: "Image") -> tuple[Variant, ...]:
    """Return five variants that name the mean colour of a picture, and how light it is."""
    import numpy as np

    mean = np.asarray(pixels.convert("RGB"), np.float64).reshape(-1, 3).mean(axis=0)
    colour = min(COLOURS, key=lambda name: float(((mean - np.array(COLOURS[name])) ** 2).sum()))
    tone = "light" if mean.mean() >= 128 else "dark"
    return tuple(
        Variant(*(text.format(colour=colour, tone=tone) for text in texts)) for texts in _TEXTS
    )
