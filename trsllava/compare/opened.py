"""A finished run, opened to be measured on a split."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trsllava.compare import cache
from trsllava.compare.backbone import load_backbone
from trsllava.compare.features import Read, Seen
from trsllava.compare.material import Places, identity_of, open_split, score
from trsllava.compare.pairs import distinct, fitting_pairs
from trsllava.compare.runs import Run, load_weights, read_run, views_label
from trsllava.compare.system import make_system
from trsllava.errors import InputError
from trsllava.evaluation.datasets import TRAIN, Dataset
from trsllava.evaluation.evaluate import evaluate
from trsllava.evaluation.result import Result


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A run's system and a split: each of its views, and ``rows`` (captions,) into ``words``."""

    run: Run
    system: Any
    dataset: Dataset
    views: Sequence[Seen]
    words: Read
    rows: NDArray[np.int64]

    def scores(self) -> NDArray[np.float32]:
        """Return the scores (captions, images), the mean over the views."""
        each = [score(self.system, view, self.words, self.rows) for view in self.views]
        return np.asarray(np.mean(each, axis=0), np.float32)


def open_run(folder: Path, places: Places, split: str | None, views: int = 1) -> Opened:
    """Open a run for a split.

    Parameters
    ----------
    folder
        The run.
    places
        The dataset.
    split
        Of the annotations; test if None.
    views
        How many of `cache.VIEWS` of each picture are looked at, 1 to 4.

    Returns
    -------
    Opened
        With the weights of the run's best epoch.

    Raises
    ------
    InputError
        If the run is not finished, or the backbone is another than it learnt with.
    """
    run, _ = read_run(folder)
    backbone = load_backbone(run.experiment.backbone)
    now = identity_of(backbone)
    if now != run.backbone:
        changed = sorted(
            key for key in {*now, *run.backbone} if now.get(key) != run.backbone.get(key)
        )
        raise InputError(
            f"{folder} was trained on other features ({', '.join(changed)} differ); install what "
            "it was trained with, or train again"
        )
    system = make_system(run.experiment.name, run.shapes, run.experiment.system, run.seed)
    load_weights(folder, system)
    dataset = open_split(places.annotations, split, places.dataset)
    found = [
        cache.seen(
            backbone, places.images, dataset.images, view, places.features, maps=system.local
        )
        for view in cache.VIEWS[:views]
    ]
    texts, rows = distinct(dataset)
    words = cache.read(backbone, texts, places.features, tokens=system.local)
    return Opened(run, system, dataset, found, words, rows)


def evaluate_run(
    folder: Path, places: Places, split: str | None, views: int = 1
) -> tuple[Dataset, NDArray[np.float32], Result]:
    """Measure a finished run as every other method is measured; all as `open_run` takes it."""
    found = open_run(folder, places, split, views)
    scores = found.scores()
    everywhere = np.ones(len(found.dataset.images), np.bool_)
    method = found.run.label() + views_label(views)
    notes = _learnt(found, places)
    result = evaluate(found.dataset, scores, everywhere, method, notes=notes)
    return found.dataset, scores, result


def _learnt(found: Opened, places: Places) -> list[str]:
    """Return a warning if the run may have learnt from what it is measured on."""
    if found.dataset.split == TRAIN:
        return ["the run has learnt from this very split"]
    if found.run.noise is not None:
        return []  # it is part of the digest
    try:
        pairs = fitting_pairs(open_split(places.annotations, TRAIN, places.dataset))
    except InputError:
        return ["the file has no train split to tell by whether the run has learnt from this one"]
    if pairs.digest() == found.run.pairs:
        return []
    return ["the run has learnt from another train split than this file's: images may be in both"]
