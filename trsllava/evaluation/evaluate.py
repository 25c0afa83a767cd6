"""From one score matrix to a result: both directions, ties, intervals, merged duplicates."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trsllava.errors import InputError
from trsllava.evaluation.bootstrap import intervals
from trsllava.evaluation.datasets import Dataset, shared
from trsllava.evaluation.groups import per_class, per_length, scores_of
from trsllava.evaluation.hubness import hubness
from trsllava.evaluation.judgements import Judgements, by_image, merged, revision
from trsllava.evaluation.measures import Places, places
from trsllava.evaluation.result import DIRECTIONS, KEYS, MEASURES, Result

_PERCENT = 100.0


def evaluate(
    dataset: Dataset,
    scores: NDArray[np.float32],
    has_record: NDArray[np.bool_],
    method: str,
    *,
    judged: Judgements | None = None,
    notes: Sequence[str] = (),
    rows: Sequence[Result] = (),
) -> Result:
    """Measure one method on one split.

    Parameters
    ----------
    dataset
        The split.
    scores
        Of shape (captions, images), higher is better; both directions read it.
    has_record
        Which images have a record, of shape (images,); the others' scores are not looked at.
    method
        What made the scores, for people.
    judged
        Relevance of one's own, captions to images; the annotations' if None.
    notes
        Warnings from before, such as how records were joined.
    rows
        Other methods on the same split, to be shown beside this one.

    Returns
    -------
    Result
        Everything that the report and ``--json`` show.

    Raises
    ------
    InputError
        If the matrix does not fit the dataset or holds NaN.
    """
    expected_shape = (len(dataset.captions), len(dataset.images))
    if scores.shape != expected_shape:
        raise InputError(
            f"the scores of {method} have the shape {scores.shape}; {dataset.name} "
            f"{dataset.split} needs captions x images, {expected_shape}"
        )
    if not has_record.all():
        scores = np.where(has_record, scores, np.float32(-np.inf))
    relevant = by_image(dataset) if judged is None else judged
    found = _both(scores, relevant)
    values = {d: [m.expected(found[d]) for m in MEASURES] for d in DIRECTIONS}
    owner = {"i2t": np.arange(len(dataset.images)), "t2i": dataset.owner}
    each, mr_interval = intervals(
        {
            f"{d}/{k}": (v, owner[d])
            for d in DIRECTIONS
            for k, v in zip(KEYS, values[d], strict=True)
        },
        len(dataset.images),
    )
    same = _both(scores, merged(dataset, has_record)) if judged is None else found
    strings, captions = shared(dataset)
    with_class, classes = per_class(dataset, values)
    return Result(
        dataset=dataset.name,
        split=dataset.split,
        images=len(dataset.images),
        captions=len(dataset.captions),
        covered=int(has_record.sum()),
        method=method,
        expected=scores_of(values),
        optimistic=scores_of({d: [m.optimistic(found[d]) for m in MEASURES] for d in DIRECTIONS}),
        pessimistic=scores_of({d: [m.pessimistic(found[d]) for m in MEASURES] for d in DIRECTIONS}),
        intervals={d: {k: _percent(each[f"{d}/{k}"]) for k in KEYS} for d in DIRECTIONS},
        mr_interval=_percent(mr_interval),
        merged=scores_of({d: [m.expected(same[d]) for m in MEASURES] for d in DIRECTIONS}),
        shared_strings=strings,
        shared_captions=captions,
        leaks=dataset.leaks,
        empty=dataset.empty,
        per_class=classes,
        with_class=with_class,
        per_length=per_length(dataset, values),
        hubness={
            "i2t": hubness(scores.T, dataset.caption_ids),
            "t2i": hubness(scores, dataset.images),
        },
        revision=revision(dataset, relevant),
        judged=relevant,
        places=found,
        warnings=(*dataset.warnings, *notes, *_unjudged(relevant)),
        rows=tuple(rows),
    )


def _both(scores: NDArray[np.float32], judged: Judgements) -> dict[str, Places]:
    return {"i2t": places(scores.T, judged.turned()), "t2i": places(scores, judged)}


def _percent(pair: tuple[float, float]) -> tuple[float, float]:
    return _PERCENT * pair[0], _PERCENT * pair[1]


def _unjudged(judged: Judgements) -> list[str]:
    """Return a warning about captions that no image is relevant to."""
    count = judged.queries - len(np.unique(judged.query))
    if not count:
        return []
    return [f"{count} captions have no relevant image in the qrels: each counts as a miss"]
