"""Ways of scoring, compared on the validation split of RSICD (never on a test split).

    python benchmarks/scoring.py [../shared/data] [ENCODER]

The folder holds rsicd/rsrt_val.jsonl, rsicd/dataset_rsicd_trainval.json and rsicd/images. Each row
gives mR for all images, and for the halves to choose on and to report (`halves.py`).
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from common import report
from halves import halves

from trsllava.embedding import load_embedder
from trsllava.embedding.pictures import load_eye
from trsllava.evaluation.archive import score_archive, usual_scores
from trsllava.evaluation.datasets import read_dataset
from trsllava.evaluation.evaluate import evaluate
from trsllava.evaluation.paper_scoring import one_description, paper_scores, variants_joined
from trsllava.index.banks import bank
from trsllava.index.build import build_index
from trsllava.index.scoring import Parts, usual
from trsllava.search.archive import open_archive
from trsllava.store.importing import import_files
from trsllava.store.store import create_store

DATA = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data")
ENCODER = sys.argv[2] if len(sys.argv) > 2 else "minilm"
if not DATA.exists():
    print(f"{DATA} is not there: nothing to measure on", file=sys.stderr)
    sys.exit(0)

dataset = read_dataset("rsicd", DATA / "rsicd/dataset_rsicd_trainval.json", "val")
own = list(dict.fromkeys(dataset.captions))
place = [own.index(text) for text in dataset.captions]
with tempfile.TemporaryDirectory() as name:
    store = create_store(Path(name) / "store")
    import_files(store, [DATA / "rsicd/rsrt_val.jsonl"], images=DATA / "rsicd/images")
    encoder = load_embedder(ENCODER)
    build_index(store, encoder, eye=load_eye())
    searcher = open_archive(store.root).searchers[0]
    generation, scale = searcher.generation, searcher.generation.scale
    order = [generation.images.index(image) for image in dataset.images]
    rows = np.arange(len(generation.images))
    vectors = encoder.encode_queries(own)
    bm25, share = generation.words.matrices(own)
    dense = generation.vectors.scores(vectors, rows)
    picture = generation.pictures.scores(searcher.seer.encode_queries(own), rows)
    parts = Parts(dense, bm25, share, picture)
    records = score_archive(searcher, dataset, "lexical").records
    has_record = np.ones(len(dataset.images), bool)
    cosines = vectors @ np.concatenate([b.vectors for b in generation.vectors.blocks(rows)]).T
    best = np.maximum.reduceat(cosines, np.cumsum([0, *generation.places[:-1, 3]]), axis=1)
    fits_all = usual_scores(searcher, own, rows)[:, None]
    fits_any = usual(
        generation.vectors.scores(encoder.encode_queries(bank("query_bank.txt")), rows).T
    )

    def z(part):
        return (part - part.mean(1, keepdims=True)) / (part.std(1, keepdims=True) + 1e-9)

    def show(row, matrix):
        """Print the recalls of a matrix of distinct captions x indexed images."""
        show_full(row, matrix[np.ix_(place, order)])

    def show_full(row, scores):
        scores = np.asarray(scores, np.float32)
        figures = evaluate(dataset, scores, has_record, row).to_json()
        report(
            encoder=ENCODER,
            row=row,
            mr=figures["mr"],
            ci95=figures["ci95"]["mr"],
            **halves(dataset, scores),
            i2t=figures["i2t"],
            t2i=figures["t2i"],
            merged_mr=figures["merged_duplicates"]["mr"],
        )

    def hybrid(meaning, said):
        words = bm25 / scale.words_unit + 3 * share
        return (1 - said) * meaning / scale.dense_unit + said * words

    said = scale.weights.words
    for method, texts_of in (
        ("paper: joined fields, maximum over five", variants_joined),
        ("one description: caption of the first variant", one_description),
    ):
        show_full(method, paper_scores(dataset.captions, records, encoder, texts_of))
    show("maximum over fifteen texts", best)
    show("log-mean-exp over fifteen texts", dense)
    show("words (lexical)", scale.raw("lexical", parts))
    show("dense + 0.3 BM25, z-scored per query", z(dense) + 0.3 * z(bm25))
    one_scale = dense / scale.dense_unit, bm25 / scale.words_unit
    show("0.8 dense + 0.2 BM25 on one scale", 0.8 * one_scale[0] + 0.2 * one_scale[1])
    show("hybrid, nothing taken off", scale.raw("hybrid", parts))
    for part in (0.5, 1.0):
        meaning = dense - fits_all - part * fits_any
        show(f"default, {part} of what is usual for the image off", hybrid(meaning, said))
    for weight in (0.0, 0.03, 0.06, 0.1, 0.15, 0.2):
        show(f"usual of the caption off, words {weight}", hybrid(dense - fits_all, weight))
    show("default (hybrid)", hybrid(dense - fits_all, said))
    for weight in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 1.0):
        joined = (1 - weight) * hybrid(dense - fits_all, said)
        show(f"fused, picture {weight}", joined + weight * picture / scale.picture_unit)
