"""An evaluation as a folder: a page to read, the figures as JSON, and exports for other tools."""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trsllava.errors import MissingExtra
from trsllava.evaluation import mteb
from trsllava.evaluation.datasets import Dataset
from trsllava.evaluation.exports import FILES, write_exports
from trsllava.evaluation.pages import literature, write_page
from trsllava.evaluation.plots import plots
from trsllava.evaluation.result import Result
from trsllava.evaluation.runs import RANKS, write_ranks
from trsllava.index.scoring import Added
from trsllava.records import Record
from trsllava.store.files import publish

_SHOWN = 12  # best and worst queries each
_TEXT = 300  # characters of a record's text

Thumbnail = Callable[[str], str | None]
Why = Callable[[str, int], Added]


@dataclass(frozen=True, slots=True)
class Shown:
    """An image on the page: its id, a text of its record, a picture as a data address.

    ``parts`` says what each part of the score added for the query that it is shown with.
    """

    image: str
    text: str
    picture: str | None
    parts: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A query on the page: where its own image came, and which image came first instead."""

    caption: str
    rank: float
    own: Shown
    first: Shown | None


def write_report(
    folder: Path,
    dataset: Dataset,
    scores: NDArray[np.float32],
    result: Result,
    records: Sequence[Record | None],
    *,
    thumbnail: Thumbnail | None = None,
    why: Why | None = None,
    seconds: float | None = None,
) -> Path:
    """Write the report of a result and of the rows it carries.

    Parameters
    ----------
    folder
        Where to; files of an earlier report are replaced.
    dataset
        The split.
    scores
        The headline method's, of shape (captions, images).
    result
        The headline method, other methods in its ``rows``.
    records
        One for each image, None where there is none.
    thumbnail
        Gives an image's picture as a ``data:`` address, or None; no pictures without it.
    why
        Gives what each part adds to the score of a caption with an image of the dataset, by its
        place; the page tells nothing of it without.
    seconds
        How long the scoring took, for MTEB's result file.

    Returns
    -------
    Path
        The page, ``index.html``, written last.
    """
    methods = (result, *result.rows)
    try:
        drawn, missing = plots(methods), None
    except MissingExtra as error:
        drawn, missing = {}, str(error)
    addresses = {
        name: "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
        for name, svg in drawn.items()
    }
    has_record = np.array([record is not None for record in records])
    scores = np.where(has_record, scores, np.float32(-np.inf))
    show = _Shower(dataset, records, thumbnail, why)
    best, worst = _extremes(dataset, scores, result, show)
    body = json.dumps(result.to_json(), ensure_ascii=False, indent=1) + "\n"
    write_exports(folder, dataset, scores, records, result.judged)
    write_ranks(folder, dataset, scores, result.places)
    publish(folder / mteb.FILE, json.dumps(mteb.task_result(result, seconds), indent=1).encode())
    publish(folder / "result.json", body.encode())
    return write_page(
        folder / "index.html",
        "report.html",
        result=result,
        methods=methods,
        plots=addresses,
        missing=missing,
        best=best,
        worst=worst,
        own=[(one.method, "", one.expected) for one in methods],
        named={"i2t": dict(zip(dataset.caption_ids, dataset.captions, strict=True)), "t2i": {}},
        files=(RANKS, mteb.FILE, *FILES),
        **literature(result.dataset, result.split),
    )


@dataclass(frozen=True, slots=True)
class _Shower:
    """Makes what the page shows of an image."""

    dataset: Dataset
    records: Sequence[Record | None]
    thumbnail: Thumbnail | None
    why: Why | None

    def __call__(self, caption: str, row: int) -> Shown:
        image = self.dataset.images[row]
        record = self.records[row]
        text = next((found.text for found in record.texts()), "") if record else "(no record)"
        if len(text) > _TEXT:
            text = text[: _TEXT - 1] + "…"
        parts = ""
        if self.why is not None and record is not None:
            named = zip(Added._fields, self.why(caption, row), strict=True)
            parts = " + ".join(f"{part.item():.2f} {name}" for name, part in named if part.any())
        return Shown(image, text, self.thumbnail(image) if self.thumbnail else None, parts)


def _extremes(
    dataset: Dataset, scores: NDArray[np.float32], result: Result, show: _Shower
) -> tuple[list[Asked], list[Asked]]:
    """Return the captions whose own image came clearest first, and those where it came last."""
    rank = result.places["t2i"].rank()
    rows = np.arange(len(rank))
    others = scores.copy()
    own = others[rows, dataset.owner]
    others[rows, dataset.owner] = -np.inf
    rival = others.argmax(axis=1)
    with np.errstate(invalid="ignore"):  # -inf less -inf, where nothing has a record
        margin = np.where(rank == 1, own - others[rows, rival], -np.inf)
    by_margin = np.lexsort((rows, -np.nan_to_num(margin, nan=-np.inf, neginf=-np.inf)))
    depth = np.where(np.isfinite(rank), rank, 0.0)
    by_depth = np.lexsort((rows, -depth))

    def asked(row: int, against: bool) -> Asked:
        caption = dataset.captions[row]
        first = show(caption, int(rival[row])) if against else None
        return Asked(caption, float(rank[row]), show(caption, int(dataset.owner[row])), first)

    best = _distinct(dataset, [int(row) for row in by_margin if rank[row] == 1])
    worst = _distinct(dataset, [int(row) for row in by_depth if depth[row] > 1])
    return [asked(row, False) for row in best], [asked(row, True) for row in worst]


def _distinct(dataset: Dataset, rows: list[int]) -> list[int]:
    """Return the first rows, one for each image, so that one odd image does not fill the list."""
    chosen: dict[int, int] = {}
    for row in rows:
        chosen.setdefault(int(dataset.owner[row]), row)
        if len(chosen) == _SHOWN:
            break
    return list(chosen.values())
