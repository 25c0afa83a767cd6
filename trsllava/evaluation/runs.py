"""Where each query's answer stood, kept in a report so that evaluations can be compared later.

``ranks.npz`` holds, for ``t2i`` and ``i2t``, an int32 array of shape (4, queries): how many items
scored above the best relevant one, how many were level with it, how many of these are relevant (0:
nothing relevant was found), and which item came first (-1: none). ``owner`` (captions,) is each
caption's image. With ties kept as they are, every figure of the report follows from these.
"""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trsllava.errors import InputError
from trsllava.evaluation.datasets import Dataset
from trsllava.evaluation.groups import scores_of
from trsllava.evaluation.measures import Places
from trsllava.evaluation.result import DIRECTIONS, MEASURES, Interval, Scores
from trsllava.interchange.trec import unescape
from trsllava.store.files import publishing

RANKS = "ranks.npz"
_NEEDED = (
    *("dataset", "split", "revision", "images", "captions"),
    *("method", "covered", "ci95", "merged_duplicates"),
)
Values = Mapping[str, list[NDArray[np.float64]]]


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A finished evaluation, read from the folder that ``evaluate --report`` wrote.

    ``about`` is its ``result.json``; ``places`` and ``first`` have one entry for each query of a
    direction; ``texts`` are the images' records, all texts of one joined.
    """

    folder: Path
    about: Mapping[str, Any]
    places: Mapping[str, Places]
    first: Mapping[str, NDArray[np.int32]]
    owner: NDArray[np.int64]
    images: tuple[str, ...]
    texts: tuple[str, ...]
    captions: tuple[str, ...]

    @property
    def method(self) -> str:
        """What made the scores."""
        return str(self.about["method"])

    @property
    def mr_interval(self) -> Interval:
        """The 95 % interval of mR in percent."""
        low, high = self.about["ci95"]["mr"]
        return float(low), float(high)

    def values(self) -> Values:
        """Return each query's expected recalls at 1, 5 and 10, from 0 to 1."""
        return {d: [m.expected(self.places[d]) for m in MEASURES] for d in DIRECTIONS}

    def scores(self) -> Scores:
        """Return the six recalls in percent."""
        return scores_of(self.values())


def write_ranks(
    folder: Path, dataset: Dataset, scores: NDArray[np.float32], found: Mapping[str, Places]
) -> None:
    """Write ``ranks.npz``.

    Parameters
    ----------
    folder
        The report's.
    dataset
        The split.
    scores
        Of shape (captions, images), -inf for an image without a record.
    found
        For each direction where the best relevant item of each query stands.
    """
    with publishing(folder / RANKS) as file:
        np.savez_compressed(
            file,
            owner=dataset.owner.astype(np.int32),
            i2t=_packed(found["i2t"], scores.T),
            t2i=_packed(found["t2i"], scores),
        )


def _packed(found: Places, scores: NDArray[np.float32]) -> NDArray[np.int32]:
    first = np.where(scores.max(axis=1) > -np.inf, scores.argmax(axis=1), -1)
    relevant = np.where(found.found, found.relevant, 0)
    return np.stack([found.above, found.level, relevant, first]).astype(np.int32)


def read_run(folder: Path) -> Run:
    """Read a finished report.

    Raises `InputError` if the folder is none, or one of an earlier version that kept no ranks.
    """
    try:
        about = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        with np.load(folder / RANKS, allow_pickle=False) as file:
            owner = file["owner"].astype(np.int64)
            packed = {direction: file[direction] for direction in DIRECTIONS}
        corpus = _lines(folder / "beir" / "corpus.jsonl")
        queries = _lines(folder / "beir" / "queries.jsonl")
        _check(about, owner, packed, len(corpus), len(queries))
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{folder} is no finished report that can be compared ({error}); "
            f"make it (again) with: trsllava evaluate ... --report {folder}"
        ) from error
    return Run(
        folder=folder,
        about=about,
        places={d: Places(a[0], a[1], a[2], a[2] > 0) for d, a in packed.items()},
        first={d: a[3] for d, a in packed.items()},
        owner=owner,
        images=tuple(unescape(name) for name, _ in corpus),
        texts=tuple(text for _, text in corpus),
        captions=tuple(text for _, text in queries),
    )


def _check(
    about: Mapping[str, Any],
    owner: NDArray[np.int64],
    packed: Mapping[str, NDArray[np.int32]],
    images: int,
    captions: int,
) -> None:
    """Raise ValueError if what was read is not one evaluation of so many images and captions."""
    missing = [key for key in _NEEDED if key not in about]
    if missing:
        raise ValueError(f"its result.json has no {missing[0]!r}")
    fits = owner.shape == (captions,) and bool((owner < images).all())
    for direction, queries, items in (("i2t", images, captions), ("t2i", captions, images)):
        array = packed[direction]
        fits = fits and array.shape == (4, queries) and bool((array <= items).all())
        fits = fits and bool((array[3] < items).all())
    if not fits:
        raise ValueError("its files do not belong together")


def _lines(path: Path) -> list[tuple[str, str]]:
    """Return the ids and texts of a file in BEIR's form."""
    # Not splitlines: a text may hold what Unicode calls a line end.
    rows = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    return [(body["_id"], body["text"]) for body in map(json.loads, rows)]
