"""How an image scores by its texts, and how the parts of a score become one.

An image's dense part is the log-mean-exp of the cosines between the query and
each of its texts: close to the best text, but texts that agree count too. Its
words part is BM25 over all its texts. Both are divided by the deviation they
show on a bank of ordinary queries, weighted, and added.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

Mode = Literal["hybrid", "dense", "lexical"]
MODES: tuple[Mode, ...] = get_args(Mode)

BETA = 20.0
WORDS_WEIGHT = 0.2  # chosen on RSICD validation, see docs/scoring.md
WEAK = 0.5
TYPICAL_UNRELATED = 0.2


def log_mean_exp(
    cosines: NDArray[np.float32], starts: NDArray[np.int64], beta: float = BETA
) -> NDArray[np.float32]:
    """Aggregate the cosines of texts to scores of images.

    Parameters
    ----------
    cosines
        Of shape (texts, queries); the texts of one image stand together.
    starts
        Where the texts of each image begin, of shape (images,), strictly increasing.
    beta
        Sharpness: towards 0 the mean, towards infinity the maximum.

    Returns
    -------
    NDArray[np.float32]
        Of shape (images, queries), each between the mean and the maximum.
    """
    counts = np.diff(starts, append=len(cosines)).astype(np.float32)[:, None]
    # Cosines are at most 1, so the exponent is never above 0 and nothing overflows.
    sums = np.add.reduceat(np.exp(beta * (cosines - 1)), starts, axis=0)
    return (np.log(sums / counts) / beta + 1).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Level:
    """Where one mode's raw scores stop meaning anything.

    ``unrelated`` is what the best image of an archive typically reaches for a query that
    nothing in it answers, ``limit`` what it hardly ever exceeds.
    """

    unrelated: float
    limit: float

    def readable(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        """Bring raw scores to 0..1: 0.2 at ``unrelated``, `WEAK` (0.5) at ``limit``."""
        steepness = np.log(1 / TYPICAL_UNRELATED - 1) / (self.limit - self.unrelated)
        return np.asarray(1 / (1 + np.exp(-steepness * (raw - self.limit))))


@dataclass(frozen=True, slots=True)
class Scale:
    """The constants that make scores comparable, measured when an index is built."""

    dense_unit: float
    words_unit: float
    levels: Mapping[str, Level]

    def raw(
        self, mode: Mode, dense: NDArray[np.float32], words: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """Return the score that ranks, from the two parts (of one shape).

        Parameters
        ----------
        mode
            Which parts count.
        dense
            Aggregated cosines.
        words
            BM25 scores.

        Returns
        -------
        NDArray[np.float64]
            In units of one deviation.
        """
        dense_part, words_part = self.parts(mode, dense, words)
        return dense_part + words_part

    def parts(
        self, mode: Mode, dense: NDArray[np.float32], words: NDArray[np.float32]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what each part adds to `raw`."""
        weight = {"dense": 0.0, "hybrid": WORDS_WEIGHT, "lexical": 1.0}[mode]
        return (
            (1 - weight) * dense.astype(np.float64) / self.dense_unit,
            weight * words.astype(np.float64) / self.words_unit,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the constants as they stand in a manifest."""
        return asdict(self)

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        levels = {mode: Level(**level) for mode, level in body["levels"].items()}
        return cls(body["dense_unit"], body["words_unit"], levels)


# Floors for archives too small or too uniform to measure anything on.
_DENSE_UNIT, _WORDS_UNIT, _SPREAD = 0.05, 0.2, 0.25


def measure_scale(
    ordinary: tuple[NDArray[np.float32], NDArray[np.float32]],
    offtopic: tuple[NDArray[np.float32], NDArray[np.float32]],
) -> Scale:
    """Measure the constants on an archive.

    Parameters
    ----------
    ordinary
        Dense and words part of a bank of ordinary queries, each (queries, images).
    offtopic
        The same for queries that no overhead image answers.

    Returns
    -------
    Scale
        Units from the first bank, levels from the second: the mean of what its queries' best
        images reach, and two deviations above it.
    """
    units = [
        max(float(part.std()), floor) if part.size else floor
        for part, floor in zip(ordinary, (_DENSE_UNIT, _WORDS_UNIT), strict=True)
    ]
    scale = Scale(units[0], units[1], {})
    levels: dict[str, Level] = {}
    for mode in MODES:
        best = scale.raw(mode, *offtopic).max(axis=1) if offtopic[0].size else np.zeros(1)
        mean, spread = float(best.mean()), max(float(best.std()), _SPREAD)
        levels[mode] = Level(unrelated=mean, limit=mean + 2 * spread)
    return Scale(units[0], units[1], levels)
