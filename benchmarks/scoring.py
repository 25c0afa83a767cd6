"""Ways of scoring, compared on the validation split of RSICD (never on a test split).

    python benchmarks/scoring.py [../shared/data]

The folder holds rsicd/rsrt_val.jsonl and rsicd/dataset_rsicd_trainval.json.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from common import report

from trsllava.embedding import load_embedder
from trsllava.evaluation.archive import score_archive
from trsllava.evaluation.datasets import read_dataset
from trsllava.evaluation.evaluate import evaluate
from trsllava.evaluation.paper_scoring import paper_scores
from trsllava.index.build import build_index
from trsllava.index.scoring import Parts
from trsllava.search.archive import open_archive
from trsllava.store.importing import import_files
from trsllava.store.store import create_store

DATA = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data")
if not DATA.exists():
    print(f"{DATA} is not there: nothing to measure on", file=sys.stderr)
    sys.exit(0)

dataset = read_dataset("rsicd", DATA / "rsicd/dataset_rsicd_trainval.json", "val")
captions, own = list(dataset.captions), list(dict.fromkeys(dataset.captions))
with tempfile.TemporaryDirectory() as name:
    store = create_store(Path(name) / "store")
    import_files(store, [DATA / "rsicd/rsrt_val.jsonl"])
    encoder = load_embedder()
    build_index(store, encoder)
    searcher = open_archive(store.root).searchers[0]
    generation, scale = searcher.generation, searcher.generation.scale
    order = [generation.images.index(image) for image in dataset.images]
    place = [own.index(text) for text in captions]
    vectors = encoder.encode(own)
    rows = np.arange(len(generation.images))
    texts = np.concatenate([block.vectors for block in generation.vectors.blocks(rows)])
    starts = np.cumsum([0, *generation.places[:-1, 3]])
    bm25, share = generation.words.matrices(own)
    parts = Parts(generation.vectors.scores(vectors, rows), bm25, share, np.zeros_like(bm25))
    scored = score_archive(searcher, dataset, "hybrid")
    best = np.maximum.reduceat(vectors @ texts.T, starts, axis=1)

    def z(part):
        return (part - part.mean(1, keepdims=True)) / (part.std(1, keepdims=True) + 1e-9)

    def show(row, matrix):
        """Print the recalls of a matrix of distinct captions x indexed images."""
        full = matrix[np.ix_(place, order)].astype(np.float32)
        figures = evaluate(dataset, full, scored.has_record, row).to_json()
        report(
            row=row,
            mr=figures["mr"],
            ci95=figures["ci95"]["mr"],
            i2t=figures["i2t"],
            t2i=figures["t2i"],
            merged_mr=figures["merged_duplicates"]["mr"],
        )

    one_scale = parts.dense / scale.dense_unit, bm25 / scale.words_unit
    paper = paper_scores(own, scored.records, encoder)
    show("paper: joined fields, maximum over five", paper[:, np.argsort(order)])
    show("maximum over fifteen texts", best)
    show("log-mean-exp over fifteen texts (dense)", parts.dense)
    show("words (lexical)", scale.raw("lexical", parts)[:, :])
    show("dense + 0.3 BM25, z-scored per query", z(parts.dense) + 0.3 * z(bm25))
    show("0.8 dense + 0.2 BM25 on one scale", 0.8 * one_scale[0] + 0.2 * one_scale[1])
    started = time.perf_counter()
    show("default (hybrid): with the share of the query's words", scale.raw("hybrid", parts))
    report(scoring="measures of one matrix", seconds=time.perf_counter() - started)
