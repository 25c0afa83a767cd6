"""The first answers of a run, held against each other without extra calls.

A model that is not shown the pictures (a prefix cache that ignores them, a decoder that fails in
silence) answers different pictures alike. Pictures that look alike prove nothing: an archive of
five plain colours rightly gets five answers.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from PIL.Image import Image

LEAST_PICTURES = 8
SHARE = 0.5
_GRID = 8
_DIFFERENT = 24.0  # mean difference of two signatures, in levels of 255


def signature_of(pixels: "Image") -> bytes:
    """Return an 8 x 8 RGB thumbnail: 192 bytes that tell whether two pictures differ."""
    from PIL.Image import Resampling

    return pixels.resize((_GRID, _GRID), Resampling.BOX).tobytes()


class _Answer(NamedTuple):
    image: str
    signature: bytes
    said: frozenset[str]


class Lookalikes:
    """The answers seen so far, and whether they speak of the pictures."""

    def __init__(self) -> None:
        """Begin without answers."""
        self._answers: list[_Answer] = []
        self._shared: set[str] = set()
        self._example = ("", "")

    def add(self, image: str, signature: bytes, texts: Sequence[str]) -> None:
        """Take in what was said about a picture."""
        said = frozenset(" ".join(text.casefold().split()) for text in texts)
        answer = _Answer(image, signature, said)
        for other in self._answers:
            if _alike(said, other.said) and _differ(signature, other.signature):
                if not self._shared:
                    self._example = (other.image, image)
                self._shared |= {other.image, image}
        self._answers.append(answer)

    def verdict(self) -> str | None:
        """Say whether answers to different pictures do not differ; None while all seems well.

        It needs eight answers, at least half of which are shared with a picture that looks
        clearly different.
        """
        count, shared = len(self._answers), len(self._shared)
        if count < LEAST_PICTURES or shared < SHARE * count:
            return None
        one, other = self._example
        return (
            f"{shared} of the first {count} answers are the same as that to a picture that looks "
            f"different (for example {one} and {other}): the model may not see the pictures"
        )


def _alike(left: frozenset[str], right: frozenset[str]) -> bool:
    """Whether half of the texts are the same: a model that repeats itself is rarely exact."""
    return 2 * len(left & right) >= max(len(left), len(right))


def _differ(left: bytes, right: bytes) -> bool:
    if left == right or len(left) != len(right):
        return left != right
    return sum(abs(a - b) for a, b in zip(left, right, strict=True)) > _DIFFERENT * len(left)
