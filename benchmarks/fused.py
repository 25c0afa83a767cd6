"""The weight of the picture in a fused score, on RSICD's validation split (never a test split).

    python benchmarks/fused.py [../shared/data]

The folder holds rsicd/rsrt_val.jsonl, rsicd/dataset_rsicd_trainval.json and rsicd/images. The
weight that ships is ``PICTURE_WEIGHT`` in trsllava/index/scoring.py.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from common import report

from trsllava.embedding import load_embedder
from trsllava.embedding.pictures import load_eye
from trsllava.evaluation.archive import score_archive
from trsllava.evaluation.datasets import read_dataset
from trsllava.evaluation.evaluate import evaluate
from trsllava.index.build import build_index
from trsllava.index.scoring import PICTURE_WEIGHT, Parts
from trsllava.search.archive import open_archive
from trsllava.store.importing import import_files
from trsllava.store.store import create_store

DATA = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data")
if not DATA.exists():
    print(f"{DATA} is not there: nothing to measure on", file=sys.stderr)
    sys.exit(0)

dataset = read_dataset("rsicd", DATA / "rsicd/dataset_rsicd_trainval.json", "val")
own = list(dict.fromkeys(dataset.captions))
place = [own.index(text) for text in dataset.captions]
with tempfile.TemporaryDirectory() as name:
    store = create_store(Path(name) / "store")
    import_files(store, [DATA / "rsicd/rsrt_val.jsonl"], images=DATA / "rsicd/images")
    encoder = load_embedder()
    manifest = build_index(store, encoder, eye=load_eye())
    searcher = open_archive(store.root).searchers[0]
    generation, scale = searcher.generation, searcher.generation.scale
    order = [generation.images.index(image) for image in dataset.images]
    rows = np.arange(len(generation.images))
    vectors = encoder.encode_queries(own)
    bm25, share = generation.words.matrices(own)
    picture = generation.pictures.scores(vectors, rows)
    parts = Parts(generation.vectors.scores(vectors, rows), bm25, share, picture)
    has_record = score_archive(searcher, dataset, "lexical").has_record
    for weight in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0):
        matrix = sum(scale.weighted("fused", parts, weight))[np.ix_(place, order)]
        figures = evaluate(dataset, matrix.astype(np.float32), has_record, "fused").to_json()
        report(
            picture_weight=weight,
            ships=weight == PICTURE_WEIGHT,
            pictures=manifest.pictures.images,
            mr=figures["mr"],
            ci95=figures["ci95"]["mr"],
            i2t=figures["i2t"],
            t2i=figures["t2i"],
            merged_mr=figures["merged_duplicates"]["mr"],
        )
