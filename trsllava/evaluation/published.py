"""Figures read in the literature, each with where it was read: ``datasets/published.csv``."""

import csv
from dataclasses import dataclass
from typing import Literal, cast

from trsllava.evaluation.result import Recalls, Scores
from trsllava.resources import find

Kind = Literal["training-free", "RS-pretrained", "supervised"]


@dataclass(frozen=True, slots=True)
class Published:
    """One figure: a method on one dataset's test split.

    ``kind`` says what it was trained on: nothing of remote sensing, remote sensing pictures in
    general, or the dataset's own train split. ``second_hand`` figures were read in a copy.
    """

    method: str
    year: str
    venue: str
    dataset: str
    kind: Kind
    second_hand: bool
    backbone: str
    scores: Scores | None
    mr: float
    source: str


def published(dataset: str) -> list[Published]:
    """Return what is known of a dataset's test split, best mR first within each kind."""
    with find("datasets/published.csv").open(encoding="utf-8", newline="") as file:
        rows = [_row(row) for row in csv.DictReader(file)]
    order = ("training-free", "RS-pretrained", "supervised")
    chosen = [row for row in rows if row.dataset.lower() == dataset.lower()]
    return sorted(chosen, key=lambda row: (order.index(row.kind), -row.mr))


def comparability(split: str, rows: list[Published]) -> str:
    """Return the sentence that must stand above published figures."""
    if not rows:
        return "No published figures are recorded for this dataset."
    if split != "test":
        return f"Published figures are of the test split and do not compare with {split}."
    return (
        "Published figures as read in the named source; a method's figure differs between sources."
    )


def _row(row: dict[str, str]) -> Published:
    i2t = [row[f"i2t_{key}"] for key in Recalls._fields]
    t2i = [row[f"t2i_{key}"] for key in Recalls._fields]
    scores = None
    if all(i2t) and all(t2i):
        scores = Scores(Recalls(*map(float, i2t)), Recalls(*map(float, t2i)))
    return Published(
        method=row["method"],
        year=row["year"],
        venue=row["venue"],
        dataset=row["dataset"],
        kind=cast(Kind, row["kind"]),
        second_hand=row["second_hand"] == "yes",
        backbone=row["backbone"],
        scores=scores,
        mr=float(row["mR"]),
        source=row["source"],
    )
