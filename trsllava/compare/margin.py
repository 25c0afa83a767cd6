"""How far one system stands above another: over paired seeds, with an interval over images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trsllava.evaluation.bootstrap import interval, resample, resampled_means
from trsllava.evaluation.datasets import Dataset
from trsllava.evaluation.judgements import by_image
from trsllava.evaluation.measures import places
from trsllava.evaluation.result import MEASURES

_PERCENT = 100.0


@dataclass(frozen=True, slots=True)
class Margin:
    """A difference of mR in points of percent.

    ``seeds`` has the difference of each pair of runs, ``points`` is their mean, ``interval`` what
    95 % of resamples of the split's images give for that mean.
    """

    points: float
    interval: tuple[float, float]
    seeds: tuple[float, ...]

    def __str__(self) -> str:
        """Return it as people write it."""
        low, high = self.interval
        return f"{self.points:+.2f} ({low:+.2f} to {high:+.2f})"

    def to_json(self) -> dict[str, Any]:
        """Return all of it with two decimals."""
        return {
            "difference": round(self.points, 2),
            "ci95": [round(one, 2) for one in self.interval],
            "seeds": [round(one, 2) for one in self.seeds],
        }


def outcomes(dataset: Dataset, scores: NDArray[np.float32]) -> Mapping[str, NDArray[np.float64]]:
    """Return each query's mean chance of a hit over R@1, R@5 and R@10, in both directions.

    Parameters
    ----------
    dataset
        The split.
    scores
        (captions, images), higher is better.

    Returns
    -------
    Mapping[str, NDArray[np.float64]]
        ``t2i`` (captions,) and ``i2t`` (images,); mR is the mean of their means.
    """
    judged = by_image(dataset)
    found = {"t2i": places(scores, judged), "i2t": places(scores.T, judged.turned())}
    return {
        direction: np.mean([measure.expected(place) for measure in MEASURES], axis=0)
        for direction, place in found.items()
    }


def margin(
    dataset: Dataset,
    baseline: Sequence[Mapping[str, NDArray[np.float64]]],
    other: Sequence[Mapping[str, NDArray[np.float64]]],
) -> Margin:
    """Return how far a system stands above a baseline.

    Parameters
    ----------
    dataset
        The split.
    baseline
        `outcomes` of each seed.
    other
        Those of the system, seeds in the same order.

    Returns
    -------
    Margin
        The interval is of the images alone: seeds are averaged query by query before images are
        drawn anew. How much seeds differ stands in ``seeds``.

    Raises
    ------
    ValueError
        If the seeds are not as many.
    """
    owner = {"t2i": dataset.owner, "i2t": np.arange(len(dataset.images))}
    changes = {
        direction: np.stack(
            [new[direction] - old[direction] for old, new in zip(baseline, other, strict=True)]
        )
        for direction in owner
    }
    weights = resample(len(dataset.images))
    resampled = np.mean(
        [
            resampled_means(weights, change.mean(0), owner[direction])
            for direction, change in changes.items()
        ],
        axis=0,
    )
    each = np.mean([change.mean(1) for change in changes.values()], axis=0)
    low, high = interval(_PERCENT * resampled)
    seeds = tuple(_PERCENT * float(one) for one in each)
    return Margin(mean(seeds), (low, high), seeds)
