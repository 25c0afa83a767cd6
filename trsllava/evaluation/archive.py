"""An archive's own scores for a dataset's captions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trsllava.evaluation.datasets import Dataset
from trsllava.evaluation.joining import join
from trsllava.index.scoring import Mode
from trsllava.records import Record
from trsllava.search.searcher import Searcher


@dataclass(frozen=True, slots=True)
class Scored:
    """The matrix of an archive on a dataset.

    ``scores`` is float32 (captions, images), -inf for an image without a record, ``records`` has
    one entry an image, ``notes`` say how records were found.
    """

    scores: NDArray[np.float32]
    has_record: NDArray[np.bool_]
    records: tuple[Record | None, ...]
    notes: tuple[str, ...]


def score_archive(searcher: Searcher, dataset: Dataset, mode: Mode) -> Scored:
    """Score every caption of a dataset with every image of it, as `Searcher.search` would.

    Images that the archive holds beside the dataset's play no part.
    """
    generation = searcher.generation
    live = searcher.live.rows()
    joined = join(dataset.images, [generation.images[row] for row in live])
    has_record = joined.has_record
    columns = np.flatnonzero(has_record)
    rows, place = np.unique(live[joined.rows[columns]], return_inverse=True)
    scores = np.full((len(dataset.captions), len(dataset.images)), -np.inf, dtype=np.float32)
    scores[:, columns] = searcher.score_matrix(dataset.captions, rows, mode)[:, place]
    records: list[Record | None] = [None] * len(dataset.images)
    for column, row in zip(columns, rows[place], strict=True):
        records[column] = generation.record(int(row))
    return Scored(scores, has_record, tuple(records), joined.notes)
