"""Scoring and measuring 5,470 captions x 1,094 images x 15 texts, beyond encoding.

The vectors are random and made at once. Set against numpy alone: one matrix product, the maximum
over each image's texts, one sort in each direction.
"""

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from common import WORDS, report, write_records

from trsllava.evaluation.archive import score_archive
from trsllava.evaluation.datasets import Dataset
from trsllava.evaluation.evaluate import evaluate
from trsllava.index.build import build_index
from trsllava.index.generation import open_generation
from trsllava.search.archive import open_searcher
from trsllava.store.importing import import_files
from trsllava.store.store import create_store

IMAGES, CAPTIONS, TEXTS, DIMENSION = 1_094, 5, 15, 384


class Random:
    """An encoder that takes no time."""

    dimension = DIMENSION

    def identity(self):
        return {"name": "random"}

    def encode(self, texts):
        vectors = np.random.default_rng(1).standard_normal((len(texts), DIMENSION), np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    encode_queries = encode

    def too_long(self, texts):
        return []


def seconds(function):
    """Return the median of five runs."""
    times = []
    for _ in range(5):
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    write_records(folder / "records.jsonl", IMAGES)
    store = create_store(folder / "store")
    import_files(store, [folder / "records.jsonl"])
    encoder = Random()
    build_index(store, encoder)
    searcher = open_searcher(store.view(), open_generation(store.layout, "imported"), encoder)
    draw = np.random.default_rng(2)
    owner = np.repeat(np.arange(IMAGES), CAPTIONS)
    dataset = Dataset(
        name="random",
        split="test",
        images=searcher.generation.images,
        captions=tuple(" ".join(draw.choice(WORDS, 10)) for _ in owner),
        owner=owner,
        caption_ids=tuple(map(str, range(len(owner)))),
        classes=(None,) * IMAGES,
    )
    queries = encoder.encode(dataset.captions)
    documents = encoder.encode(["x"] * IMAGES * TEXTS)

    def ours():
        scored = score_archive(searcher, dataset, "hybrid")
        evaluate(dataset, scored.scores, scored.has_record, "random")

    def bare():
        scores = (queries @ documents.T).reshape(len(owner), IMAGES, TEXTS).max(axis=2)
        np.argsort(-scores, axis=1), np.argsort(-scores.T, axis=1)

    mine, alone = seconds(ours), seconds(bare)
    report(benchmark="evaluating", seconds=mine, numpy_alone_seconds=alone, ratio=mine / alone)
