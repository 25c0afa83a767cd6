"""Recalls worked out by hand, ties included, and checked against brute force and trec_eval."""

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trsllava.errors import InputError
from trsllava.evaluation.bootstrap import interval, intervals, resample
from trsllava.evaluation.datasets import Dataset
from trsllava.evaluation.evaluate import evaluate
from trsllava.evaluation.groups import words
from trsllava.evaluation.hubness import hubness, occurrences
from trsllava.evaluation.judgements import Judgements, by_image, from_qrels, merged
from trsllava.evaluation.measures import Success, places
from trsllava.interchange.trec import Judgement

INF = float("inf")


def dataset(captions_of, classes=None):
    """Build a split from {image: captions}."""
    images = tuple(captions_of)
    captions = tuple(c for texts in captions_of.values() for c in texts)
    owner = np.array([n for n, texts in enumerate(captions_of.values()) for _ in texts], np.int64)
    return Dataset(
        name="own",
        split="test",
        images=images,
        captions=captions,
        owner=owner,
        caption_ids=tuple(map(str, range(len(captions)))),
        classes=classes or (None,) * len(images),
    )


def everywhere(data):
    return np.ones(len(data.images), bool)


def measured(data, scores, has_record=None, **more):
    covered = everywhere(data) if has_record is None else np.array(has_record)
    return evaluate(data, np.array(scores, np.float32), covered, "m", **more)


def test_a_measure_is_called_by_its_usual_name():
    assert repr(Success(10)) == "Success@10"


def test_recalls_without_ties_are_those_counted_by_hand():
    data = dataset({"a": ["a1", "a2"], "b": ["b1"], "c": ["c1"]})
    result = measured(data, [[9, 1, 0], [3, 5, 1], [0, 2, 8], [1, 2, 3]])
    # Texts: a1 finds a first, a2 second, b1 second, c1 first.
    assert result.expected.t2i.r1 == 50.0
    assert result.expected.t2i.r5 == 100.0
    # Images: a sees 9 3 0 1 (a1 first); b sees 1 5 2 2 (a2 first: miss); c sees 0 1 8 3 (miss).
    assert result.expected.i2t.r1 == pytest.approx(100 / 3)
    assert result.optimistic == result.pessimistic == result.expected


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::5])
def test_equal_records_give_the_mean_over_tie_orders_whatever_names_and_positions(order):
    captions_of = {f"{'dbca'[n]}.png": [f"caption {n} {k}" for k in range(4)] for n in order}
    data = dataset(captions_of)
    rng = np.random.default_rng(3)
    scores = np.repeat(rng.random((16, 1), np.float32), 4, axis=1)  # all images look the same
    result = measured(data, scores)
    assert result.expected.t2i == (25.0, 100.0, 100.0)
    assert result.optimistic.t2i == (100.0, 100.0, 100.0)
    assert result.pessimistic.t2i == (0.0, 100.0, 100.0)
    # Every image ranks the captions alike and without ties: only the first caption's owner hits.
    assert result.expected.i2t.r1 == 25.0
    assert result.optimistic.i2t == result.pessimistic.i2t


def test_images_with_the_same_captions_and_record_split_the_headline_and_share_the_merged_figure():
    data = dataset({"a": list("vwxyz"), "b": list("vwxyz"), "c": list("12345")})
    scores = [[1, 1, 0]] * 10 + [[0, 0, 1]] * 5
    result = measured(data, scores)
    assert result.expected.t2i.r1 == pytest.approx(100 * (10 * 0.5 + 5) / 15)
    assert result.merged.t2i == (100.0, 100.0, 100.0)
    assert result.merged.i2t == (100.0, 100.0, 100.0)
    assert (result.shared_strings, result.shared_captions) == (5, 10)
    # Image a is level with ten captions, five its own: the first five all miss in 1 of 252 orders.
    assert result.expected.i2t.r5 == pytest.approx(100 * (2 * (1 - 1 / 252) + 1) / 3)


def test_a_caption_repeated_at_its_own_image_is_not_shared():
    data = dataset({"a": ["same", "same"], "b": ["other"]})
    result = measured(data, [[1, 0], [1, 0], [0, 1]])
    assert result.shared_captions == 0
    assert result.merged == result.expected


def test_an_image_without_record_is_a_miss_and_never_drops_a_query():
    data = dataset({"a": ["a1"], "b": ["b1"], "c": ["b1"]})
    scores = np.ones((3, 3), np.float32)
    result = measured(data, scores, [True, True, False])
    assert result.covered == 2
    assert result.expected.t2i == pytest.approx((100 / 3, 200 / 3, 200 / 3))
    assert result.optimistic.t2i.r10 == pytest.approx(200 / 3)
    assert result.expected.i2t.r10 == pytest.approx(200 / 3)
    # c has no record, so its caption stays a miss even where b, which shares it, is relevant.
    assert result.merged.t2i.r10 == pytest.approx(200 / 3)


