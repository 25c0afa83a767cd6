"""A result in the form of MTEB's result files (``mteb.TaskResult``), without MTEB.

One task, both directions as its subsets. MTEB averages the subsets' ``main_score``, here the mean
of three recalls, so its figure for the task is mR (from 0 to 1). ``cv_recall_at_K`` is MTEB's name
for the share of queries with a relevant item among the first K.
"""

from typing import Any

from trsllava.evaluation.cards import KNOWN, card
from trsllava.evaluation.result import DIRECTIONS, Recalls, Result

FILE = "mteb.json"


def task_result(result: Result, seconds: float | None = None) -> dict[str, Any]:
    """Return what ``mteb.json`` holds.

    Parameters
    ----------
    result
        The headline is what counts: ties in a random order, captions not merged.
    seconds
        How long the scoring took, if that is known.

    Returns
    -------
    dict[str, Any]
        ``mteb_version`` is null, since no MTEB took part.
    """
    named = {known.name for known in map(card, KNOWN) if known}
    languages = ["eng-Latn"] if result.dataset in named else []
    return {
        "dataset_revision": result.revision,
        "task_name": f"{result.dataset}CaptionRetrieval",
        "mteb_version": None,
        "scores": {
            result.split: [
                {
                    **_scores(getattr(result.expected, direction)),
                    "hf_subset": direction,
                    "languages": languages,
                }
                for direction in DIRECTIONS
            ]
        },
        "evaluation_time": None if seconds is None else round(seconds, 2),
        "kg_co2_emissions": None,
    }


def _scores(recalls: Recalls) -> dict[str, float]:
    each = {
        f"cv_recall_at_{key.removeprefix('r')}": round(value / 100, 6)
        for key, value in recalls._asdict().items()
    }
    return {**each, "main_score": round(sum(recalls) / 300, 6)}
