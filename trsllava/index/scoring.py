"""How an image scores by its texts, and how the parts of a score become one.

An image's dense part is the log-mean-exp of the cosines between the query and
each of its texts: close to the best text, but texts that agree count too. Its
words part is BM25 over all its texts plus a bonus for the share of the query's
words that it has. Its picture part, where the index has picture vectors, is the
cosine between query and picture in the light head's space. Each part is brought
to the deviation it shows on a bank of ordinary queries, weighted, and added
(docs/scoring.md).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, NamedTuple, Self, get_args

import numpy as np
from numpy.typing import NDArray

Mode = Literal["hybrid", "dense", "lexical", "fused"]
MODES: tuple[Mode, ...] = get_args(Mode)

BETA = 20.0
SHARE_BONUS = 3.0  # deviations that an image gains by having every word of the query
WEAK = 0.5
TYPICAL_UNRELATED = 0.2


@dataclass(frozen=True, slots=True)
class Weights:
    """What words count beside meaning, and the picture beside both; the rest is meaning's."""

    words: float
    picture: float


# Chosen, as the bonus was, on half of RSICD's validation images. An encoder that was adapted to
# overhead images needs the words' help and the picture's less.
_WEIGHTS = {"adapted": Weights(0.03, 0.2)}
_USUAL_WEIGHTS = Weights(0.15, 0.4)


def weights_for(encoder: str) -> Weights:
    """Return the weights that suit an encoder."""
    return _WEIGHTS.get(encoder, _USUAL_WEIGHTS)


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
    powers = np.exp(beta * (cosines - 1))
    if counts.min() == counts.max():  # full records only: a plain sum is faster
        sums = powers.reshape(len(starts), -1, cosines.shape[1]).sum(axis=1)
    else:
        sums = np.add.reduceat(powers, starts, axis=0)
    return np.asarray(np.log(sums / counts) / beta + 1, dtype=np.float32)


def usual(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what each text scores with a bank of texts that speak of other images.

    Taken off its scores, it leaves how much better the text fits one record than any: a dynamic
    inverted softmax (Bogolin et al. 2022) whose bank is of no split that is measured.

    Parameters
    ----------
    scores
        Cosines of shape (texts, bank).

    Returns
    -------
    NDArray[np.float32]
        The log-mean-exp over the bank, (texts,).
    """
    return np.asarray(log_mean_exp(scores.T, np.zeros(1, np.int64))[0])


class Parts(NamedTuple):
    """What scores are made of; float32 arrays of one shape, such as (queries, images).

    ``dense`` are aggregated cosines, ``bm25`` is what its name says, ``share`` the share of the
    query's words that stand in the image's texts, ``picture`` the cosines with the pictures.
    """

    dense: NDArray[np.float32]
    bm25: NDArray[np.float32]
    share: NDArray[np.float32]
    picture: NDArray[np.float32]


class Added(NamedTuple):
    """What each part adds to a raw score, in deviations; arrays of one shape."""

    meaning: NDArray[np.float64]
    words: NDArray[np.float64]
    picture: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Level:
    """Where one mode's raw scores stop meaning anything.

    ``unrelated`` is what the best image of an archive typically reaches for a query that
    nothing in it answers, ``limit`` what it hardly ever exceeds.
    """

    unrelated: float
    limit: float

    def met_by(self, raw: NDArray[np.float64]) -> "Level":
        """Return the level at which all of ``raw`` (above 0) answer: lowered if it must be."""
        share = min(1.0, float(raw.min(initial=np.inf)) / self.limit)
        return Level(share * self.unrelated, share * self.limit)

    def readable(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        """Bring raw scores to 0..1: 0.2 at ``unrelated``, `WEAK` (0.5) at ``limit``."""
        steepness = np.log(1 / TYPICAL_UNRELATED - 1) / (self.limit - self.unrelated)
        return np.asarray(1 / (1 + np.exp(-steepness * (raw - self.limit))))


@dataclass(frozen=True, slots=True)
class Scale:
    """The constants that make scores comparable, measured when an index is built.

    An index without picture vectors has no level of the mode ``fused``.
    """

    dense_unit: float
    words_unit: float
    picture_unit: float
    weights: Weights
    levels: Mapping[str, Level]

    def raw(self, mode: Mode, parts: Parts) -> NDArray[np.float64]:
        """Return the score that ranks, in deviations."""
        meaning, words, picture = self.weighted(mode, parts)
        return meaning + words + picture

    def weighted(self, mode: Mode, parts: Parts) -> Added:
        """Return what meaning, words and picture each add to `raw`."""
        seen = self.weights.picture if mode == "fused" else 0.0
        said = {"dense": 0.0, "lexical": 1.0}.get(mode, self.weights.words)
        meaning = parts.dense.astype(np.float64) / self.dense_unit
        words = parts.bm25.astype(np.float64) / self.words_unit + SHARE_BONUS * parts.share
        picture = parts.picture.astype(np.float64) / self.picture_unit
        return Added((1 - seen) * (1 - said) * meaning, (1 - seen) * said * words, seen * picture)

    def to_json(self) -> dict[str, Any]:
        """Return the constants as they stand in a manifest."""
        return asdict(self)

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        levels = {mode: Level(**level) for mode, level in body["levels"].items()}
        units = {unit: body[unit] for unit in ("dense_unit", "words_unit", "picture_unit")}
        return cls(**units, weights=Weights(**body["weights"]), levels=levels)


# Floors for archives too small or too uniform to measure anything on.
_DENSE_UNIT, _WORDS_UNIT, _PICTURE_UNIT, _SPREAD = 0.05, 0.2, 0.05, 0.25


def measure_scale(
    ordinary: Parts, offtopic: Parts, modes: Sequence[Mode], weights: Weights
) -> Scale:
    """Measure the constants on an archive.

    Parameters
    ----------
    ordinary
        Parts of a bank of ordinary queries, (queries, images).
    offtopic
        The same for queries that no overhead image answers.
    modes
        Those that the archive has the parts for.
    weights
        Those of the archive's encoder.

    Returns
    -------
    Scale
        Units from the first bank; levels from the second: the mean of what its queries' best
        images reach, and two deviations above it.
    """
    scale = Scale(
        max(float(ordinary.dense.std()), _DENSE_UNIT),
        max(float(ordinary.bm25.std()), _WORDS_UNIT),
        max(float(ordinary.picture.std()), _PICTURE_UNIT),
        weights,
        {},
    )
    levels: dict[str, Level] = {}
    for mode in modes:
        best = scale.raw(mode, offtopic).max(axis=1)
        mean, spread = float(best.mean()), max(float(best.std()), _SPREAD)
        limit = mean + 2 * spread
        if mode == "lexical":
            limit = max(limit, SHARE_BONUS / 2)  # half of the words are no answer
        levels[mode] = Level(unrelated=mean, limit=limit)
    return replace(scale, levels=levels)
