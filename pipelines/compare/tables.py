"""Train, measure and tabulate the comparison systems: each table of docs/compare.md by one command.

::

    python pipelines/compare/tables.py noise --annotations dataset_rsicd.json --images DIR --out OUT

``noise`` is RRSITR beside the dual encoder with 0 to 80 % of the captions permuted, ``ablations``
RRSITR without each of its parts at 80 %, ``scales`` MSA with and without its multi-scale losses.
Every run is a folder of ``OUT/runs``; what is finished is not trained again, so a killed command is
typed again, and tables share runs. With ``--part 1/2`` and ``--part 2/2`` two processes train half
of the runs each; the table is written by the command without ``--part``.
"""

import argparse
import io
import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trsllava.compare.experiment import Experiment, read_experiment, shipped
from trsllava.compare.margin import Margin, margin, outcomes
from trsllava.compare.material import Places, open_split
from trsllava.compare.noise import PERMUTED, make_noise, write_noise
from trsllava.compare.opened import evaluate_run
from trsllava.compare.pairs import fitting_pairs
from trsllava.compare.runs import TRAINED, write_evaluation
from trsllava.compare.table import Row
from trsllava.compare.table import table as rows_of
from trsllava.compare.train import train_run
from trsllava.errors import TrsllavaError, UsageError
from trsllava.store.files import publish

RATES = (0.0, 0.2, 0.4, 0.6, 0.8)
PARTS = ("local", "self_paced", "robust_triplet", "dynamic_margin")


@dataclass(frozen=True, slots=True)
class Arm:
    """A row of a table: an experiment at a rate of noise, and the row it is held against."""

    key: str
    experiment: Experiment
    rate: float
    baseline: str | None

    def folder(self, out: Path, seed: int) -> Path:
        """Return where the run of a seed is."""
        return out / "runs" / f"{self.key}-{seed}"


@dataclass(frozen=True, slots=True)
class Result:
    """An arm's figures over its seeds, and how far it stands above its baseline."""

    arm: Arm
    row: Row
    margin: Margin | None

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON."""
        above = self.margin.to_json() if self.margin else None
        return {**self.row.to_json(), "rate": self.arm.rate, "margin": above}


def noise_arms() -> list[Arm]:
    """Return both systems at every rate."""
    plain, robust = _shipped("dual-encoder"), _shipped("rrsitr")
    arms = []
    for rate in RATES:
        key = f"dual-encoder-{round(100 * rate):02d}"
        arms += [
            Arm(key, plain, rate, None),
            Arm(f"rrsitr-{round(100 * rate):02d}", robust, rate, key),
        ]
    return arms


def ablation_arms() -> list[Arm]:
    """Return RRSITR whole, without each part, and without all, at the highest rate."""
    whole, rate = _shipped("rrsitr"), RATES[-1]
    key = f"rrsitr-{round(100 * rate):02d}"
    arms = [Arm(key, whole, rate, None)]
    for part in PARTS:
        words = part.replace("_", " ")
        arms.append(Arm(f"{key}-no-{part}", _without(whole, (part,), words), rate, key))
    none = _without(whole, PARTS, "any of these")
    return [*arms, Arm(f"{key}-no-any", none, rate, key)]


def scale_arms() -> list[Arm]:
    """Return MSA with and without its multi-scale losses."""
    whole = _shipped("msa")
    key = "msa-no-multi_scale"
    without = _without(whole, ("multi_scale",), "multi-scale losses")
    return [Arm(key, without, 0.0, None), Arm("msa", whole, 0.0, key)]


TABLES: Mapping[str, Callable[[], list[Arm]]] = {
    "noise": noise_arms,
    "ablations": ablation_arms,
    "scales": scale_arms,
}


def main() -> None:
    """Train what is missing; then measure, compare and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", choices=TABLES, help="which table")
    parser.add_argument("--annotations", type=Path, required=True, help="the annotation file")
    parser.add_argument("--images", type=Path, required=True, help="the folder of the pictures")
    parser.add_argument("--out", type=Path, required=True, help="where runs and tables go")
    parser.add_argument("--features", type=Path, help="where features are kept; OUT/features")
    parser.add_argument("--seeds", type=int, default=3, help="seeds a row (3)")
    parser.add_argument("--split", default="val", help="the split to report (val)")
    parser.add_argument("--part", help="train only the I-th of N shares of the runs: I/N")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    places = Places(given.annotations, given.images, given.features or given.out / "features")
    try:
        arms = TABLES[given.table]()
        train_all(arms, places, given.out, given.seeds, given.part)
        if given.part is None:
            results = results_of(arms, places, given.out, given.seeds, given.split)
            write_table(given.table, results, given.out)
    except TrsllavaError as error:
        sys.exit(f"error: {error}")


