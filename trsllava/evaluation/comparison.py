"""Two evaluations on the same queries, held against each other query by query."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trsllava.errors import InputError
from trsllava.evaluation.bootstrap import interval, p_value, resample, resampled_means
from trsllava.evaluation.result import DIRECTIONS, KEYS, Interval
from trsllava.evaluation.runs import Run

_PERCENT = 100.0


class Counts(NamedTuple):
    """Of how many queries the second is better, worse, or the same."""

    better: int
    worse: int
    same: int


@dataclass(frozen=True, slots=True)
class Difference:
    """The second's figure less the first's, in points of percent, with what the bootstrap says."""

    points: float
    interval: Interval
    p: float

    def to_json(self) -> dict[str, Any]:
        """Return the difference and its interval with two decimals, p with four."""
        low, high = self.interval
        return {
            "difference": round(self.points, 2),
            "ci95": [round(low, 2), round(high, 2)],
            "p": round(self.p, 4),
        }


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """A run against a baseline.

    ``recalls`` and ``hits`` have one entry for each direction and recall: the difference, and on
    how many queries the chance of a hit is greater, smaller or equal. ``ranks`` say the same of the
    rank of the right one.
    """

    baseline: Run
    run: Run
    mr: Difference
    recalls: Mapping[str, Mapping[str, Difference]]
    hits: Mapping[str, Mapping[str, Counts]]
    ranks: Mapping[str, Counts]

    def to_json(self) -> dict[str, Any]:
        """Return all figures; the reports are named as they were given."""
        body: dict[str, Any] = {
            "baseline": str(self.baseline.folder),
            "report": str(self.run.folder),
            "mr": self.mr.to_json(),
        }
        for direction in DIRECTIONS:
            body[direction] = {
                key: {
                    **self.recalls[direction][key].to_json(),
                    **self.hits[direction][key]._asdict(),
                }
                for key in KEYS
            }
            body[direction]["rank"] = self.ranks[direction]._asdict()
        return body


def check_alike(runs: Sequence[Run]) -> None:
    """Raise `InputError` unless all runs are of the same images, captions and judgements."""
    first = runs[0]
    for run in runs[1:]:
        one, other = (f"{r.about['dataset']} {r.about['split']}" for r in (first, run))
        if one != other:
            raise InputError(
                f"{first.folder} is of {one}, {run.folder} of {other}; "
                "only reports on the same split can be compared"
            )
        if first.about["revision"] != run.about["revision"]:
            raise InputError(
                f"{first.folder} and {run.folder} are both of {one} but with other images, "
                "captions or judgements; make both with the same --annotations and --qrels"
            )


def compare(baseline: Run, run: Run) -> Comparison:
    """Compare two runs that are alike: a paired bootstrap over images, and counts of queries."""
    images = len(run.images)
    weights = resample(images)
    owner = {"i2t": np.arange(images), "t2i": run.owner}
    before, after = baseline.values(), run.values()
    recalls: dict[str, dict[str, Difference]] = {}
    hits: dict[str, dict[str, Counts]] = {}
    observed, resampled = [], []
    for direction in DIRECTIONS:
        recalls[direction], hits[direction] = {}, {}
        for key, old, new in zip(KEYS, before[direction], after[direction], strict=True):
            change = new - old
            means = resampled_means(weights, change, owner[direction])
            observed.append(float(change.mean()))
            resampled.append(means)
            recalls[direction][key] = _difference(observed[-1], means)
            hits[direction][key] = _counts(change)
    return Comparison(
        baseline=baseline,
        run=run,
        mr=_difference(float(np.mean(observed)), np.mean(resampled, axis=0)),
        recalls=recalls,
        hits=hits,
        ranks={d: _counts(rank_gains(baseline, run, d)) for d in DIRECTIONS},
    )


def rank_gains(baseline: Run, run: Run, direction: str) -> NDArray[np.float64]:
    """Return, for each query, how many times nearer to the first place its answer came, as log2.

    From the ranks expected under a random order of ties; what is not found stands behind the last.
    """
    behind = float({"i2t": len(run.captions), "t2i": len(run.images)}[direction] + 1)
    old, new = (np.minimum(one.places[direction].rank(), behind) for one in (baseline, run))
    return np.log2(old / new)


def _difference(observed: float, resampled: NDArray[np.float64]) -> Difference:
    low, high = interval(resampled)
    return Difference(_PERCENT * observed, (_PERCENT * low, _PERCENT * high), p_value(resampled))


def _counts(change: NDArray[np.float64]) -> Counts:
    # Shares of ties that are equal may differ by rounding.
    better, worse = int((change > 1e-9).sum()), int((change < -1e-9).sum())
    return Counts(better, worse, len(change) - better - worse)
