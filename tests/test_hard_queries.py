"""The hard queries: their form, their halves, and what measures them."""

import json
import sys
import tomllib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from trsllava.embedding import load_embedder
from trsllava.errors import InputError
from trsllava.evaluation.datasets import read_dataset
from trsllava.evaluation.gain import ndcg
from trsllava.evaluation.judgements import Judgements
from trsllava.index.build import build_index
from trsllava.resources import find
from trsllava.store.importing import import_files
from trsllava.store.store import create_store

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))
import hard_queries

RSICD = Path(__file__).resolve().parents[2] / "shared" / "data" / "rsicd"
CARD = tomllib.loads(find("datasets/hard_queries.toml").read_text(encoding="utf-8"))
LINES = find("datasets/hard_queries.jsonl").read_text(encoding="utf-8").splitlines()
QUERIES = [json.loads(line) for line in LINES]
FORM = ["id", "kind", "half", "query", "relevant", "judged"]
needs_rsicd = pytest.mark.skipif(not RSICD.is_dir(), reason="needs ../shared/data/rsicd")


def test_every_line_has_the_form_that_the_card_states():
    for query in QUERIES:
        assert list(query) in (FORM, [*FORM, "note"]), query["id"]
        assert query["kind"] in CARD["kinds"]
        assert query["half"] in ("choose", "report")
        assert query["judged"] in ("picture", "records")
        assert query["query"] == query["query"].strip() != ""
        assert query["relevant"] == sorted(set(query["relevant"]))
        assert 1 <= len(query["relevant"]) <= 15
    assert len(QUERIES) == CARD["queries"]


def test_no_id_and_no_query_occurs_twice():
    assert len({query["id"] for query in QUERIES}) == len(QUERIES)
    assert len({query["query"].lower() for query in QUERIES}) == len(QUERIES)


def test_each_kind_is_halved_and_has_enough_queries():
    counts = Counter((query["kind"], query["half"]) for query in QUERIES)
    for kind in CARD["kinds"]:
        assert counts[kind, "choose"] >= 15
        assert abs(counts[kind, "choose"] - counts[kind, "report"]) <= 1


def test_no_image_is_relevant_in_both_halves():
    choose, report = (
        {name for query in QUERIES if query["half"] == half for name in query["relevant"]}
        for half in ("choose", "report")
    )
    assert not choose & report


@needs_rsicd
def test_relevant_images_are_of_the_validation_split_and_no_query_is_a_human_caption():
    path = RSICD / "dataset_rsicd_trainval.json"
    val, train = (read_dataset("rsicd", path, split) for split in ("val", "train"))
    assert {name for query in QUERIES for name in query["relevant"]} <= set(val.images)
    captions = {plain(text) for text in (*val.captions, *train.captions)}
    assert not captions & {plain(query["query"]) for query in QUERIES}


def plain(text):
    return " ".join("".join(c if c.isalnum() else " " for c in text.lower()).split())


def test_gain_is_as_worked_out_by_hand_with_level_items_sharing_their_ranks():
    judged = Judgements.of(4, 4, [0, 0, 1, 2], [0, 2, 1, 3])
    scores = np.array([[4, 3, 2, 1], [1, 1, 0, 0], [3, 2, 1, -np.inf], [4, 3, 2, 1]], np.float32)
    second, third = 1 / np.log2(3), 1 / np.log2(4)
    # Ranks 1 and 3 of an ideal 1 and 2; level with one other; without a record; nothing relevant.
    wanted = [(1 + third) / (1 + second), (1 + second) / 2, 0, 0]
    assert ndcg(scores, judged) == pytest.approx(wanted)
    assert ndcg(scores, judged, k=1) == pytest.approx([1, 0.5, 0, 0])
    with pytest.raises(InputError, match="shape"):
        ndcg(scores[:, :3], judged)
    with pytest.raises(InputError, match="NaN"):
        ndcg(np.full((4, 4), np.nan, np.float32), judged)


@pytest.mark.parametrize("seed", range(5))
def test_gain_agrees_with_trec_eval_where_nothing_is_level(seed):
    pytrec_eval = pytest.importorskip("pytrec_eval")
    draw = np.random.default_rng(seed)
    scores = draw.permuted(np.tile(np.arange(30, dtype=np.float32), (6, 1)), axis=1)
    pairs = [(q, int(i)) for q in range(6) for i in draw.choice(30, q + 1, replace=False)]
    judged = Judgements.of(6, 30, *zip(*pairs, strict=True))
    qrels = {str(q): {str(i): 1 for p, i in pairs if p == q} for q in range(6)}
    run = {str(q): {str(i): float(s) for i, s in enumerate(row)} for q, row in enumerate(scores)}
    theirs = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut_10"}).evaluate(run)
    assert ndcg(scores, judged) == pytest.approx(
        [theirs[str(q)]["ndcg_cut_10"] for q in range(6)], abs=1e-6
    )


def test_the_script_counts_judged_images_without_a_record_as_misses(tmp_path, capsys, monkeypatch):
    known = next(q for q in QUERIES if q["half"] == "choose" and len(q["relevant"]) == 1)
    texts = {known["relevant"][0]: known["query"], "elsewhere.jpg": "nothing of the kind"}
    lines = [json.dumps({"image": f"in/{name}", "caption": text}) for name, text in texts.items()]
    records = tmp_path / "records.jsonl"
    records.write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["hard_queries.py", str(records), "--half", "choose"])
    hard_queries.main()
    *kinds, total = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    judged = {name for q in QUERIES if q["half"] == "choose" for name in q["relevant"]}
    assert [row["kind"] for row in kinds] == CARD["kinds"]
    assert sum(row["queries"] for row in kinds) == total["queries"]
    assert total["without_record"] == len(judged) - 1
    assert 0 < total["r1"] < 5


def test_the_script_reads_a_store_that_is_there(tmp_path):
    records = tmp_path / "records.jsonl"
    records.write_text(json.dumps({"image": "a.jpg", "caption": "two ships"}), encoding="utf-8")
    store = create_store(tmp_path / "store")
    import_files(store, [records])
    build_index(store, load_embedder())
    with hard_queries.searcher_of(store.root) as searcher:
        query = {"query": "ships", "relevant": ["a.jpg"]}
        scores, judged, lacking = hard_queries.score(searcher, [query], "lexical")
    assert (scores.shape, judged.item.tolist(), lacking) == ((1, 1), [0], 0)
