"""CHNR's tables: mAP against noise, by weighting and by code length.

::

    python pipelines/compare/hashing_table.py --annotations dataset_rsicd.json \
        --images RSICD_images --out hashing

trains what is missing in ``hashing/runs`` and writes ``rows.json``, ``table.md`` and ``table.png``
after each run; typed again after a kill, it goes on. Training reads the train split, the figures
are of the validation split's pictures, and no epoch is chosen on them. As in the paper, one caption
of each picture is learnt from; with all five, noise hardly harms. The phase before the epochs is
done once for each seed and code length: no weighting and no noise changes it.
"""

import argparse
import hashlib
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from trsllava.compare.backbone import load_backbone
from trsllava.compare.chnr.figures import (
    HashingFigures,
    Precision,
    codes_of,
    hashing_figures,
    separation,
)
from trsllava.compare.chnr.loss import WEIGHTINGS
from trsllava.compare.chnr.report import Cell, Measured, markdown, picture
from trsllava.compare.experiment import Experiment, read_experiment
from trsllava.compare.material import Places, material, open_split
from trsllava.compare.noise import OTHER_CLASS, RATES, make_noise, read_noise, write_noise
from trsllava.compare.opened import open_run
from trsllava.compare.pairs import fitting_pairs, in_cut, trusted
from trsllava.compare.runs import read_run
from trsllava.compare.train import prepared, train_run
from trsllava.errors import MissingExtra, TrsllavaError, UsageError
from trsllava.evaluation.datasets import TRAIN
from trsllava.resources import find
from trsllava.store.files import publish

SPLIT = "val"
BITS, LENGTHS = 64, (16, 32, 128)
# The best of the paper's three on RSICD at this noise, so that none is chosen on our figures.
STATED, STATED_RATE = "dw", 0.3
log = logging.getLogger(__name__)


