"""An archive's own scores for a dataset's captions.

A search compares images for one query; the other direction compares captions for one image. There
a caption that fits every record would win everywhere. So what a caption scores with a bank of texts
that ships (of train images' records, ours) is taken off its scores. Each caption's own ranking of
the images stays as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trsllava import resources
from trsllava.evaluation.datasets import Dataset
from trsllava.evaluation.joining import join
from trsllava.index.scoring import Mode, Parts, usual
from trsllava.records import Record
from trsllava.search.searcher import Searcher

_BANK = "datasets/record_bank.txt"


@dataclass(frozen=True, slots=True)
class Scored:
    """The matrix of an archive on a dataset.

    ``scores`` is float32 (captions, images), -inf for an image without a record, ``rows`` is each
    image's in the index, -1 where there is none, ``records`` has one entry an image, ``notes`` say
    how records were found.
    """

    scores: NDArray[np.float32]
    has_record: NDArray[np.bool_]
    rows: NDArray[np.int64]
    records: tuple[Record | None, ...]
    notes: tuple[str, ...]


def score_archive(searcher: Searcher, dataset: Dataset, mode: Mode) -> Scored:
    """Score every caption of a dataset with every image of it.

    Each caption ranks the images as `Searcher.search` would. Images that the archive holds beside
    the dataset's play no part.
    """
    generation = searcher.generation
    live = searcher.live.rows()
    joined = join(dataset.images, [generation.images[row] for row in live])
    has_record = joined.has_record
    columns = np.flatnonzero(has_record)
    rows, place = np.unique(live[joined.rows[columns]], return_inverse=True)
    scores = np.full((len(dataset.captions), len(dataset.images)), -np.inf, dtype=np.float32)
    found = searcher.score_matrix(dataset.captions, rows, mode)
    if mode != "lexical":
        found -= _usual(searcher, dataset.captions, mode)[:, None]
    scores[:, columns] = found[:, place]
    records: list[Record | None] = [None] * len(dataset.images)
    for column, row in zip(columns, rows[place], strict=True):
        records[column] = generation.record(int(row))
    in_index = np.where(has_record, live[joined.rows], -1)
    return Scored(scores, has_record, in_index, tuple(records), joined.notes)


def _usual(searcher: Searcher, captions: Sequence[str], mode: Mode) -> NDArray[np.float32]:
    """Return what each caption scores with the bank's records, in the units of its scores."""
    distinct = list(dict.fromkeys(captions))
    place = {text: n for n, text in enumerate(distinct)}
    bank = resources.find(_BANK).read_text(encoding="utf-8").splitlines()
    cosines = searcher.embedder.encode_queries(distinct) @ searcher.embedder.encode(bank).T
    dense = usual(np.asarray(cosines, np.float32))
    nothing = np.zeros_like(dense)
    meaning = searcher.generation.scale.weighted(mode, Parts(dense, *[nothing] * 3)).meaning
    return meaning[[place[text] for text in captions]].astype(np.float32)
