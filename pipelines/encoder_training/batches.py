"""The batches: captions, what stands for their images, and which other images a caption fits.

Images come in families whose captions are much alike, so that a batch is as confusable as an
archive.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from encoder_training.texts import Scene, normal


@dataclass(frozen=True, slots=True)
class AdaptConfig:
    """One run's constants, as they stand in ``adapt_encoder.toml``."""

    steps: int
    images: int
    recorded: float
    kin: int
    texts: int
    rate: float
    warmup: int
    decay: float
    temperature: float
    longest: int
    seed: int


class Batches:
    """Draws the batches: the same ones for the same seed, wherever a run was interrupted.

    Parameters
    ----------
    scenes
        What is learnt from.
    vectors
        The unit vector of each scene's captions on average, (scenes, dimension): who is kin.
    config
        The run's constants.
    """

    def __init__(
        self, scenes: Sequence[Scene], vectors: NDArray[np.float32], config: AdaptConfig
    ) -> None:
        self._scenes, self._vectors, self._config = scenes, vectors, config
        with_record = np.array([bool(scene.record) for scene in scenes])
        self._pools = np.flatnonzero(with_record), np.flatnonzero(~with_record)
        self._captions = [frozenset(map(normal, scene.captions)) for scene in scenes]

    def draw(self, step: int) -> tuple[list[str], list[list[str]], NDArray[np.bool_]]:
        """Return captions, the texts of their images, and which images a caption fits, too."""
        random = np.random.default_rng((self._config.seed, step))
        rows = self._rows(random)
        asked = [str(random.choice(self._scenes[row].captions)) for row in rows]
        texts = [
            self._texts(self._scenes[row], own, random)
            for row, own in zip(rows, asked, strict=True)
        ]
        forms = [normal(text) for text in asked]
        fits = np.array([[form in self._captions[row] for row in rows] for form in forms])
        return asked, texts, fits

    def _rows(self, random: np.random.Generator) -> NDArray[np.int64]:
        """Draw scenes in families of ``kin``: one at random and those nearest to it."""
        size, kin = self._config.images, self._config.kin
        wanted = round(size * self._config.recorded)
        rows: list[int] = []
        for pool, count in zip(self._pools, (wanted, size - wanted), strict=True):
            taken: list[int] = []
            while len(taken) < count:
                head = int(random.choice(pool))
                near = self._vectors[pool] @ self._vectors[head]
                near = near + random.gumbel(scale=0.05, size=len(pool)).astype(np.float32)
                order = pool[np.argpartition(-near, 4 * kin)[: 4 * kin]]
                family = [head, *random.permutation(order)[: kin - 1].tolist()]
                taken += [row for row in dict.fromkeys(family) if row not in taken]
            rows += taken[:count]
        return np.array(rows)

    def _texts(self, scene: Scene, asked: str, random: np.random.Generator) -> list[str]:
        """Draw what stands for an image: texts of its record, or its other captions."""
        if scene.record:
            fields = random.permutation(len(scene.record))[: self._config.texts]
            return [str(random.choice(scene.record[field])) for field in fields]
        others = [text for text in scene.captions if text != asked]
        return [others[n] for n in random.permutation(len(others))[: self._config.texts]]
