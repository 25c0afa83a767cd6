"""The paper's scoring, TREC and BEIR files, and the report, read back by other tools."""

import itertools
import json
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trsllava.errors import InputError
from trsllava.evaluation.datasets import Dataset
from trsllava.evaluation.evaluate import evaluate
from trsllava.evaluation.exports import write_exports
from trsllava.evaluation.judgements import Judgements, by_image
from trsllava.evaluation.paper_scoring import joined, one_description, paper_scores
from trsllava.evaluation.report import write_report
from trsllava.interchange.trec import escape, read_qrels, unescape, write_run
from trsllava.records import Record, Variant

IMAGES = 30


def made(seed, levels=None, images=IMAGES, captions=90):
    """Return a split and a matrix; with ``levels`` its scores are few and so are tied."""
    rng = np.random.default_rng(seed)
    owner = np.concatenate([np.arange(images), rng.integers(0, images, captions - images)])
    data = Dataset(
        name="own",
        split="test",
        images=tuple(f"folder {n % 3}/im%{n}.jpg" for n in range(images)),
        captions=tuple(f"caption {n}" for n in range(captions)),
        owner=owner,
        caption_ids=tuple(str(n) for n in range(captions)),
        classes=(None,) * images,
    )
    scores = rng.random((captions, images), np.float32)
    if levels:
        scores = np.floor(scores * levels).astype(np.float32) / levels
    return data, scores


def some_records(data):
    return [Record(image, (Variant(caption=f"text of {image}"),)) for image in data.images]


def trec_eval(qrels, run):
    ir_measures = pytest.importorskip("ir_measures")
    wanted = [ir_measures.Success @ k for k in (1, 5, 10)]
    got = ir_measures.pytrec_eval.calc_aggregate(
        wanted,
        list(ir_measures.read_trec_qrels(str(qrels))),
        list(ir_measures.read_trec_run(str(run))),
    )
    return [100 * got[measure] for measure in wanted]


def test_trec_eval_finds_our_recalls_in_both_directions(tmp_path):
    data, scores = made(1)
    write_exports(tmp_path, data, scores, some_records(data), by_image(data))
    result = evaluate(data, scores, np.ones(IMAGES, bool), "m")
    assert trec_eval(tmp_path / "qrels.txt", tmp_path / "run.txt") == pytest.approx(
        result.expected.t2i
    )
    assert trec_eval(tmp_path / "i2t-qrels.txt", tmp_path / "i2t-run.txt") == pytest.approx(
        result.expected.i2t
    )


# Each query sees so many images above the right ones, so many level with these, and so many are
# right: what one hits at 1, 5 and 10 over all orders of its ties, worked out by hand.
BY_HAND = [
    ((0, 2, 1), (1 / 2, 1, 1)),  # first or second
    ((4, 3, 1), (0, 1 / 3, 1)),  # one of three takes the fifth place
    ((4, 3, 2), (0, 2 / 3, 1)),  # the same, two of them right
    ((8, 4, 1), (0, 0, 1 / 2)),  # two of four take the last two places
    ((11, 1, 1), (0, 0, 0)),  # last of twelve
]


