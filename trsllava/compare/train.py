"""Training from files to a finished run, and its evaluation."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trsllava.compare import cache
from trsllava.compare.backbone import load_backbone
from trsllava.compare.curve import CURVE, write_curve
from trsllava.compare.experiment import Experiment
from trsllava.compare.features import Shapes
from trsllava.compare.material import (
    cut_rows,
    global_only,
    identity_of,
    material,
    mean_recall,
    open_split,
    score,
)
from trsllava.compare.noise import read_noise
from trsllava.compare.pairs import cut_of, distinct, fitting_pairs
from trsllava.compare.runs import (
    TRAINED,
    Run,
    begin,
    finish,
    load_weights,
    read_run,
    views_label,
)
from trsllava.compare.system import SYSTEMS, make_system
from trsllava.compare.trainer import Trained, train
from trsllava.errors import InputError, MissingExtra, UsageError
from trsllava.evaluation.datasets import TRAIN, Dataset
from trsllava.evaluation.evaluate import evaluate
from trsllava.evaluation.result import Result

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Places:
    """Where a dataset is, and where features of it are kept."""

    annotations: Path
    images: Path
    features: Path
    dataset: str | None = None


def train_run(
    experiment: Experiment, places: Places, out: Path, seed: int, noise: Path | None = None
) -> Trained | None:
    """Train a system on a dataset's train split, or go on with a run that was killed.

    Parameters
    ----------
    experiment
        What and how.
    places
        The dataset.
    out
        The run's folder.
    seed
        Of parameters, order, views and dropout.
    noise
        A noise file for the pairs outside the cut.

    Returns
    -------
    Trained | None
        What happened; None if the run was finished already.

    Raises
    ------
    InputError
        If a file, picture, setting or noise is not what it must be.
    UsageError
        If ``out`` holds another run, or the settings make no sense.
    """
    import torch

    settings = experiment.training
    if not 1 <= settings.views <= len(cache.VIEWS) or settings.epochs < 1 or settings.batch < 2:
        raise UsageError(
            "[training] needs 1 to 4 views, at least 1 epoch and batches of at least 2"
        )
    backbone = load_backbone(experiment.backbone)
    dataset = open_split(places.annotations, TRAIN, places.dataset)
    pairs = fitting_pairs(dataset)
    about = None
    if noise is not None:
        found = read_noise(noise, pairs)
        about = {"kind": found.kind, "rate": found.rate, "seed": found.seed, "wrong": found.wrong}
        pairs = found.apply(pairs)
    system = _fresh(experiment, backbone.shapes, seed)
    shapes = backbone.shapes if system.local else global_only(backbone.shapes)
    name = dataset.name
    run = Run(experiment, seed, name, pairs.digest(), about, identity_of(backbone), shapes)
    begin(out, run)
    if (out / TRAINED).exists():
        return None
    training, words = material(
        backbone,
        dataset,
        pairs,
        places.images,
        places.features,
        settings.views,
        system.local,
    )
    cut = cut_of(dataset)
    rows, captions = cut_rows(dataset)
    held = training.views[0].take(rows)

    def cut_mr(candidate: Any) -> float:
        return mean_recall(cut, score(candidate, held, words, captions))

    done = train(system, training, settings, seed, out, cut_mr)
    facts = {
        "epoch": done.epoch,
        "epochs": len(done.curve),
        "cut_mr": done.cut_mr,
        "cut_images": len(cut.images),
        "pairs": len(pairs),
        "steps": int(done.curve[-1]["step"]),
        "seconds": round(sum(line["seconds"] for line in done.curve), 1),
        "parameters": sum(p.numel() for p in system.parameters()),
        "torch": str(torch.__version__),
        "threads": torch.get_num_threads(),
    }
    try:
        write_curve(out / CURVE, done.curve, run.label())
    except MissingExtra as error:
        log.info("%s", error)
    finish(out, system, facts)
    return done


def score_run(
    folder: Path, places: Places, split: str | None, views: int = 1
) -> tuple[Dataset, NDArray[np.float32], Run]:
    """Return a split, a finished run's scores on it, and the run.

    Parameters
    ----------
    folder
        The run.
    places
        The dataset.
    split
        Of the annotations; test if None.
    views
        How many of `cache.VIEWS` of each picture are scored and averaged, 1 to 4.

    Returns
    -------
    tuple[Dataset, NDArray[np.float32], Run]
        The scores are (captions, images).

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
    system = _fresh(run.experiment, run.shapes, run.seed)
    load_weights(folder, system)
    dataset = open_split(places.annotations, split, places.dataset)
    texts, rows = distinct(dataset)
    words = cache.read(backbone, texts, places.features, tokens=system.local)
    scores = [
        score(
            system,
            cache.seen(
                backbone, places.images, dataset.images, view, places.features, maps=system.local
            ),
            words,
            rows,
        )
        for view in cache.VIEWS[:views]
    ]
    return dataset, np.mean(scores, axis=0, dtype=np.float32), run


def evaluate_run(
    folder: Path, places: Places, split: str | None, views: int = 1
) -> tuple[Dataset, NDArray[np.float32], Result]:
    """Measure a finished run as every other method is measured; ``views`` as in `score_run`."""
    dataset, scores, run = score_run(folder, places, split, views)
    everywhere = np.ones(len(dataset.images), np.bool_)
    method = run.label() + views_label(views)
    return dataset, scores, evaluate(dataset, scores, everywhere, method)


def _fresh(experiment: Experiment, shapes: Shapes, seed: int) -> Any:
    """Return the system of an experiment with its parameters drawn."""
    if experiment.name not in SYSTEMS:
        raise UsageError(f"no system is called {experiment.name!r}; known are {', '.join(SYSTEMS)}")
    return make_system(experiment.name, shapes, experiment.system, seed)
