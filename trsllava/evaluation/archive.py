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

from trsllava.evaluation.datasets import Dataset
from trsllava.evaluation.joining import join
from trsllava.index.banks import bank
from trsllava.index.generation import TEXTS
from trsllava.index.scoring import Mode, Parts, usual
from trsllava.records import Record
from trsllava.search.searcher import Searcher

_BANK = "record_bank.txt"


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
        nothing = np.zeros(len(dataset.captions), np.float32)
        parts = Parts(usual_scores(searcher, dataset.captions, rows), nothing, nothing, nothing)
        found -= searcher.generation.scale.raw(mode, parts)[:, None].astype(np.float32)
    scores[:, columns] = found[:, place]
    records: list[Record | None] = [None] * len(dataset.images)
    for column, row in zip(columns, rows[place], strict=True):
        records[column] = generation.record(int(row))
    in_index = np.where(has_record, live[joined.rows], -1)
    return Scored(scores, has_record, in_index, tuple(records), joined.notes)


def usual_scores(
    searcher: Searcher, captions: Sequence[str], rows: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return what is taken off each caption's dense part, float32 (captions,).

    It is what meaning gives the caption with the bank of records, less where the images' own
    records (``rows`` of the index) hold few texts: one text alone is near little by chance.
    """
    distinct = list(dict.fromkeys(captions))
    place = {text: n for n, text in enumerate(distinct)}
    encoder = searcher.embedder
    cosines = encoder.encode_queries(distinct) @ encoder.encode(bank(_BANK)).T
    found = usual(np.asarray(cosines, np.float32))[[place[text] for text in captions]]
    return found * np.float32(1 - 1 / searcher.generation.places[rows, TEXTS].mean())