def test_recalls_with_ties_are_those_by_hand_and_those_of_two_other_tools_over_all_orders():
    ir_measures = pytest.importorskip("ir_measures")
    pytrec_eval = pytest.importorskip("pytrec_eval")
    scores = np.array([[3] * a + [2] * n + [1] * (12 - a - n) for (a, n, _), _ in BY_HAND])
    pairs = [(q, a + n) for q, ((a, _, right), _) in enumerate(BY_HAND) for n in range(right)]
    data = Dataset(
        name="own",
        split="test",
        images=tuple(f"{n}.jpg" for n in range(12)),
        captions=tuple("vwxyz"),
        owner=np.array([0, 4, 4, 8, 11]),
        caption_ids=tuple("01234"),
        classes=(None,) * 12,
    )
    judged = Judgements.of(5, 12, *zip(*pairs, strict=True))
    result = evaluate(data, scores.astype(np.float32), np.ones(12, bool), "m", judged=judged)
    assert result.expected.t2i == pytest.approx((10, 40, 70))
    assert result.optimistic.t2i == pytest.approx((20, 60, 80))
    assert result.pessimistic.t2i == pytest.approx((0, 20, 60))

    run, qrels = {}, {}
    for query, ((above, level, right), _) in enumerate(BY_HAND):
        tied = range(above, above + level)
        for number, order in enumerate(itertools.permutations(tied)):
            ranked = [*range(above), *order, *range(above + level, 12)]
            run[f"{query}.{number}"] = {f"d{d}": 12.0 - at for at, d in enumerate(ranked)}
            qrels[f"{query}.{number}"] = {f"d{d}": 1 for d in tied[:right]}
    theirs = pytrec_eval.RelevanceEvaluator(qrels, {"success_1,5,10"}).evaluate(run)
    # Another program: something right is among the first K where its reciprocal rank is not 0.
    wanted = [ir_measures.RR @ k for k in (1, 5, 10)]
    others = {
        (m.query_id, m.measure): m.value for m in ir_measures.msmarco.iter_calc(wanted, qrels, run)
    }
    for query, (_, by_hand) in enumerate(BY_HAND):
        orders = [name for name in run if name.startswith(f"{query}.")]
        for k, measure, hand in zip((1, 5, 10), wanted, by_hand, strict=True):
            assert np.mean([theirs[o][f"success_{k}"] for o in orders]) == pytest.approx(hand)
            assert np.mean([others[o, measure] > 0 for o in orders]) == pytest.approx(hand)


def test_judgements_of_ones_own_are_those_that_are_exported(tmp_path):
    data, scores = made(9)
    judged = Judgements.of(90, IMAGES, [4, 4, 7], [1, 2, 3])
    result = evaluate(data, scores, np.ones(IMAGES, bool), "m", judged=judged)
    write_report(tmp_path, data, scores, result, some_records(data))
    rows = [(row.query, unescape(row.item)) for row in read_qrels(tmp_path / "qrels.txt")]
    assert rows == [("4", data.images[1]), ("4", data.images[2]), ("7", data.images[3])]


def written(path):
    runs = {}
    for line in path.read_text().splitlines():
        query, _, item, rank, score, _ = line.split()
        runs.setdefault(query, []).append((int(rank), unescape(item), np.float32(score)))
    return runs


def test_with_ties_trec_eval_keeps_the_order_that_was_written(tmp_path):
    data, scores = made(2, levels=3)
    write_exports(tmp_path, data, scores, some_records(data), by_image(data))
    runs = written(tmp_path / "run.txt")
    hits = np.zeros(3)
    for caption, owner in zip(data.caption_ids, data.owner, strict=True):
        order = [item for _, item, _ in sorted(runs[caption])]
        hits += [data.images[owner] in order[:k] for k in (1, 5, 10)]
        values = [score for _, _, score in sorted(runs[caption])]
        assert all(a > b for a, b in itertools.pairwise(values))
    ours = 100 * hits / len(data.captions)
    assert trec_eval(tmp_path / "qrels.txt", tmp_path / "run.txt") == pytest.approx(ours)
    result = evaluate(data, scores, np.ones(IMAGES, bool), "m")
    assert (ours >= np.array(result.pessimistic.t2i) - 1e-9).all()
    assert (ours <= np.array(result.optimistic.t2i) + 1e-9).all()


def test_the_written_order_of_ties_favours_neither_position_nor_name(tmp_path):
    same = np.zeros((400, 4), np.float32)
    write_run(tmp_path / "run", same, [str(n) for n in range(400)], list("abcd"), "t")
    first = [min(lines)[1] for lines in written(tmp_path / "run").values()]
    assert all(60 < first.count(item) < 140 for item in "abcd")


def test_scores_strictly_decrease_where_they_were_equal_zero_or_negative(tmp_path):
    scores = np.array([[0, 0, -1, -1, 1e-45, -np.inf]], np.float32)
    write_run(tmp_path / "run", scores, ["q"], list("abcdef"), "t")
    lines = sorted(written(tmp_path / "run")["q"])
    assert lines[0][1] == "e"
    assert {item for _, item, _ in lines} == set("abcde")
    values = [score for _, _, score in lines]
    assert all(a > b for a, b in itertools.pairwise(values))


