"""From annotations, pictures and a backbone to what a system reads."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trsllava.compare import cache
from trsllava.compare.backbone import Backbone
from trsllava.compare.batches import Training, pictures, texts
from trsllava.compare.features import Read, Seen, Shapes
from trsllava.compare.pairs import Pairs, distinct, in_cut
from trsllava.evaluation.annotations import read_entries
from trsllava.evaluation.cards import KNOWN, OWN
from trsllava.evaluation.datasets import Dataset, read_dataset


@dataclass(frozen=True, slots=True)
class Places:
    """Where a dataset is, and where features of it are kept."""

    annotations: Path
    images: Path
    features: Path
    dataset: str | None = None


def open_split(annotations: Path, split: str | None, dataset: str | None = None) -> Dataset:
    """Read a split; the dataset is the one that the file states, where there is a card of it.

    Raises `InputError` as `read_dataset` does.
    """
    if dataset is None:
        stated = read_entries(annotations, "karpathy")[1]
        dataset = stated.strip().lower() if stated else OWN
        dataset = dataset if dataset in KNOWN else OWN
    return read_dataset(dataset, annotations, split)


def global_only(shapes: Shapes) -> Shapes:
    """Return the sizes as a system sees them that asks for no maps and word pieces."""
    return replace(shapes, depths=0, cells=0, channels=0, token=0)


def material(
    backbone: Backbone,
    dataset: Dataset,
    pairs: Pairs,
    folder: Path,
    features: Path,
    views: int,
    local: bool,
) -> tuple[Training, Read]:
    """Return what is learnt from, and the texts of the whole split.

    Parameters
    ----------
    backbone
        What looks and reads.
    dataset
        The train split.
    pairs
        What belongs together in it, noise included.
    folder
        Where its pictures are.
    features
        Where features are kept.
    views
        How many of `cache.VIEWS`.
    local
        Whether maps and word pieces are wanted.

    Returns
    -------
    tuple[Training, Read]
        All pictures of the split are in it, those of the cut in no pair.
    """
    found = [
        cache.seen(backbone, folder, dataset.images, view, features, maps=local)
        for view in cache.VIEWS[:views]
    ]
    words = cache.read(backbone, distinct(dataset)[0], features, tokens=local)
    return Training(pairs, found, words), words


def score(system: Any, seen: Seen, read: Read, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return a system's scores.

    Parameters
    ----------
    system
        Fits `System`.
    seen
        The split's pictures.
    read
        Texts.
    rows
        Which of them each caption is, (captions,).

    Returns
    -------
    NDArray[np.float32]
        (captions, pictures); equal captions have equal rows.
    """
    import torch

    distinct_rows, place = np.unique(rows, return_inverse=True)
    system.eval()
    with torch.no_grad():
        found = system.scores(pictures(seen), texts(read, distinct_rows))
    return np.ascontiguousarray(found.numpy().astype(np.float32)[place])


def mean_recall(dataset: Dataset, scores: NDArray[np.float32]) -> float:
    """Return mR in percent, without intervals: quick enough for every epoch."""
    from trsllava.evaluation.groups import scores_of
    from trsllava.evaluation.judgements import by_image
    from trsllava.evaluation.measures import places
    from trsllava.evaluation.result import MEASURES

    judged = by_image(dataset)
    found = {"t2i": places(scores, judged), "i2t": places(scores.T, judged.turned())}
    return scores_of({d: [m.expected(p) for m in MEASURES] for d, p in found.items()}).mr


def cut_rows(dataset: Dataset) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the pictures of the cut, and the distinct text of each of its captions."""
    cut = in_cut(dataset)
    return np.flatnonzero(cut), distinct(dataset)[1][cut[dataset.owner]]


def identity_of(backbone: Backbone) -> Mapping[str, Any]:
    """Return a backbone's identity and sizes as JSON."""
    from dataclasses import asdict

    return {**backbone.identity(), "shapes": asdict(backbone.shapes)}
