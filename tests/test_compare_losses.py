"""The losses of the compared systems, against values worked out in other ways."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra compare")

from trsllava.compare.contrast import pair_losses, symmetric, triplet  # noqa: E402
from trsllava.compare.rrsitr.local import local_similarity, moments  # noqa: E402
from trsllava.compare.rrsitr.loss import (  # noqa: E402
    Weights,
    kinds,
    pace_weight,
    regulariser,
    robust_loss,
    thresholds,
)


def random_logits(size=5, seed=0):
    return torch.from_numpy(np.random.RandomState(seed).standard_normal((size, size)))


def test_infonce_of_two_pairs_is_what_a_hand_gets():
    # ln(1 + e^(1-2)) and ln(1 + e^(0-3)) by rows, ln(1 + e^(0-2)) and ln(1 + e^(1-3)) by columns.
    logits = torch.tensor([[2.0, 1.0], [0.0, 3.0]])
    rows, columns = pair_losses(logits, torch.eye(2, dtype=torch.bool))
    np.testing.assert_allclose(rows, [0.313262, 0.048587], atol=1e-6)
    np.testing.assert_allclose(columns, [0.126928, 0.126928], atol=1e-6)


def test_without_knowledge_the_loss_is_the_logarithm_of_the_batch():
    rows, columns = pair_losses(torch.zeros(7, 7), torch.eye(7, dtype=torch.bool))
    np.testing.assert_allclose(rows, math.log(7), rtol=1e-6)
    np.testing.assert_allclose(columns, math.log(7), rtol=1e-6)


def test_another_caption_of_a_picture_is_no_negative():
    logits = random_logits()
    positive = torch.eye(5, dtype=torch.bool)
    positive[1, 3] = positive[3, 1] = True
    rows, columns = pair_losses(logits, positive)
    plain = logits.numpy()
    for i in range(5):
        beside = [j for j in range(5) if j == i or not positive[i, j]]
        expected = math.log(sum(math.exp(plain[i, j]) for j in beside)) - plain[i, i]
        assert rows[i].item() == pytest.approx(expected)
        beside = [j for j in range(5) if j == i or not positive[j, i]]
        expected = math.log(sum(math.exp(plain[j, i]) for j in beside)) - plain[i, i]
        assert columns[i].item() == pytest.approx(expected)
    logits[1, 3] += 100  # what is no negative has no influence at all
    assert symmetric(logits, positive) == pytest.approx(float((rows + columns).mean() / 2))


def test_infonce_does_not_depend_on_the_order_and_has_the_right_gradient():
    logits = random_logits().requires_grad_()
    positive = torch.eye(5, dtype=torch.bool)
    positive[0, 2] = True
    order = torch.tensor([3, 1, 4, 0, 2])
    again = symmetric(logits[order][:, order], positive[order][:, order])
    assert symmetric(logits, positive).item() == pytest.approx(again.item())
    assert torch.autograd.gradcheck(lambda x: symmetric(x, positive), (logits,))


def test_thresholds_keep_their_place_below_the_loss_of_a_guess():
    weights = Weights()
    assert thresholds(weights, 100, 4) == pytest.approx((5, 18))
    low, high = thresholds(weights, 512, 4)
    assert high / (4 * math.log(512)) == pytest.approx(18 / (4 * math.log(100)))
    assert low / high == pytest.approx(5 / 18)
    assert thresholds(weights, 512, 2) == pytest.approx((low / 2, high / 2))


def test_a_weight_is_one_without_loss_and_none_at_the_threshold():
    loss = torch.tensor([0.0, 2.5, 5.0])
    np.testing.assert_allclose(pace_weight(loss, 5), [1, math.sqrt(0.5), 0], atol=1e-6)


@pytest.mark.parametrize("loss", [0.5, 2.0, 4.5])
def test_the_weight_is_the_one_that_minimises_weighted_loss_and_regulariser(loss):
    grid = torch.linspace(0, 1, 100_001, dtype=torch.float64)
    values = grid * loss + regulariser(grid, 5.0)
    best = grid[values.argmin()].item()
    assert best == pytest.approx(pace_weight(torch.tensor(loss), 5.0).item(), abs=1e-3)


def test_the_triplet_by_hand():
    alike = torch.tensor([[0.5, 0.7, 0.1], [0.2, 0.9, 0.3], [0.4, 0.1, 0.2]])
    own = torch.eye(3, dtype=torch.bool)
    # Pair 0: by row 0.7 is hardest, margin .6 (1 + .2) = .72, .72 + .2 = .92;
    # by column 0.4, margin .6, .6 - .1 = .5. Pair 1: 0.3 and 0.7: 0 and .4.
    # Pair 2: by row 0.4, .6 * 1.2 + .2 = .92; by column 0.3, .6 * 1.1 + .1 = .76.
    np.testing.assert_allclose(triplet(alike, own, 0.6, True), [1.42, 0.4, 1.68], atol=1e-6)
    np.testing.assert_allclose(triplet(alike, own, 0.6, False), [1.3, 0.4, 1.5], atol=1e-6)
    everything = torch.ones(3, 3, dtype=torch.bool)
    assert triplet(alike, everything, 0.6, True).tolist() == [0, 0, 0]


def test_the_margin_moves_the_gradient_too():
    alike = torch.tensor([[0.1, 0.5], [0.0, 0.9]], requires_grad=True)
    triplet(alike, torch.eye(2, dtype=torch.bool), 0.6, True)[0].backward()
    # By row s_h stands above: -(1 + .6); by column below: -1.
    assert alike.grad[0, 0].item() == pytest.approx(-2.6)
    assert alike.grad[0, 1].item() == pytest.approx(1.6)


def test_the_loss_of_a_batch_adds_up_kind_by_kind():
    weights = Weights()
    loss = torch.tensor([2.5, 9.0, 30.0], requires_grad=True)
    triplets = torch.tensor([5.0, 6.0, 0.7], requires_grad=True)
    found = kinds(loss.detach(), 5, 18)
    assert [found.clean.tolist(), found.ambiguous.tolist(), found.noisy.tolist()] == [
        [True, False, False],
        [False, True, False],
        [False, False, True],
    ]
    total = robust_loss(loss, triplets, weights, (5, 18), self_paced=True, robust=True)

    def term(value, limit):
        w = math.cos(math.pi / 2 * value / limit)
        return w * value - 2 / math.pi * limit * (w * math.acos(w) - math.sqrt(1 - w * w))

    expected = (term(2.5, 5) + 0.8 * term(9, 18) + 0.9 * 0.7) / 3
    assert total.item() == pytest.approx(expected, rel=1e-5)
    total.backward()
    # Weights and the regulariser have no gradient.
    wanted = [math.sqrt(0.5) / 3, 0.8 * math.sqrt(0.5) / 3, 0]
    np.testing.assert_allclose(loss.grad, wanted, atol=1e-6)
    np.testing.assert_allclose(triplets.grad, [0, 0, 0.3], atol=1e-6)


def test_the_ablations_of_the_loss():
    loss, triplets = torch.tensor([2.5, 9.0, 30.0]), torch.tensor([5.0, 6.0, 0.7])

    def value(self_paced, robust):
        given = {"self_paced": self_paced, "robust": robust}
        return robust_loss(loss, triplets, Weights(), (5, 18), **given).item()

    assert value(False, False) == pytest.approx(41.5 / 3)
    assert value(False, True) == pytest.approx((2.5 + 0.8 * 9 + 0.9 * 0.7) / 3)
    assert value(True, False) == pytest.approx(value(True, True) - 0.9 * 0.7 / 3)


def test_local_similarity_is_the_frobenius_norm_of_the_cosines():
    random = np.random.RandomState(1)
    cells = torch.nn.functional.normalize(
        torch.from_numpy(random.standard_normal((3, 4, 6))), dim=2
    )
    pieces = torch.nn.functional.normalize(
        torch.from_numpy(random.standard_normal((2, 5, 6))), dim=2
    )
    real = torch.tensor([[True] * 5, [True] * 2 + [False] * 3])
    found = local_similarity(cells, pieces * real[:, :, None], real)
    for picture in range(3):
        for text in range(2):
            own = pieces[text][real[text]]
            squares = (own @ cells[picture].T) ** 2
            expected = math.sqrt(float(squares.sum()) / len(own))
            assert found[picture, text].item() == pytest.approx(expected, abs=1e-5)
    assert moments(cells).shape == (3, 36)
