"""What an evaluation found, as a value and as the object that ``evaluate --json`` prints."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from trsllava.evaluation.hubness import Hubness
from trsllava.evaluation.judgements import Judgements
from trsllava.evaluation.measures import Places, Success

MEASURES = (Success(1), Success(5), Success(10))
DIRECTIONS = ("i2t", "t2i")
KEYS = ("r1", "r5", "r10")

Interval = tuple[float, float]


class Recalls(NamedTuple):
    """Success@1, 5 and 10 of one direction, in percent."""

    r1: float
    r5: float
    r10: float

    def to_json(self) -> dict[str, float]:
        """Return the three figures with two decimals."""
        return {key: round(value, 2) for key, value in zip(KEYS, self, strict=True)}


class Scores(NamedTuple):
    """Both directions under one way of counting, in percent."""

    i2t: Recalls
    t2i: Recalls

    @property
    def mr(self) -> float:
        """The mean of the six recalls."""
        return (sum(self.i2t) + sum(self.t2i)) / 6

    def to_json(self) -> dict[str, Any]:
        """Return the six figures and their mean."""
        return {"i2t": self.i2t.to_json(), "t2i": self.t2i.to_json(), "mr": round(self.mr, 2)}


class ClassScores(NamedTuple):
    """One class's images as queries and as targets, ranked among all images."""

    name: str
    images: int
    scores: Scores


class LengthScores(NamedTuple):
    """The captions of so many words as text-to-image queries, ranked among all images."""

    words: str
    captions: int
    t2i: Recalls


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """One method on one split.

    ``expected`` is the headline, under a random order of ties; ``judged`` is what counted as
    relevant, captions to images; ``places`` holds for each direction where that stands;
    ``revision`` is a digest of what was measured on; ``rows`` are other methods on the same split,
    such as the paper's scoring.
    """

    dataset: str
    split: str
    images: int
    captions: int
    covered: int
    method: str
    expected: Scores
    optimistic: Scores
    pessimistic: Scores
    intervals: Mapping[str, Mapping[str, Interval]]
    mr_interval: Interval
    merged: Scores
    shared_strings: int
    shared_captions: int
    leaks: int
    empty: int
    per_class: tuple[ClassScores, ...]
    with_class: int
    per_length: tuple[LengthScores, ...]
    hubness: Mapping[str, Hubness]
    revision: str
    judged: Judgements
    places: Mapping[str, Places]
    warnings: tuple[str, ...] = ()
    rows: tuple["Result", ...] = ()

    @property
    def mr(self) -> float:
        """The headline: the mean of the six recalls in percent."""
        return self.expected.mr

    def to_json(self) -> dict[str, Any]:
        """Return the object of the command contract; percentages have two decimals."""
        body = {
            "dataset": self.dataset,
            "split": self.split,
            "revision": self.revision,
            "images": self.images,
            "captions": self.captions,
            "covered": self.covered,
            **self._figures(),
            "shared_captions": {"strings": self.shared_strings, "rows": self.shared_captions},
            "leaks": self.leaks,
            "empty_captions": self.empty,
            "images_with_class": self.with_class,
            "per_class": [
                {"class": one.name, "images": one.images, **one.scores.to_json()}
                for one in self.per_class
            ],
            "per_length": [
                {"words": one.words, "captions": one.captions, "t2i": one.t2i.to_json()}
                for one in self.per_length
            ],
            "hubness": {name: one.to_json() for name, one in self.hubness.items()},
            "warnings": list(self.warnings),
        }
        if self.rows:
            body["rows"] = [row._figures() for row in self.rows]
        return body

    def _figures(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "ties": {
                "optimistic_mr": round(self.optimistic.mr, 2),
                "pessimistic_mr": round(self.pessimistic.mr, 2),
                "optimistic": self.optimistic.to_json(),
                "pessimistic": self.pessimistic.to_json(),
            },
            **self.expected.to_json(),
            "ci95": {
                "mr": _rounded(self.mr_interval),
                **{
                    direction: {key: _rounded(pair) for key, pair in figures.items()}
                    for direction, figures in self.intervals.items()
                },
            },
            "merged_duplicates": self.merged.to_json(),
        }

    def notes(self) -> list[str]:
        """Return, as sentences, what a reader of the figures must know."""
        notes = [
            f"{self.covered:,} of {self.images:,} images have a record; "
            "a caption whose image has none counts as a miss",
            f"{self.shared_captions:,} captions ({self.shared_strings:,} strings) stand at more "
            "than one image; 'merged' counts each of these as relevant",
        ]
        if self.split != "train":
            notes.append(f"{self.leaks:,} captions stand verbatim in the train split of this file")
        if self.empty:
            notes.append(f"{self.empty:,} empty captions were dropped")
        if not self.per_class:
            notes.append(f"{self.with_class:,} images carry a class in their name: no class table")
        elif self.with_class < self.images:
            notes.append(f"{self.with_class:,} of {self.images:,} images carry a class")
        return notes


def _rounded(pair: Interval) -> list[float]:
    return [round(value, 2) for value in pair]
