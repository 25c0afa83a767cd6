"""From one score matrix to a result: both directions, ties, intervals, merged duplicates."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from trsllava.errors import InputError
from trsllava.evaluation.bootstrap import intervals
from trsllava.evaluation.datasets import Dataset, shared
from trsllava.evaluation.judgements import Judgements, by_image, merged
from trsllava.evaluation.measures import Places, places
from trsllava.evaluation.result import (
    DIRECTIONS,
    KEYS,
    MEASURES,
    ClassScores,
    Recalls,
    Result,
    Scores,
)

Values = Mapping[str, Sequence[NDArray[np.float64]]]
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
    with_class, per_class = _per_class(dataset, values)
    return Result(
        dataset=dataset.name,
        split=dataset.split,
        images=len(dataset.images),
        captions=len(dataset.captions),
        covered=int(has_record.sum()),
        method=method,
        expected=_scores(values),
        optimistic=_scores({d: [m.optimistic(found[d]) for m in MEASURES] for d in DIRECTIONS}),
        pessimistic=_scores({d: [m.pessimistic(found[d]) for m in MEASURES] for d in DIRECTIONS}),
        intervals={d: {k: _percent(each[f"{d}/{k}"]) for k in KEYS} for d in DIRECTIONS},
        mr_interval=_percent(mr_interval),
        merged=_scores({d: [m.expected(same[d]) for m in MEASURES] for d in DIRECTIONS}),
        shared_strings=strings,
        shared_captions=captions,
        leaks=dataset.leaks,
        empty=dataset.empty,
        per_class=per_class,
        with_class=with_class,
        judged=relevant,
        places=found,
        warnings=(*dataset.warnings, *notes, *_unjudged(relevant)),
        rows=tuple(rows),
    )


def _both(scores: NDArray[np.float32], judged: Judgements) -> dict[str, Places]:
    return {"i2t": places(scores.T, judged.turned()), "t2i": places(scores, judged)}


def _scores(values: Values) -> Scores:
    i2t, t2i = ([_PERCENT * float(v.mean()) for v in values[d]] for d in DIRECTIONS)
    return Scores(Recalls(*i2t), Recalls(*t2i))


def _percent(pair: tuple[float, float]) -> tuple[float, float]:
    return _PERCENT * pair[0], _PERCENT * pair[1]


def _per_class(dataset: Dataset, values: Values) -> tuple[int, tuple[ClassScores, ...]]:
    """Return how many images have a class, and the figures of each class if there are several."""
    names = sorted({name for name in dataset.classes if name is not None})
    with_class = sum(name is not None for name in dataset.classes)
    if len(names) < 2:
        return with_class, ()
    classes = np.array([names.index(c) if c is not None else -1 for c in dataset.classes])
    table = []
    for number, name in enumerate(names):
        images = classes == number
        captions = images[dataset.owner]
        if not captions.any():
            continue
        part = {
            "i2t": [v[images] for v in values["i2t"]],
            "t2i": [v[captions] for v in values["t2i"]],
        }
        table.append(ClassScores(name, int(images.sum()), _scores(part)))
    return with_class, tuple(table)


def _unjudged(judged: Judgements) -> list[str]:
    """Return a warning about captions that no image is relevant to."""
    count = judged.queries - len(np.unique(judged.query))
    if not count:
        return []
    return [f"{count} captions have no relevant image in the qrels: each counts as a miss"]
