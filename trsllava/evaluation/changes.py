"""The queries on which two runs differ most, with what each of the two had to go by."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trsllava.evaluation.comparison import rank_gains
from trsllava.evaluation.result import DIRECTIONS
from trsllava.evaluation.runs import Run

SHOWN = 12
_TEXT = 240  # characters of a record's texts


@dataclass(frozen=True, slots=True)
class Side:
    """One run on a query: the rank of the right one, and what came first.

    ``record`` is the text of the query's own image. What came first is an image with its record
    (text to image), or a caption with its image (image to text); None where nothing was found.
    """

    rank: float | None
    record: str
    first: str | None
    first_text: str

    def to_json(self) -> dict[str, Any]:
        """Return the object that ``--json`` prints; the rank has two decimals."""
        return {
            "rank": None if self.rank is None else round(self.rank, 2),
            "record": self.record,
            "first": self.first,
            "first_text": self.first_text,
        }


@dataclass(frozen=True, slots=True)
class Change:
    """A query whose answer moved: a caption (empty if the image asks), its image, both runs."""

    caption: str
    image: str
    before: Side
    after: Side

    @property
    def same_record(self) -> bool:
        """Whether both runs had the same text to go by."""
        return self.before.record == self.after.record

    def to_json(self) -> dict[str, Any]:
        """Return the object that ``--json`` prints."""
        asked = {"caption": self.caption} if self.caption else {}
        sides = {"baseline": self.before.to_json(), "report": self.after.to_json()}
        return {**asked, "image": self.image, **sides}


@dataclass(frozen=True, slots=True)
class Changes:
    """The queries of a direction that gained and those that lost most, the greatest first."""

    gained: tuple[Change, ...]
    lost: tuple[Change, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the object that ``--json`` prints."""
        return {
            "gained": [change.to_json() for change in self.gained],
            "lost": [change.to_json() for change in self.lost],
        }


def changes(baseline: Run, run: Run, shown: int = SHOWN) -> dict[str, Changes]:
    """Return the greatest changes of rank in both directions, as factors: 1 to 2 as 50 to 100."""
    found = {}
    for direction in DIRECTIONS:
        gains = rank_gains(baseline, run, direction)
        gained = _greatest(gains, run, direction, shown)
        lost = _greatest(-gains, run, direction, shown)
        found[direction] = Changes(
            tuple(_change(baseline, run, direction, row) for row in gained),
            tuple(_change(baseline, run, direction, row) for row in lost),
        )
    return found


def _greatest(gains: NDArray[np.float64], run: Run, direction: str, shown: int) -> list[int]:
    """Return the rows with the greatest gains, one for each image and each caption's text."""
    chosen: list[int] = []
    images: set[int] = set()
    texts: set[str] = set()
    for row in np.argsort(-gains, kind="stable").tolist():
        if len(chosen) == shown or gains[row] <= 0:
            break
        image = row if direction == "i2t" else int(run.owner[row])
        text = f"image {row}" if direction == "i2t" else run.captions[row]
        if image not in images and text not in texts:
            chosen.append(row)
            images.add(image)
            texts.add(text)
    return chosen


def _change(baseline: Run, run: Run, direction: str, row: int) -> Change:
    image = row if direction == "i2t" else int(run.owner[row])
    before, after = (_side(one, direction, row, image) for one in (baseline, run))
    return Change("" if direction == "i2t" else run.captions[row], run.images[image], before, after)


def _side(run: Run, direction: str, row: int, image: int) -> Side:
    rank = float(run.places[direction].rank()[row])
    first = int(run.first[direction][row])
    name, text = None, ""
    if first >= 0 and direction == "t2i":
        name, text = run.images[first], _short(run.texts[first])
    elif first >= 0:
        name, text = run.images[run.owner[first]], _short(run.captions[first])
    return Side(rank if np.isfinite(rank) else None, _short(run.texts[image]), name, text)


def _short(text: str) -> str:
    return text if len(text) <= _TEXT else text[: _TEXT - 1] + "…"
