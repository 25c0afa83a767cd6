"""Reports held against each other: paired differences, the queries that moved, one page."""

import json
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from trsllava.cli.app import app
from trsllava.errors import InputError
from trsllava.evaluation.bootstrap import interval, p_value
from trsllava.evaluation.changes import changes
from trsllava.evaluation.comparison import check_alike, compare
from trsllava.evaluation.comparison_page import comparison_json, write_comparison
from trsllava.evaluation.comparison_table import comparison_table
from trsllava.evaluation.datasets import Dataset
from trsllava.evaluation.evaluate import evaluate
from trsllava.evaluation.judgements import Judgements
from trsllava.evaluation.report import write_report
from trsllava.evaluation.runs import read_run
from trsllava.records import Record, Variant

IMAGES = ("a.jpg", "b b.jpg", "c.jpg")
CAPTIONS = ("a one", "a two", "b one", "c one")


def dataset(**changed):
    known = {
        "name": "RSICD",
        "split": "test",
        "images": IMAGES,
        "captions": CAPTIONS,
        "owner": np.array([0, 0, 1, 2]),
        "caption_ids": tuple("0123"),
        "classes": (None,) * 3,
    }
    return Dataset(**{**known, **changed})


# Captions by images; in the second, "a two" ties with c, and "c one" falls behind a and b.
FIRST = [[9, 1, 0], [3, 5, 1], [0, 2, 8], [1, 2, 9]]
SECOND = [[9, 1, 0], [5, 0, 5], [0, 9, 8], [2, 2, 1]]


@pytest.fixture
def report(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # plots take time and play no part

    def report(name, scores, data=None, has_record=None, text="text of", **more):
        data = data or dataset()
        has_record = has_record or (True,) * len(data.images)
        matrix = np.array(scores, np.float32)
        result = evaluate(data, matrix, np.array(has_record), f"method {name}", **more)
        records = [
            Record(image, (Variant(caption=f"{text} {image}"),)) if found else None
            for image, found in zip(data.images, has_record, strict=True)
        ]
        write_report(tmp_path / name, data, matrix, result, records)
        return read_run(tmp_path / name)

    return report


def test_differences_and_counts_are_those_worked_out_by_hand(report):
    found = compare(report("one", FIRST), report("two", SECOND))
    # a one: 1 and 1. a two: rank 2 becomes a tie of two for the first place. b one: 2 becomes 1.
    # c one: 1 becomes 3. Chances of a hit at 1: 1 0 0 1 and 1 1/2 1 0.
    assert found.recalls["t2i"]["r1"].points == pytest.approx(100 * (2.5 - 2) / 4)
    assert found.hits["t2i"]["r1"] == (2, 1, 1)
    assert found.ranks["t2i"] == (2, 1, 1)
    assert found.recalls["t2i"]["r5"].points == 0.0
    # Images: a keeps a one first; b goes from a two first to b one; c from c one to b one.
    assert found.hits["i2t"]["r1"] == (1, 1, 1)
    assert found.recalls["i2t"]["r1"].points == pytest.approx(0.0)
    assert found.mr.points == pytest.approx((100 * 0.5 / 4) / 6)


def test_a_report_against_itself_differs_in_nothing(report):
    run = report("one", SECOND, has_record=(True, False, True))
    found = compare(run, run)
    assert found.mr.points == 0.0
    assert (found.mr.interval, found.mr.p) == ((0.0, 0.0), 1.0)
    assert found.ranks["t2i"] == (0, 0, 4)
    assert all(not one.gained and not one.lost for one in changes(run, run).values())


def test_ranks_give_back_the_figures_ties_and_missing_records_included(report, tmp_path):
    rng = np.random.default_rng(4)
    owner = np.repeat(np.arange(30), 3)
    data = dataset(
        images=tuple(f"{n}.jpg" for n in range(30)),
        captions=tuple(f"caption {n % 50}" for n in range(90)),
        owner=owner,
        caption_ids=tuple(map(str, range(90))),
        classes=(None,) * 30,
    )
    scores = rng.integers(0, 4, (90, 30))
    run = report("one", scores, data, has_record=tuple(rng.random(30) < 0.9))
    body = json.loads((tmp_path / "one" / "result.json").read_text())
    assert run.scores().to_json() == {key: body[key] for key in ("i2t", "t2i", "mr")}
    assert (tmp_path / "one" / "ranks.npz").stat().st_size < 3000


def test_the_interval_is_narrower_in_pairs_and_p_agrees_with_it(report):
    rng = np.random.default_rng(8)
    data = dataset(
        images=tuple(f"{n}.jpg" for n in range(200)),
        captions=tuple(f"caption {n}" for n in range(200)),
        owner=np.arange(200),
        caption_ids=tuple(map(str, range(200))),
        classes=(None,) * 200,
    )
    scores = rng.random((200, 200)) + np.eye(200) * 0.4
    better = scores + np.eye(200) * 0.05
    first, second = report("one", scores, data), report("two", better, data)
    found = compare(first, second)
    low, high = found.mr.interval
    assert 0 < low < found.mr.points < high
    assert found.mr.p < 0.05
    assert high - low < 0.7 * (second.mr_interval[1] - second.mr_interval[0])
    back = compare(second, first)
    assert back.mr.points == pytest.approx(-found.mr.points)
    assert (back.ranks["t2i"].better, back.ranks["t2i"].worse) == (0, found.ranks["t2i"].better)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.floats(-4, 4))