def test_with_no_record_at_all_everything_is_zero():
    data = dataset({"a": ["a1"], "b": ["b1"]})
    result = measured(data, np.ones((2, 2)), [False, False])
    assert result.mr == result.optimistic.mr == result.merged.mr == 0.0


def test_nan_and_a_wrong_shape_are_refused():
    data = dataset({"a": ["a1"], "b": ["b1"]})
    with pytest.raises(InputError, match="NaN"):
        measured(data, [[1, np.nan], [0, 1]])
    with pytest.raises(InputError, match=r"captions x images, \(2, 2\)"):
        measured(data, [[1, 0]])


def brute_force(row, relevant, k):
    """Mean, best and worst over all orders that sort the row."""
    hits = [
        any(item in relevant for item in order[:k])
        for order in itertools.permutations(range(len(row)))
        if all(row[a] >= row[b] for a, b in itertools.pairwise(order))
    ]
    return np.mean(hits), max(hits), min(hits)


@settings(max_examples=60, deadline=None)
@given(
    row=st.lists(st.integers(0, 2), min_size=1, max_size=6),
    k=st.integers(1, 7),
    data=st.data(),
)
def test_the_expected_value_is_the_mean_over_all_orders_of_ties(row, k, data):
    relevant = data.draw(st.sets(st.integers(0, len(row) - 1), min_size=1))
    judged = Judgements.of(1, len(row), [0] * len(relevant), sorted(relevant))
    found = places(np.array([row], np.float32), judged)
    mean, best, worst = brute_force(row, relevant, k)
    assert Success(k).expected(found)[0] == pytest.approx(mean)
    assert Success(k).optimistic(found)[0] == best
    assert Success(k).pessimistic(found)[0] == worst


@settings(max_examples=40, deadline=None)
@given(
    above=st.integers(0, 12),
    level=st.integers(1, 40),
    data=st.data(),
    k=st.sampled_from((1, 5, 10)),
)
def test_the_expected_value_is_the_hypergeometric_chance(above, level, data, k):
    relevant = data.draw(st.integers(1, level))
    row = np.array([[2.0] * above + [1.0] * level], np.float32)
    judged = Judgements.of(1, above + level, [0] * relevant, range(above, above + relevant))
    room = min(max(k - above, 0), level)
    chance = 1 - math.comb(level - relevant, room) / math.comb(level, room)
    assert Success(k).expected(places(row, judged))[0] == pytest.approx(chance)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_the_order_of_captions_and_images_does_not_change_any_figure(seed):
    rng = np.random.default_rng(seed)
    owner = np.concatenate([np.arange(5), rng.integers(0, 5, 9)])
    scores = rng.integers(0, 3, (14, 5)).astype(np.float32)
    rows, columns = rng.permutation(14), rng.permutation(5)
    plain = Judgements.of(14, 5, range(14), owner)
    moved = Judgements.of(14, 5, range(14), np.argsort(columns)[owner[rows]])
    for one, other, a, b in (
        (plain, moved, scores, scores[rows][:, columns]),
        (plain.turned(), moved.turned(), scores.T, scores[rows][:, columns].T),
    ):
        first = Success(1).expected(places(a, one)).mean()
        assert first == pytest.approx(Success(1).expected(places(b, other)).mean())


def test_the_rank_of_a_tie_is_its_mean_position():
    found = places(np.array([[5, 1, 1, 1]], np.float32), Judgements.of(1, 4, [0], [2]))
    assert found.rank()[0] == 3.0  # second, third or fourth


def test_judgements_of_ones_own_replace_those_of_the_annotations():
    data = dataset({"a b": ["a1"], "c": ["c1"]})
    rows = [Judgement("0", "c", 1, "line 1"), Judgement("0", "a%20b", 0, "line 2")]
    judged = from_qrels(data, rows)
    result = measured(data, [[0, 1], [0, 1]], judged=judged)
    assert result.expected.t2i.r1 == 50.0  # the second caption has nothing relevant: a miss
    assert "1 captions have no relevant image" in " ".join(result.warnings)
    with pytest.raises(InputError, match=r"line 3.*no image 'z'"):
        from_qrels(data, [Judgement("0", "z", 1, "line 3")])
    with pytest.raises(InputError, match="no caption"):
        from_qrels(data, [Judgement("77", "c", 1, "line 3")])


def test_merged_judgements_hold_every_image_of_a_shared_string():
    data = dataset({"a": ["x", "y"], "b": ["x"]})
    judged = merged(data, everywhere(data))
    pairs = set(zip(judged.query.tolist(), judged.item.tolist(), strict=True))
    assert pairs == {(0, 0), (0, 1), (1, 0), (2, 0), (2, 1)}
    assert len(by_image(data).turned().query) == 3