def test_an_image_without_record_is_not_in_the_run_and_its_caption_is_a_miss(tmp_path):
    data, scores = made(4)
    scores[np.arange(90), data.owner] = 2  # all first
    records = some_records(data)
    records[0] = None
    write_exports(tmp_path, data, scores, records, by_image(data))
    runs = written(tmp_path / "run.txt")
    assert data.images[0] not in {item for lines in runs.values() for _, item, _ in lines}
    result = evaluate(data, scores, np.arange(IMAGES) > 0, "m")
    assert result.expected.t2i.r1 < 100
    assert trec_eval(tmp_path / "qrels.txt", tmp_path / "run.txt") == pytest.approx(
        result.expected.t2i
    )


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_any_id_becomes_one_field_and_comes_back(identity):
    assert len(escape(identity).split()) == 1
    assert unescape(escape(identity)) == identity


def test_qrels_read_back_in_both_usual_forms_and_bad_lines_are_named(tmp_path):
    data, scores = made(5)
    write_exports(tmp_path, data, scores, some_records(data), by_image(data))
    trec = [(row.query, row.item) for row in read_qrels(tmp_path / "qrels.txt")]
    beir = [(row.query, row.item) for row in read_qrels(tmp_path / "beir/qrels/test.tsv")]
    assert trec == beir
    assert unescape(trec[0][1]) == data.images[0]
    bad = tmp_path / "bad"
    bad.write_text("1 0 a 1\n1 a\n")
    with pytest.raises(InputError, match=r"bad, line 2"):
        list(read_qrels(bad))
    bad.write_text("1 0 %FF 1\n")
    with pytest.raises(InputError, match=r"bad, line 1"):
        list(read_qrels(bad))


def test_beir_documents_are_the_texts_of_the_records(tmp_path):
    data, scores = made(6)
    write_exports(tmp_path, data, scores, some_records(data), by_image(data))
    corpus = [
        json.loads(line) for line in (tmp_path / "beir/corpus.jsonl").read_text().splitlines()
    ]
    queries = [
        json.loads(line) for line in (tmp_path / "beir/queries.jsonl").read_text().splitlines()
    ]
    assert corpus[0] == {
        "_id": escape(data.images[0]),
        "title": "",
        "text": f"text of {data.images[0]}",
    }
    assert queries[7] == {"_id": "7", "text": "caption 7"}


class Letters:
    """An encoder whose vectors count letters, so that cosines can be worked out by hand."""

    def __init__(self):
        self.seen = []

    def encode(self, texts):
        self.seen += texts
        counts = np.array([[t.count(c) for c in "abcd"] for t in texts], np.float32)
        return counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1)

    encode_queries = encode


def test_the_paper_joins_the_fields_and_a_thin_record_has_only_the_lines_that_are_there():
    full = Variant("one", "two", "three")
    assert joined(full) == "ONE_SENTENCE: one\nFEATURE: two\nCAPTION: three"
    assert joined(Variant(caption="three")) == "CAPTION: three"


def test_the_paper_takes_the_best_variant():
    records = [
        Record("x", (Variant(caption="aa"), Variant(caption="b"))),
        None,
        Record("y", (Variant(caption="ab"),)),
    ]
    scores = paper_scores(["a", "b"], records, Letters())
    assert scores[0] == pytest.approx([1, -np.inf, np.sqrt(0.5)])
    assert scores[1] == pytest.approx([1, -np.inf, np.sqrt(0.5)])


def test_one_description_is_the_caption_of_the_first_variant_or_what_there_is_of_it():
    full = (Variant("one", "two", "aa"), Variant("one", "two", "b"))
    records = [Record("x", full), Record("y", (Variant(one_sentence="b"),)), None]
    assert [one_description(record) for record in records if record] == [["aa"], ["b"]]
    scores = paper_scores(["a", "b"], records, Letters(), one_description)
    assert scores.tolist() == [[1, 0, -np.inf], [0, 1, -np.inf]]


