"""The first answers of a run, held against each other without extra calls.

A server that does not look at the pictures (a prefix cache that ignores them, a decoder that fails
in silence) answers different pictures alike. Pictures that look alike prove nothing: an archive of
five plain colours rightly gets five answers.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

LEAST_PICTURES = 8
SHARE = 0.5
_GRID = 8
_DIFFERENT = 24.0  # mean difference of two signatures, in levels of 255


def signature_of(pixels: "Image") -> bytes:
    """Return an 8 x 8 RGB thumbnail: 192 bytes that tell whether two pictures differ."""
    return pixels.resize((_GRID, _GRID), resample=4).tobytes()


class Lookalikes:
    """The answers seen so far, and whether they speak of the pictures."""

    def __init__(self) -> None:
        """Begin without answers."""
        self._groups: defaultdict[tuple[str, ...], list[tuple[str, bytes]]] = defaultdict(list)
        self._count = 0

    def add(self, image: str, signature: bytes, texts: Sequence[str]) -> None:
        """Take in what was said about a picture."""
        said = tuple(" ".join(text.casefold().split()) for text in texts)
        self._groups[said].append((image, signature))
        self._count += 1

    def verdict(self) -> str | None:
        """Say whether answers to different pictures do not differ; None while all seems well.

        It needs eight answers, at least half of which are shared with a picture that looks
        clearly different.
        """
        if self._count < LEAST_PICTURES:
            return None
        shared, example = 0, ("", "")
        for group in self._groups.values():
            for image, signature in group:
                other = next((o for o, s in group if _differ(signature, s)), None)
                if other is not None:
                    shared += 1
                    example = example if example[0] else (image, other)
        if shared < SHARE * self._count:
            return None
        return (
            f"{shared} of the first {self._count} answers are the same as that to a picture that "
            f"looks different (for example {example[0]} and {example[1]}): the server may not "
            "look at the pictures"
        )


def _differ(left: bytes, right: bytes) -> bool:
    if left == right or len(left) != len(right):
        return left != right
    return sum(abs(a - b) for a, b in zip(left, right, strict=True)) > _DIFFERENT * len(left)
