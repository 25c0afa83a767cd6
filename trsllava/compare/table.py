"""Runs side by side: means and deviations over seeds, the paper's figures beside ours."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from trsllava.compare.noise import PERMUTED
from trsllava.compare.runs import Run, noise_label, read_evaluations, read_run, views_label
from trsllava.errors import InputError
from trsllava.evaluation.published import Published, published
from trsllava.evaluation.result import DIRECTIONS, KEYS
from trsllava.records import canonical_json
from trsllava.untrusted import printable

_WIDTH = 48


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure over seeds: the mean, and the sample deviation (None for a single seed)."""

    mean: float
    deviation: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> "Figure":
        """Return the figure of one value a seed."""
        return cls(mean(values), stdev(values) if len(values) > 1 else None)

    def __str__(self) -> str:
        """Return it as people write it."""
        spread = "" if self.deviation is None else f" ± {self.deviation:.2f}"
        return f"{self.mean:.2f}{spread}"

    def to_json(self) -> dict[str, float | None]:
        """Return both numbers with two decimals."""
        spread = self.deviation
        return {"mean": round(self.mean, 2), "sd": None if spread is None else round(spread, 2)}


@dataclass(frozen=True, slots=True)
class Row:
    """One experiment on one split: its runs differ in their seeds alone.

    ``views`` of each picture were averaged; ``figures`` has ``mr`` and ``i2t/r1`` to ``t2i/r10`` in
    percent; ``published`` are the paper's on the same dataset's test split, ``differs`` says what
    they cannot be compared in.
    """

    title: str
    noise: str
    backbone: str
    dataset: str
    split: str
    views: int
    revision: str
    seeds: tuple[int, ...]
    figures: Mapping[str, Figure]
    published: tuple[Published, ...]
    differs: str

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON."""
        return {
            "title": self.title,
            "noise": self.noise,
            "backbone": self.backbone,
            "dataset": self.dataset,
            "split": self.split,
            "views": self.views,
            "revision": self.revision,
            "seeds": list(self.seeds),
            "figures": {key: figure.to_json() for key, figure in self.figures.items()},
            "published": [
                {"method": one.method, "mr": one.mr, "backbone": one.backbone, "source": one.source}
                for one in self.published
            ],
            "differs": self.differs,
        }


def table(folders: Sequence[Path]) -> list[Row]:
    """Return a row for each experiment, noise and split among finished and evaluated runs.

    Raises `InputError` if a run is not finished or was not evaluated, or a seed occurs twice.
    """
    groups: dict[bytes, list[tuple[Run, dict[str, Any], Path]]] = {}
    for folder in folders:
        run, _ = read_run(folder)
        found = read_evaluations(folder)
        if not found:
            raise InputError(
                f"{folder} was not evaluated; do it with: trsllava compare evaluate {folder} "
                "--annotations FILE --images DIR --split S"
            )
        for body in found.values():
            groups.setdefault(_key(run, body), []).append((run, body, folder))
    return [_row(group) for group in groups.values()]


def table_lines(rows: Sequence[Row]) -> list[str]:
    """Return the table as text."""
    lines = []
    for row in rows:
        i2t, t2i = (", ".join(str(row.figures[f"{d}/{k}"]) for k in KEYS) for d in DIRECTIONS)
        seeds = f"{len(row.seeds)} seed{'s' if len(row.seeds) > 1 else ''}"
        name = printable(f"{row.title}{views_label(row.views)}, {row.noise}")
        lines += [
            f"{name:<{_WIDTH}} mR {row.figures['mr']}  ({row.dataset} {row.split}, {seeds})",
            f"  image to text R@1, 5, 10: {i2t}",
            f"  text to image R@1, 5, 10: {t2i}",
        ]
        lines += [
            f"  published: {one.method}: mR {one.mr:.2f} ({one.dataset} test, "
            f"{one.backbone or 'backbone not stated'}; {one.source})"
            for one in row.published
        ]
        if row.published and row.split != "test":
            lines.append(f"  published figures are of the test split, ours of {row.split}")
        if row.differs:
            lines.append(f"  what differs: {row.differs}")
    return lines


def _key(run: Run, body: Mapping[str, Any]) -> bytes:
    """Return what runs of one row have in common: all but the seed and what it decides."""
    known = run.to_json()
    del known["seed"]
    return canonical_json([known, body["split"], body["views"], body.get("revision")])


def _row(group: Sequence[tuple[Run, dict[str, Any], Path]]) -> Row:
    run, body, _ = group[0]
    seeds: dict[int, Path] = {}
    for other, _, folder in group:
        if other.seed in seeds:
            raise InputError(
                f"{seeds[other.seed]} and {folder} are the same experiment with the same seed"
            )
        seeds[other.seed] = folder
    try:
        values = {
            f"{d}/{k}": [float(b[d][k]) for _, b, _ in group] for d in DIRECTIONS for k in KEYS
        }
        values["mr"] = [float(b["mr"]) for _, b, _ in group]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"the evaluation in {group[0][2]} lacks {error}; make it again") from error
    if not all(math.isfinite(value) for one in values.values() for value in one):
        raise InputError(f"the evaluation in {group[0][2]} holds no numbers; make it again")
    paper = run.experiment.paper
    return Row(
        title=run.experiment.title,
        noise=noise_label(run.noise),
        backbone=str(run.backbone["name"]),
        dataset=run.dataset,
        split=str(body["split"]),
        views=body["views"],
        revision=str(body.get("revision", "")),
        seeds=tuple(sorted(seeds)),
        figures={key: Figure.of(one) for key, one in values.items()},
        published=tuple(
            one
            for one in published(run.dataset)
            if one.method in paper.methods and _same_noise(one.method, run.noise)
        ),
        differs=paper.differs,
    )


def _same_noise(method: str, noise: Mapping[str, Any] | None) -> bool:
    """Whether a published figure is of the noise of a run; its name says so where it is of some."""
    if noise is None:
        return "% noise" not in method or "(0% noise)" in method
    return noise["kind"] == PERMUTED and f"({noise['rate']:.0%} noise)" in method