def test_equal_texts_are_embedded_once_and_score_exactly_alike():
    rng = np.random.default_rng(0)
    encoder = Letters()
    words = ["".join(rng.choice(list("abcd"), 9)) for _ in range(40)]
    records = [Record(f"{n}", (Variant(caption=words[n % 7]),)) for n in range(33)]
    scores = paper_scores([*words, *words], records, encoder)
    assert len(encoder.seen) == len(set(words)) + 7
    assert (scores[:40] == scores[40:]).all()
    assert (scores[:, 0] == scores[:, 7]).all()


def test_no_record_at_all_scores_nothing():
    assert (paper_scores(["a"], [None, None], Letters()) == -np.inf).all()


EVIL = "</script><script>alert(1)</script> {{7*7}} \u202e"


@pytest.fixture
def evil():
    data, scores = made(7)
    data = Dataset(
        name="own",
        split="test",
        images=("<img src=x onerror=alert(1)>.jpg", *data.images[1:]),
        captions=tuple(f"{EVIL} {text}" for text in data.captions),
        owner=data.owner,
        caption_ids=data.caption_ids,
        classes=("<b>a</b>", "other", *data.classes[2:]),
    )
    records = [Record(image, (Variant(caption=EVIL),)) for image in data.images]
    row = evaluate(data, -scores, np.ones(IMAGES, bool), "<i>row</i>")
    result = evaluate(data, scores, np.ones(IMAGES, bool), "$x_{1}$ & <i>m</i>", rows=[row])
    return data, scores, result, records


def test_the_report_shows_text_as_text_and_needs_nothing_from_outside(tmp_path, evil):
    pytest.importorskip("matplotlib")
    page = write_report(tmp_path / "report", *evil)
    html = page.read_text()
    for tag in ("<script", "<img src=x", "<b>a</b>", "<i>", "\u202e", " 49 "):
        assert tag not in html
    assert "{{7*7}}" in html
    assert "http://" not in html
    assert "https://" not in html
    assert html.count("data:image/svg+xml;base64,") == 2
    result = evil[2]
    assert json.loads((tmp_path / "report/result.json").read_text()) == result.to_json()
    assert (tmp_path / "report/run.txt").exists()
    assert sorted(p.name for p in (tmp_path / "report/beir").iterdir()) == [
        "corpus.jsonl",
        "qrels",
        "queries.jsonl",
    ]
    assert write_report(tmp_path / "report", *evil).read_text() == html  # again, the same bytes


def test_the_file_for_mteb_has_its_form_and_its_mean_is_mr(tmp_path):
    data, scores = made(10)
    result = evaluate(data, scores, np.ones(IMAGES, bool), "m")
    write_report(tmp_path, data, scores, result, some_records(data), seconds=1.234)
    body = json.loads((tmp_path / "mteb.json").read_text())
    assert body["task_name"] == "ownCaptionRetrieval"
    assert (body["dataset_revision"], body["evaluation_time"]) == (result.revision, 1.23)
    (split,) = body["scores"].values()
    for one in split:
        assert isinstance(one["hf_subset"], str)
        assert isinstance(one["languages"], list)
    assert sum(one["main_score"] for one in split) / 2 == pytest.approx(result.mr / 100, abs=1e-6)
    assert split[1]["cv_recall_at_10"] == pytest.approx(result.expected.t2i.r10 / 100, abs=1e-6)


def test_without_matplotlib_the_report_is_still_written_and_says_so(tmp_path, evil, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    html = write_report(tmp_path, *evil).read_text()
    assert "pip install &#39;trsllava[report]&#39;" in html
    assert "data:image/svg+xml" not in html


def test_the_report_shows_pictures_where_they_are_at_hand(tmp_path, evil):
    picture = "data:image/png;base64,AAAA"
    html = write_report(tmp_path, *evil, thumbnail=lambda image: picture).read_text()
    assert html.count(picture) > 10


def test_a_report_of_a_store_without_a_single_hit_is_written(tmp_path):
    data, scores = made(8, images=2, captions=2)
    result = evaluate(data, scores, np.zeros(2, bool), "m")
    html = write_report(tmp_path, data, scores, result, [None, None]).read_text()
    assert "None came first." in html
