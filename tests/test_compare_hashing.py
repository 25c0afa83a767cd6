"""Packed codes, search by Hamming distance, and mAP by hand where codes are equally far."""

import itertools

import numpy as np
import pytest

from trsllava.compare.hashing import packed, search
from trsllava.compare.precision import average_precisions
from trsllava.errors import InputError


def both(distances, relevant, k):
    cut, deep = average_precisions(
        np.array([distances], np.int32), np.array([relevant], np.bool_), k
    )
    return float(cut[0]), float(deep[0])


def naive(distances, relevant, k):
    """Both definitions, averaged over every order that the distances allow."""
    cuts, deeps = [], []
    for order in itertools.permutations(range(len(distances))):
        if any(distances[a] > distances[b] for a, b in itertools.pairwise(order)):
            continue
        wanted, hits, cut, deep = min(k, sum(relevant)), 0, 0.0, 0.0
        for rank, item in enumerate(order, start=1):
            if relevant[item]:
                hits += 1
                cut += hits / rank if rank <= k else 0
                deep += hits / rank if hits <= k else 0
        cuts.append(cut / wanted)
        deeps.append(deep / wanted)
    return np.mean(cuts), np.mean(deeps)


def test_packing_is_numpy_s_and_eight_bits_make_a_byte():
    codes = np.array([[1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 1, 1, -1]], np.float32)
    assert packed(codes).tolist() == [[0b10000000, 0b00000110]]
    with pytest.raises(InputError, match="12 bits"):
        packed(np.ones((2, 12), np.float32))


@pytest.mark.parametrize("bits", [16, 32, 64, 128])
def test_search_finds_hamming_distances(bits):
    random = np.random.RandomState(bits)
    database = np.where(random.rand(300, bits) < 0.5, -1.0, 1.0).astype(np.float32)
    queries = np.where(random.rand(20, bits) < 0.5, -1.0, 1.0).astype(np.float32)
    expected = (queries[:, None] != database[None]).sum(2)
    distances, places = search(packed(database), packed(queries), 1000)
    assert distances.shape == (20, 300)
    np.testing.assert_array_equal(distances, np.sort(expected, axis=1))
    np.testing.assert_array_equal(np.take_along_axis(expected, places, 1), distances)
    assert (np.sort(places, axis=1) == np.arange(300)).all()
    few, _ = search(packed(database), packed(queries), 7)
    np.testing.assert_array_equal(few, distances[:, :7])


def test_without_ties_both_definitions_by_hand():
    # Relevant at ranks 1, 3, 6 of 6. At 3: the first three places hold 1 and 2/3, of three wanted.
    distances, relevant = [0, 1, 2, 3, 4, 5], [1, 0, 1, 0, 0, 1]
    cut, deep = both(distances, relevant, 3)
    assert cut == pytest.approx((1 + 2 / 3) / 3)
    assert deep == pytest.approx((1 + 2 / 3 + 3 / 6) / 3)
    # At 2 the authors read on to rank 3 for the second relevant one.
    cut, deep = both(distances, relevant, 2)
    assert cut == pytest.approx(1 / 2)
    assert deep == pytest.approx((1 + 2 / 3) / 2)
    # At 20 there are but three to be had, and both are the whole list's.
    assert both(distances, relevant, 20) == pytest.approx(((1 + 2 / 3 + 1 / 2) / 3,) * 2)


def test_ties_by_hand():
    # Two items equally far, one relevant: rank 1 or 2, so 1 or 1/2.
    assert both([4, 4], [1, 0], 5) == pytest.approx((0.75, 0.75))
    # Cut at 1 it is found in half of the orders; read on, it is found in all.
    assert both([4, 4], [1, 0], 1) == pytest.approx((0.5, 0.75))
    # Three far, two relevant, one wanted: the first relevant one at rank 1 (2/3) or 2 (1/3).
    assert both([9, 9, 9], [1, 1, 0], 1) == pytest.approx((2 / 3, 2 / 3 + 1 / 3 / 2))


@pytest.mark.parametrize("seed", range(25))
def test_with_ties_both_are_the_mean_over_all_orders(seed):
    random = np.random.RandomState(seed)
    size = random.randint(2, 8)
    distances = random.randint(0, 3, size).tolist()
    relevant = (random.rand(size) < 0.5).tolist()
    relevant[random.randint(size)] = True
    k = random.randint(1, 8)
    assert both(distances, relevant, k) == pytest.approx(naive(distances, relevant, k))


def test_the_order_of_the_items_means_nothing_and_nothing_relevant_is_no_number():
    random = np.random.RandomState(1)
    distances, relevant = random.randint(0, 9, 50), random.rand(50) < 0.3
    order = random.permutation(50)
    assert both(distances[order], relevant[order], 10) == pytest.approx(
        both(distances, relevant, 10)
    )
    assert all(np.isnan(both([1, 2], [0, 0], 3)))


def test_a_long_tie_is_no_trouble():
    # All equally far: precision at any place is about the share of relevant ones, 0.1.
    relevant = np.zeros(5000, bool)
    relevant[:500] = True
    cut, deep = both(np.zeros(5000, np.int32), relevant, 20)
    assert 0.01 < cut < 0.03
    assert deep == pytest.approx(0.1, abs=0.04)