def train_all(arms: list[Arm], places: Places, out: Path, seeds: int, part: str | None) -> None:
    """Train the runs that are not finished, seed by seed."""
    runs = [(arm, seed) for seed in range(seeds) for arm in arms]
    for arm, seed in runs[_share(part)]:
        folder = arm.folder(out, seed)
        if (folder / TRAINED).exists():
            continue
        logging.info("training %s", folder)
        noise = _noise(places, out, arm.rate) if arm.rate else None
        train_run(arm.experiment, places, folder, seed, noise)


def results_of(arms: list[Arm], places: Places, out: Path, seeds: int, split: str) -> list[Result]:
    """Measure every run on a split, and hold each arm against its baseline."""
    found: dict[str, list[Mapping[str, NDArray[np.float64]]]] = {}
    results = []
    for arm in arms:
        folders = [arm.folder(out, seed) for seed in range(seeds)]
        own = []
        for folder in folders:
            dataset, scores, result = evaluate_run(folder, places, split)
            write_evaluation(folder, dataset.split, result.to_json())
            own.append(outcomes(dataset, scores))
        found[arm.key] = own
        row = next(r for r in rows_of(folders) if (r.split, r.views) == (dataset.split, 1))
        above = margin(dataset, found[arm.baseline], own) if arm.baseline else None
        results.append(Result(arm, row, above))
    return results


def write_table(name: str, results: list[Result], out: Path) -> None:
    """Write a table as JSON, as Markdown and, for noise, as a picture."""
    body = [one.to_json() for one in results]
    publish(out / f"{name}.json", json.dumps(body, indent=1).encode() + b"\n")
    text = markdown(results)
    publish(out / f"{name}.md", text.encode())
    print(text, end="")
    if name == "noise":
        publish(out / f"{name}.png", picture(results))


def markdown(results: list[Result]) -> str:
    """Return a table for people, a row an arm."""
    lines = ["| | noise | i2t R@10 | t2i R@10 | mR | margin of mR |", "|---|---|---|---|---|---|"]
    for arm, row, above in ((one.arm, one.row, one.margin) for one in results):
        figures = (row.figures[key] for key in ("i2t/r10", "t2i/r10", "mr"))
        cells = [row.title, f"{arm.rate:.0%}", *map(str, figures), str(above or "")]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def picture(results: list[Result]) -> bytes:
    """Return mR over the rate of noise as a PNG, a curve a system with its deviations."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.4))
    axis = figure.subplots()
    for title in dict.fromkeys(one.row.title for one in results):
        own = [one for one in results if one.row.title == title]
        figures = [one.row.figures["mr"] for one in own]
        axis.errorbar(
            [100 * one.arm.rate for one in own],
            [one.mean for one in figures],
            [one.deviation or 0.0 for one in figures],
            label=title,
            capsize=3,
        )
    axis.set_xlabel("permuted captions, %")
    axis.set_ylabel(f"mR, {results[0].row.split}")
    axis.grid(alpha=0.25)
    axis.legend(frameon=False)
    figure.tight_layout()
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=120, metadata={"Software": None})
    return data.getvalue()


def _shipped(system: str) -> Experiment:
    return read_experiment(shipped(system), system)


def _without(whole: Experiment, parts: Sequence[str], words: str) -> Experiment:
    settings = {**whole.system, **dict.fromkeys(parts, False)}
    return replace(whole, title=f"{whole.title} without {words}", system=settings)


def _noise(places: Places, out: Path, rate: float) -> Path:
    path = out / "noise" / f"{PERMUTED}-{round(100 * rate):02d}.json"
    if not path.exists():
        pairs = fitting_pairs(open_split(places.annotations, "train", places.dataset))
        write_noise(path, make_noise(pairs, PERMUTED, rate))
    return path


def _share(part: str | None) -> slice:
    """Return every N-th run from the I-th on, for ``I/N``."""
    if part is None:
        return slice(None)
    number, _, count = part.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise UsageError(f"--part {part} must be I/N, such as 1/2")
    return slice(int(number) - 1, None, int(count))


if __name__ == "__main__":
    main()
