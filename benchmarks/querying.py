"""A query of 10,000 records (150,000 texts): the whole cold command, and one in a warm process.

The vectors are random: what is measured is the query, not the encoding of the archive.
"""

import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
from common import report, run, trsllava, write_records

from trsllava.embedding import load_embedder
from trsllava.index.banks import bank
from trsllava.index.build import build_index
from trsllava.search.archive import open_archive
from trsllava.search.query import Query
from trsllava.store.importing import import_files
from trsllava.store.store import create_store

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000


class RandomDocuments:
    """The bundled encoder for queries, random unit vectors for documents."""

    def __init__(self):
        self._encoder = load_embedder("minilm")
        self.dimension = self._encoder.dimension
        self._random = np.random.default_rng(1)

    def identity(self):
        return self._encoder.identity()

    def encode(self, texts):
        vectors = self._random.standard_normal((len(texts), self.dimension), dtype=np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def encode_queries(self, texts):
        return self._encoder.encode_queries(texts)

    def too_long(self, texts):
        return []


with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    write_records(folder / "records.jsonl", COUNT)
    store = create_store(folder / "store")
    import_files(store, [folder / "records.jsonl"])
    build_index(store, RandomDocuments())
    command = trsllava("query", "two white ships at a long pier", "--store", str(folder / "store"))
    run(command)
    runs = [run(command) for _ in range(7)]
    bare = [run([sys.executable, "-c", "pass"]) for _ in range(7)]
    seconds = statistics.median(r.seconds for r in runs)
    archive = open_archive(store.root)
    warm = [archive.answer(Query(text)).elapsed_ms for text in bank("query_bank.txt")][5:]
    report(
        benchmark="querying",
        records=COUNT,
        seconds=seconds,
        warm_p50_ms=statistics.median(warm),
        warm_p95_ms=float(np.percentile(warm, 95)),
        ratio_to_bare_python=seconds / statistics.median(r.seconds for r in bare),
        peak_mb=max(r.peak for r in runs) / 1e6,
    )