def main() -> None:
    """Train, measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--annotations", type=Path, required=True, help="the annotation file")
    parser.add_argument("--images", type=Path, required=True, help="where its pictures are")
    parser.add_argument("--out", type=Path, required=True, help="the folder to fill")
    parser.add_argument("--features", type=Path, help="where features are kept; OUT/features")
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds, from 0 on")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    places = Places(given.annotations, given.images, given.features or given.out / "features")
    try:
        experiment = read_experiment(find("pipelines/compare/hashing.toml"), "chnr")
        make_table(experiment, places, given.out, plan(given.seeds))
    except TrsllavaError as error:
        sys.exit(f"error: {error}")


def plan(seeds: int) -> list[Cell]:
    """Return all runs, seed by seed, those with the same first phase side by side."""
    cells = []
    for seed in range(seeds):
        cells += [Cell(BITS, w, rate, seed) for rate in RATES[OTHER_CLASS] for w in WEIGHTINGS]
        cells += [Cell(bits, STATED, STATED_RATE, seed) for bits in LENGTHS]
    return cells


def make_table(
    experiment: Experiment, places: Places, out: Path, cells: Sequence[Cell]
) -> list[Measured]:
    """Do the runs that are not done, write the tables, and return what there is."""
    places = replace(places, annotations=write_annotations(places, out / "annotations.json"))
    write_noises(places, out / "noise", {cell.rate for cell in cells})
    rows: list[Measured] = []
    begun: tuple[int, int] | None = None
    start: Mapping[str, Any] = {}
    for cell in cells:
        path = out / "runs" / cell.name() / "hashing.json"
        if not path.exists():
            own = experiment_of(experiment, cell)
            if begun != (cell.bits, cell.seed):
                begun, start = (cell.bits, cell.seed), prepared(own, places, cell.seed)
            noise = noise_file(out / "noise", cell.rate)
            train_run(own, places, path.parent, cell.seed, noise, start)
            row = measured(cell, places, path.parent, noise)
            publish(path, json.dumps(row.to_json(), indent=1).encode() + b"\n")
            log.info("%s: %s", cell.name(), json.dumps(asdict(row.figures)))
            rows.append(row)
            write_tables(out, rows, places)
        else:
            rows.append(read_row(path))
    write_tables(out, rows, places)
    return rows


def write_annotations(places: Places, path: Path) -> Path:
    """Write annotations with one caption of each picture that is learnt from.

    It is drawn by the digest of the picture's name. The pictures of the cut and of the validation
    split keep all of theirs.
    """
    images = []
    for split in (TRAIN, SPLIT):
        dataset = open_split(places.annotations, split, places.dataset)
        captions: list[list[str]] = [[] for _ in dataset.images]
        for caption, owner in zip(dataset.captions, dataset.owner, strict=True):
            captions[owner].append(caption)
        learnt = ~in_cut(dataset) & (split == TRAIN)
        for image, own, one in zip(dataset.images, captions, learnt, strict=True):
            kept = [own[_number(image) % len(own)]] if one else own
            sentences = [{"raw": caption} for caption in kept]
            images.append({"filename": image, "split": split, "sentences": sentences})
    body = {"dataset": dataset.name, "images": images}
    data = json.dumps(body, ensure_ascii=False).encode()
    if path.exists() and path.read_bytes() != data:
        raise UsageError(f"{path.parent} holds tables of other annotations; give another --out")
    publish(path, data)
    return path


def _number(name: str) -> int:
    return int(hashlib.sha256(name.encode()).hexdigest(), 16)


def experiment_of(experiment: Experiment, cell: Cell) -> Experiment:
    """Return the experiment of a cell."""
    system = {**experiment.system, "bits": cell.bits, "weighting": cell.weighting}
    return replace(experiment, title=f"CHNR-{cell.weighting.upper()}", system=system)


def noise_file(folder: Path, rate: float) -> Path:
    """Return the path of a noise file."""
    return folder / f"{OTHER_CLASS}-{round(100 * rate):02d}.json"


def write_noises(places: Places, folder: Path, rates: set[float]) -> None:
    """Write the noise files that are missing."""
    pairs = fitting_pairs(open_split(places.annotations, TRAIN, places.dataset))
    for rate in sorted(rates):
        path = noise_file(folder, rate)
        if not path.exists():
            write_noise(path, make_noise(pairs, OTHER_CLASS, rate))


def measured(cell: Cell, places: Places, folder: Path, noise: Path) -> Measured:
    """Measure a finished run."""
    opened = open_run(folder, places, SPLIT)
    figures = hashing_figures(opened.dataset, *codes_of(opened))
    about = read_run(folder)[1]
    sight = None
    if (cell.bits, cell.weighting, cell.rate) == (BITS, "nw", STATED_RATE):
        sight = sight_of(opened.system, opened.run.experiment, places, noise)
    return Measured(cell, figures, about["epoch"], about["cut_mr"], about["seconds"], sight)


def sight_of(system: Any, experiment: Experiment, places: Places, noise: Path) -> float:
    """Return how well the discriminator tells pairs that it never learnt from."""
    dataset = open_split(places.annotations, TRAIN, places.dataset)
    clean = fitting_pairs(dataset)
    pairs = read_noise(noise, clean).apply(clean)
    rows = ~trusted(pairs)
    pairs = replace(pairs, image=pairs.image[rows], text=pairs.text[rows])
    numbers = pairs.image * len(pairs.texts) + pairs.text
    training, _ = material(
        load_backbone(experiment.backbone),
        dataset,
        pairs,
        places.images,
        places.features,
        1,
        system.local,
    )
    return separation(system, training, ~np.isin(numbers, clean.known()))


def read_row(path: Path) -> Measured:
    """Read what was measured before."""
    body = json.loads(path.read_text(encoding="utf-8"))
    figures = body.pop("figures")
    both = {key: Precision(**figures.pop(key)) for key in ("i2t", "t2i")}
    return Measured(
        **{**body, "cell": Cell(**body["cell"]), "figures": HashingFigures(**both, **figures)}
    )


def write_tables(out: Path, rows: Sequence[Measured], places: Places) -> None:
    """Write the rows, the Markdown and, where matplotlib is installed, the picture."""
    dataset = open_split(places.annotations, SPLIT, places.dataset)
    # Codes that are all alike are in a random order.
    chance = hashing_figures(
        dataset,
        np.ones((len(dataset.images), 8), np.float32),
        np.ones((len(dataset.captions), 8), np.float32),
    )
    body = {"chance": asdict(chance), "rows": [row.to_json() for row in rows]}
    publish(out / "rows.json", json.dumps(body, indent=1).encode() + b"\n")
    page = markdown(rows, chance, BITS, STATED, STATED_RATE)
    publish(out / "table.md", page.encode())
    try:
        publish(out / "table.png", picture(rows, BITS, STATED, STATED_RATE))
    except MissingExtra as error:
        log.info("%s", error)


if __name__ == "__main__":
    main()
