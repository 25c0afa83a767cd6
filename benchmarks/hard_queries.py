"""Queries for counts, places, neighbours, absences, colours and rare things, kind by kind.

    python benchmarks/hard_queries.py [RECORDS_OR_STORE] [--half choose|report] [--mode MODE]

The queries are datasets/hard_queries.jsonl, over the 1,094 validation images of RSICD. Choose with
one half and report the other. Records (../shared/data/rsicd/rsrt_val.jsonl if nothing is given) are
indexed anew, a store's index is used as it is. Judged images without a record count as misses.
"""

import argparse
import json
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import numpy as np
from common import report

from trsllava.embedding import load_embedder
from trsllava.evaluation.bootstrap import intervals
from trsllava.evaluation.gain import ndcg
from trsllava.evaluation.judgements import Judgements
from trsllava.evaluation.measures import places
from trsllava.evaluation.result import KEYS, MEASURES
from trsllava.index.build import build_index
from trsllava.index.scoring import MODES
from trsllava.resources import find
from trsllava.search.archive import open_archive
from trsllava.store.importing import import_files
from trsllava.store.store import create_store

RECORDS = Path("../shared/data/rsicd/rsrt_val.jsonl")


@contextmanager
def searcher_of(path):
    """Open a store, or index records in a store that is thrown away."""
    if path.is_dir():
        yield open_archive(path).searchers[0]
        return
    with tempfile.TemporaryDirectory() as folder:
        store = create_store(Path(folder) / "store")
        import_files(store, [path])
        build_index(store, load_embedder())
        yield open_archive(store.root).searchers[0]


def score(searcher, queries, mode):
    """Return the scores (queries, images), what is relevant, and how many judged have no record."""
    live = searcher.live.rows()
    names = [PurePosixPath(searcher.generation.images[row]).name for row in live]
    lacking = sorted({name for query in queries for name in query["relevant"]} - set(names))
    place = {name: column for column, name in enumerate(names + lacking)}
    scores = np.full((len(queries), len(place)), -np.inf, np.float32)
    scores[:, : len(live)] = searcher.score_matrix([q["query"] for q in queries], live, mode)
    pairs = [(row, place[name]) for row, q in enumerate(queries) for name in q["relevant"]]
    return scores, Judgements.of(*scores.shape, *zip(*pairs, strict=True)), len(lacking)


def show(kind, queries, values, **more):
    """Print the figures of some queries, in percent, with intervals over queries."""
    order = np.arange(queries)
    bounds, _ = intervals({name: (value, order) for name, value in values.items()}, queries)
    figures = {name: round(100 * float(value.mean()), 1) for name, value in values.items()}
    ci95 = {name: [round(100 * bound, 1) for bound in pair] for name, pair in bounds.items()}
    report(kind=kind, queries=queries, **figures, ci95=ci95, **more)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", nargs="?", type=Path, default=RECORDS, metavar="RECORDS_OR_STORE")
    parser.add_argument("--half", choices=("choose", "report"), default="report")
    parser.add_argument("--mode", choices=MODES, default="hybrid")
    asked = parser.parse_args()
    if not asked.path.exists():
        print(f"{asked.path} is not there: nothing to measure on", file=sys.stderr)
        return
    lines = find("datasets/hard_queries.jsonl").read_text(encoding="utf-8").splitlines()
    queries = [query for query in map(json.loads, lines) if query["half"] == asked.half]
    with searcher_of(asked.path) as searcher:
        scores, judged, lacking = score(searcher, queries, asked.mode)
    found = places(scores, judged)
    values = {key: m.expected(found) for key, m in zip(KEYS, MEASURES, strict=True)}
    values["ndcg10"] = ndcg(scores, judged)
    kinds = np.array([query["kind"] for query in queries])
    for kind in dict.fromkeys(kinds):
        show(kind, int((kinds == kind).sum()), {k: v[kinds == kind] for k, v in values.items()})
    show("all", len(queries), values, half=asked.half, mode=asked.mode, without_record=lacking)


if __name__ == "__main__":
    main()
