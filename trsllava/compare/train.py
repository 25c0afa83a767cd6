"""Training from files to a finished run."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trsllava.compare.backbone import load_backbone
from trsllava.compare.curve import CURVE, write_curve
from trsllava.compare.experiment import Experiment
from trsllava.compare.material import (
    Places,
    cut_rows,
    global_only,
    identity_of,
    material,
    mean_recall,
    open_split,
    score,
)
from trsllava.compare.noise import read_noise
from trsllava.compare.pairs import cut_of, fitting_pairs
from trsllava.compare.runs import (
    TRAINED,
    Run,
    begin,
    finish,
)
from trsllava.compare.system import make_system
from trsllava.compare.trainer import Trained, train
from trsllava.errors import MissingExtra
from trsllava.evaluation.datasets import TRAIN

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)


def train_run(
    experiment: Experiment,
    places: Places,
    out: Path,
    seed: int,
    noise: Path | None = None,
    start: "Mapping[str, Tensor] | None" = None,
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
    start
        The state that the system begins in, as `prepared` gives it; drawn and prepared if None.

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
    backbone = load_backbone(experiment.backbone)
    dataset = open_split(places.annotations, TRAIN, places.dataset)
    pairs = fitting_pairs(dataset)
    about = None
    if noise is not None:
        found = read_noise(noise, pairs)
        about = {"kind": found.kind, "rate": found.rate, "seed": found.seed, "wrong": found.wrong}
        pairs = found.apply(pairs)
    system = make_system(experiment.name, backbone.shapes, experiment.system, seed)
    if start is not None:
        system.load_state_dict(start)
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


def prepared(experiment: Experiment, places: Places, seed: int) -> "Mapping[str, Tensor]":
    """Return the state of a system before its first step, from pairs without noise.

    For systems whose `prepare` is long and depends on nothing that several runs differ in; it must
    do nothing in that state.
    """
    backbone = load_backbone(experiment.backbone)
    dataset = open_split(places.annotations, TRAIN, places.dataset)
    system = make_system(experiment.name, backbone.shapes, experiment.system, seed)
    training, _ = material(
        backbone,
        dataset,
        fitting_pairs(dataset),
        places.images,
        places.features,
        experiment.training.views,
        system.local,
    )
    system.prepare(training)
    state: dict[str, Tensor] = system.state_dict()
    return state