def test_every_resample_draws_as_many_images_as_there_are_and_is_the_same_again():
    weights = resample(7, 50)
    assert (weights.sum(axis=1) == 7).all()
    assert (weights == resample(7, 50)).all()


def test_the_interval_is_that_of_a_proportion():
    values = np.array([1.0] * 30 + [0.0] * 70)
    each, both = intervals({"r1": (values, np.arange(100)), "r5": (values, np.arange(100))}, 100)
    half = 1.96 * math.sqrt(0.3 * 0.7 / 100)
    assert each["r1"] == pytest.approx((0.3 - half, 0.3 + half), abs=0.015)
    assert each["r1"] == both  # the same images are drawn for every figure
    assert interval(np.full(10, 0.5)) == (0.5, 0.5)


def test_an_image_takes_all_its_captions_along_into_a_resample():
    values = np.repeat([1.0, 0.0] * 10, 5)  # 20 images, five equal captions each
    each, _ = intervals({"r1": (values, np.repeat(np.arange(20), 5))}, 20)
    assert each["r1"][1] - each["r1"][0] > 0.35  # 100 independent captions would give 0.2


def test_short_and_long_captions_have_figures_of_their_own():
    long = "a b c d e f g h i j k ."
    data = dataset({"a": ["a plane .", long], "b": ["it's a well-known pier ."]})
    assert [words(caption) for caption in data.captions] == [2, 11, 4]
    result = measured(data, [[1, 0], [0, 1], [0, 1]])
    assert result.per_length == (
        ("1 to 6", 2, (100.0, 100.0, 100.0)),
        ("11 to 15", 1, (0.0, 100.0, 100.0)),
    )


def test_occurrences_among_the_first_are_the_mean_over_all_orders_of_ties():
    scores = np.random.default_rng(5).integers(0, 3, (7, 5)).astype(np.float32)
    counts = np.zeros(5)
    for row in scores:
        orders = [
            order
            for order in itertools.permutations(range(5))
            if all(row[a] >= row[b] for a, b in itertools.pairwise(order))
        ]
        for order in orders:
            counts[list(order[:2])] += 1 / len(orders)
    assert occurrences(scores, 2) == pytest.approx(counts)
    assert occurrences(scores, 9) == pytest.approx([7] * 5)


def test_hubs_are_named_and_what_cannot_be_found_is_no_anti_hub():
    scores = np.tile(np.arange(20, dtype=np.float32), (4, 1))
    scores[:, 19] = -INF
    found = hubness(scores, [f"i{n}" for n in range(20)])
    # Ten of nineteen stand among the first of all four, nine nowhere.
    assert found.greatest == tuple((f"i{n}", 4.0) for n in range(9, 14))
    assert found.mean == pytest.approx(40 / 19)
    assert found.never == pytest.approx(900 / 19)
    p = 10 / 19
    assert found.skew == pytest.approx((1 - 2 * p) / math.sqrt(p * (1 - p)))
    assert hubness(np.ones((3, 40), np.float32), list("a" * 40)).skew == 0.0
    assert hubness(np.full((3, 4), -INF, np.float32), list("abcd")).greatest == ()


def test_the_revision_tells_other_captions_and_judgements_apart():
    one, other = (dataset({"a": ["x"], "b": [text]}) for text in ("y", "z"))
    scores = [[1, 0], [0, 1]]
    judged = Judgements.of(2, 2, [0, 1], [1, 1])
    revisions = {
        measured(one, scores).revision,
        measured(other, scores).revision,
        measured(one, scores, judged=judged).revision,
    }
    assert len(revisions) == 3
    assert measured(one, [[0, 0], [0, 0]], [True, False]).revision in revisions


def test_the_result_prints_as_the_contract_says():
    data = dataset({"airport_1.jpg": ["a1"], "beach_1.jpg": ["b1"]}, classes=("airport", "beach"))
    row = measured(data, [[0, 1], [1, 0]])
    body = measured(data, [[1, 0], [0, 1]], rows=[row], notes=["joined by file name"]).to_json()
    assert json.loads(json.dumps(body)) == body
    assert body["t2i"] == {"r1": 100.0, "r5": 100.0, "r10": 100.0}
    assert body["mr"] == 100.0
    assert body["ties"]["optimistic_mr"] == body["ties"]["pessimistic_mr"] == 100.0
    assert body["ci95"]["mr"] == [100.0, 100.0]
    assert set(body["merged_duplicates"]) == {"i2t", "t2i", "mr"}
    assert {"dataset", "split", "images", "captions", "covered", "method"} <= set(body)
    assert [c["class"] for c in body["per_class"]] == ["airport", "beach"]
    assert body["per_length"][0]["captions"] == 2
    assert body["hubness"]["t2i"]["greatest"][0] == {"id": "airport_1.jpg", "count": 2.0}
    assert body["rows"][0]["t2i"]["r1"] == 0.0
    assert body["warnings"] == ["joined by file name"]
