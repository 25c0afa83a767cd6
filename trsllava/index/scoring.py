"""How an image scores by its texts, and how the parts of a score become one.

An image's dense part is the log-mean-exp of the cosines between the query and
each of its texts: close to the best text, but texts that agree count too. What
the image gets from any ordinary query is taken off (`usual`). Its words part is BM25 over all its texts plus a bonus for the share of the query's
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
WORDS_WEIGHT = 0.15  # this and the bonus were chosen on RSICD validation
PICTURE_WEIGHT = 0.4  # of the picture in a fused score, chosen there; the rest is the hybrid one
SHARE_BONUS = 3.0  # deviations that an image gains by having every word of the query
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
    powers = np.exp(beta * (cosines - 1))
    if counts.min() == counts.max():  # full records only: a plain sum is faster
        sums = powers.reshape(len(starts), -1, cosines.shape[1]).sum(axis=1)
    else:
        sums = np.add.reduceat(powers, starts, axis=0)
    return np.asarray(np.log(sums / counts) / beta + 1, dtype=np.float32)


def usual(scores: NDArray[np.float32], axis: int, beta: float = BETA) -> NDArray[np.float32]:
    """Return what items score with a bank: a hub, near everything, scores high with any.

    Taken off, what is left says how much more a pair fits than its items fit anything; the
    dynamic inverted softmax (Bogolin et al. 2022) of a bank that is no split's.

    Parameters
    ----------
    scores
        Aggregated cosines of items and bank, in any order.
    axis
        The bank's.
    beta
        Sharpness, the aggregation's own.

    Returns
    -------
    NDArray[np.float32]
        The log-mean-exp over the bank, of the shape that is left.
    """
    return np.asarray(np.log(np.exp(beta * (scores - 1)).mean(axis)) / beta + 1, np.float32)


class Parts(NamedTuple):
    """What scores are made of; float32 arrays of one shape, such as (queries, images).

    ``dense`` are aggregated cosines less what is usual for the image, ``bm25`` is what its name says, ``share`` the share of the
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
    levels: Mapping[str, Level]

    def raw(self, mode: Mode, parts: Parts) -> NDArray[np.float64]:
        """Return the score that ranks, in deviations."""
        meaning, words, picture = self.weighted(mode, parts)
        return meaning + words + picture

    def weighted(self, mode: Mode, parts: Parts, picture_weight: float = PICTURE_WEIGHT) -> Added:
        """Return what meaning, words and picture each add to `raw`."""
        seen = picture_weight if mode == "fused" else 0.0
        said = {"dense": 0.0, "lexical": 1.0}.get(mode, WORDS_WEIGHT)
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
        picture_unit = body.get("picture_unit", _PICTURE_UNIT)  # older indexes have no pictures
        return cls(body["dense_unit"], body["words_unit"], picture_unit, levels)


# Floors for archives too small or too uniform to measure anything on.
_DENSE_UNIT, _WORDS_UNIT, _PICTURE_UNIT, _SPREAD = 0.05, 0.2, 0.05, 0.25


def measure_scale(ordinary: Parts, offtopic: Parts, modes: Sequence[Mode]) -> Scale:
    """Measure the constants on an archive.

    Parameters
    ----------
    ordinary
        Parts of a bank of ordinary queries, (queries, images).
    offtopic
        The same for queries that no overhead image answers.
    modes
        Those that the archive has the parts for.

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
