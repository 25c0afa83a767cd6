"""The same evaluation as files that other tools read: TREC qrels and runs, and BEIR's layout.

A run holds each query's 100 best, ties in an order drawn at random: a figure that trec_eval takes
from it is one draw of what the report's headline is the mean of. Use trec_eval's ``-c``, so that a
query without any line in the run counts as a miss.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trsllava.evaluation.datasets import Dataset
from trsllava.evaluation.judgements import Judgements
from trsllava.interchange.trec import write_beir, write_qrels, write_run
from trsllava.records import Record

FILES = ("qrels.txt", "run.txt", "i2t-qrels.txt", "i2t-run.txt", "beir/")
_TAG = "trsllava"


def write_exports(
    folder: Path,
    dataset: Dataset,
    scores: NDArray[np.float32],
    records: Sequence[Record | None],
    judged: Judgements,
) -> None:
    """Write text-to-image as ``qrels.txt``, ``run.txt`` and ``beir/``, the other way as ``i2t-*``.

    Parameters
    ----------
    folder
        Where to.
    dataset
        The split.
    scores
        Of shape (captions, images).
    records
        One for each image, None where there is none; BEIR's documents are their texts.
    judged
        What counts as relevant, captions to images.
    """
    if any(record is None for record in records):
        has_record = np.array([record is not None for record in records])
        scores = np.where(has_record, scores, np.float32(-np.inf))
    pairs = [
        (dataset.caption_ids[caption], dataset.images[image])
        for caption, image in zip(judged.query.tolist(), judged.item.tolist(), strict=True)
    ]
    turned = [(image, caption) for caption, image in pairs]
    write_qrels(folder / "qrels.txt", pairs)
    write_run(folder / "run.txt", scores, dataset.caption_ids, dataset.images, _TAG)
    write_qrels(folder / "i2t-qrels.txt", turned)
    write_run(folder / "i2t-run.txt", scores.T, dataset.images, dataset.caption_ids, _TAG)
    corpus = (
        (image, " ".join(text.text for text in record.texts()) if record else "")
        for image, record in zip(dataset.images, records, strict=True)
    )
    queries = zip(dataset.caption_ids, dataset.captions, strict=True)
    write_beir(folder / "beir", corpus, queries, pairs, dataset.split)