def test_p_is_below_five_percent_where_the_interval_leaves_zero_out(seed, shift):
    means = np.random.default_rng(seed).normal(shift, 1.0, 2000)
    low, high = interval(means)
    p = p_value(means)
    assert 0 < p <= 1
    if abs(p - 0.05) > 0.002:  # the percentiles lie between two resamples
        assert (p < 0.05) == (low > 0 or high < 0)


def test_only_reports_on_the_same_queries_and_judgements_are_compared(report):
    first = report("one", FIRST)
    for other, message in (
        (report("val", FIRST, dataset(split="val")), "RSICD test.*RSICD val"),
        (report("text", FIRST, dataset(captions=("x", *CAPTIONS[1:]))), "other images, captions"),
        (
            report("judged", FIRST, judged=Judgements.of(4, 3, [0, 1], [0, 1])),
            "--annotations and --qrels",
        ),
    ):
        with pytest.raises(InputError, match=message):
            check_alike([first, other])
    check_alike([first, report("two", SECOND, has_record=(True, True, False))])


def test_what_is_no_report_or_an_old_one_is_named_with_the_remedy(report, tmp_path):
    with pytest.raises(InputError, match=r"nowhere is no finished report.*--report"):
        read_run(tmp_path / "nowhere")
    folder = report("old", FIRST).folder
    (folder / "ranks.npz").rename(folder / "kept")
    with pytest.raises(InputError, match="no finished report"):
        read_run(folder)
    (folder / "ranks.npz").write_bytes(b"PK no")
    with pytest.raises(InputError, match="no finished report"):
        read_run(folder)
    (folder / "kept").replace(folder / "ranks.npz")
    lines = (folder / "beir" / "queries.jsonl").read_text().splitlines(keepends=True)
    (folder / "beir" / "queries.jsonl").write_text("".join(lines[1:]))
    with pytest.raises(InputError, match="do not belong together"):
        read_run(folder)
    (folder / "result.json").write_text('{"dataset": "RSICD"}')
    with pytest.raises(InputError, match=r"result.json has no"):
        read_run(folder)


def test_the_queries_that_moved_most_come_first_with_both_sides_texts(report):
    first = report("one", FIRST, has_record=(True, False, True))
    second = report("two", SECOND, text="better text of")
    moved = changes(first, second)["t2i"]
    assert [one.caption for one in moved.gained] == ["b one"]  # "a two" was first among two
    gained = moved.gained[0]
    assert (gained.before.rank, gained.before.record) == (None, "")
    assert (gained.before.first, gained.before.first_text) == ("c.jpg", "text of c.jpg")
    assert (gained.after.rank, gained.after.record) == (1.0, "better text of b b.jpg")
    assert [one.caption for one in moved.lost] == ["c one", "a two"]
    asked = changes(first, second)["i2t"].gained[0]
    assert (asked.caption, asked.image, asked.after.first_text) == ("", "b b.jpg", "b one")


def test_one_page_shows_all_runs_beside_published_figures(report, tmp_path):
    runs = [
        report("one", FIRST),
        report("two", SECOND, text="<script>alert(1)</script> {{7*7}}"),
        report("three", FIRST, text="\u202e"),
    ]
    found = [(compare(runs[0], run), changes(runs[0], run)) for run in runs[1:]]
    page = write_comparison(tmp_path / "page", runs, found).read_text()
    for run in runs:
        assert str(run.folder) in page
        assert run.method in page
    assert "TRSLLaVA" in page
    assert page.count(" less ") == 2
    assert "{{7*7}}" in page
    for bad in ("<script", "\u202e", "http://", "https://"):
        assert bad not in page
    body = json.loads((tmp_path / "page" / "comparison.json").read_text())
    assert body == json.loads(json.dumps(comparison_json(runs, found)))
    assert body["comparisons"][0]["t2i"]["r1"]["better"] == 2
    assert body["comparisons"][0]["queries"]["t2i"]["gained"][0]["caption"] == "b one"
    table = comparison_table(runs, found)
    assert "text to image R@1" in table
    assert "\u202e" not in table
    with pytest.raises(InputError, match="name another folder"):
        write_comparison(tmp_path / "page" / ".." / "two", runs, found)


def test_the_command_compares_two_reports(report, tmp_path):
    for name, scores in (("one", FIRST), ("two", SECOND)):
        report(name, scores)
    names = [str(tmp_path / name) for name in ("one", "two")]
    done = CliRunner().invoke(app, ["evaluate", "--compare", *names])
    assert done.exit_code == 0, done.output
    assert f"{names[1]} less {names[0]}" in done.output
    done = CliRunner().invoke(app, ["evaluate", "--compare", *names, "--json"])
    assert json.loads(done.stdout)["comparisons"][0]["mr"]["difference"] == 2.08


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--compare", "one"], "at least two"),
        (["--compare", "one", "two", "--dataset", "rsicd"], "--dataset"),
        (["one"], "without --compare"),
        (["--dataset", "rsicd"], "--annotations"),
    ],
)
def test_a_call_that_makes_no_sense_says_so(arguments, message):
    from trsllava.errors import UsageError

    done = CliRunner().invoke(app, ["evaluate", *arguments])
    assert isinstance(done.exception, UsageError)
    assert message in str(done.exception)
