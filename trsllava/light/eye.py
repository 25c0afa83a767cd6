"""The eye: what the light models see in pictures, and the light head's vectors of them."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trsllava import resources
from trsllava.embedding.bundled import unit, usable_cores
from trsllava.embedding.shipped import read_manifest, session
from trsllava.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

FOLDER = "models/light"
SIDE = 260  # pixels that a picture is brought to, both ways
_BATCH = 4


class Sight(NamedTuple):
    """What the eye sees: unit ``vectors`` (n, 384) and ``memory`` (n, tokens, width), float32."""

    vectors: NDArray[np.float32]
    memory: NDArray[np.float32]


class Eye:
    """The light head: pictures as unit vectors in the space of the bundled text encoder.

    A text and a picture agree by the dot product of the picture's vector and the text's unit
    vector less `text_mean`, scaled to unit length again.

    Parameters
    ----------
    threads
        Cores to use; by default all that this process may use.
    """

    def __init__(self, threads: int | None = None) -> None:
        if threads is not None and threads < 1:
            raise InputError(f"the light head needs at least one thread, not {threads}")
        self._folder = resources.find(FOLDER)
        self._manifest = read_manifest(self._folder)
        self._threads = threads or usable_cores()

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        return int(self._manifest["dimension"])

    @cached_property
    def text_mean(self) -> NDArray[np.float32]:
        """The mean text vector (dimension,), to be taken off texts before they are compared."""
        return np.array(self._manifest["text_mean"], np.float32)

    def identity(self) -> Mapping[str, str | int]:
        """Return all that changes a vector."""
        return {
            "name": str(self._manifest["name"]),
            "revision": self._manifest["sha256"]["eye.onnx"],
            "side": SIDE,
            "encoder": str(self._manifest["encoder"]),
        }

    def vectors(self, pictures: Sequence["Image"]) -> NDArray[np.float32]:
        """Return the unit vectors (n, dimension) of pictures of any size and mode."""
        return self.see(pictures).vectors

    def see(self, pictures: Sequence["Image"]) -> Sight:
        """Look at pictures of any size and mode."""
        found = [
            self._session.run(
                None, {"pixels": np.stack([fit(p) for p in pictures[n : n + _BATCH]])}
            )
            for n in range(0, len(pictures), _BATCH)
        ]
        if not found:
            return Sight(np.zeros((0, self.dimension), np.float32), np.zeros((0, 0, 0), np.float32))
        vectors, memory = (np.concatenate(part) for part in zip(*found, strict=True))
        return Sight(unit(vectors), memory)

    @cached_property
    def _session(self) -> Any:
        return session(self._folder, "eye.onnx", self._threads)


def fit(picture: "Image") -> NDArray[np.uint8]:
    """Return a picture's pixels as the eye takes them: RGB (`SIDE`, `SIDE`, 3), nothing cut off."""
    from PIL.Image import Resampling

    return np.asarray(picture.convert("RGB").resize((SIDE, SIDE), Resampling.BICUBIC))
