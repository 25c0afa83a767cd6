"""MSA's matching and losses, against loops and against values worked out by hand."""

import math

import numpy as np
import pytest
from compare_kit import TinyBackbone

torch = pytest.importorskip("torch", reason="training needs the extra compare")

from trsllava.compare.batches import Batch, Pictures, Texts  # noqa: E402
from trsllava.compare.contrast import triplet  # noqa: E402
from trsllava.compare.features import Shapes  # noqa: E402
from trsllava.compare.msa.loss import alignment, consistency, weighted  # noqa: E402
from trsllava.compare.msa.matching import Matching, ScaleMatching  # noqa: E402
from trsllava.compare.system import make_system  # noqa: E402
from trsllava.errors import InputError  # noqa: E402

PICTURES, TEXTS, LONGEST, SIZE, WIDTH, HEADS = 4, 3, 5, 7, 6, 2
SMALL = {"hidden": 16, "width": 8, "attention_heads": 2, "drop": 0.0, "text_drop": 0.0}


@pytest.fixture(autouse=True)
def doubles():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def given():
    """Pictures, pieces, which are real (2 to 5 of each text), global vectors."""
    real = torch.arange(LONGEST)[None, :] < torch.tensor([5, 2, 3])[:, None]
    pieces = torch.randn(TEXTS, LONGEST, WIDTH) * real[:, :, None]
    return torch.randn(PICTURES, SIZE), pieces, real, torch.randn(TEXTS, WIDTH)


def drawn(module):
    """Give all parameters values that matter, normalisations too."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.7)
    return module


def squares(count=3, size=4):
    return [torch.rand(size, size) for _ in range(count)]


def batch(size=6, seed=1):
    """A batch as the tiny backbone would give it."""
    random = np.random.RandomState(seed)
    shapes = TinyBackbone.shapes

    def tensor(*shape):
        return torch.from_numpy(random.standard_normal(shape))

    real = torch.arange(5)[None, :] < torch.from_numpy(random.randint(1, 6, size))[:, None]
    positive = torch.eye(size, dtype=torch.bool)
    positive[0, 1] = positive[1, 0] = True
    return Batch(
        Pictures(
            tensor(size, shapes.image), tensor(size, shapes.depths, shapes.cells, shapes.channels)
        ),
        Texts(tensor(size, shapes.text), tensor(size, 5, shapes.token), real),
        torch.arange(size),
        torch.arange(size),
        positive,
        0,
    )


def chosen(given, order):
    """Return the pairs of a batch in another order."""
    pictures, texts = given.pictures, given.texts
    return Batch(
        Pictures(pictures.summary[order], pictures.maps[order]),
        Texts(texts.summary[order], texts.tokens[order], texts.real[order]),
        given.image[order],
        given.text[order],
        given.positive[order][:, order],
        0,
    )


def msa(**settings):
    return drawn(make_system("msa", TinyBackbone.shapes, {**SMALL, **settings}, 0))


def test_a_match_is_what_torch_attention_pair_by_pair_gives(given):
    x, pieces, real, whole = given
    own = drawn(ScaleMatching(SIZE, WIDTH, HEADS))
    attention = torch.nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
    parts = (own.asked, own.keys, own.values)
    with torch.no_grad():
        attention.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        attention.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
    attention.out_proj = own.out
    found = own(x, pieces, real, whole)
    assert found.shape == (PICTURES, TEXTS)
    for i in range(PICTURES):
        q = own.query(x[i])
        for j in range(TEXTS):
            words = own.piece_norm(pieces[j, real[j]])
            c = attention(own.query_norm(q)[None], words, words)[0][0]
            logit = (own.match.weight[0] * ((c + whole[j]) * q)).sum() + own.match.bias[0]
            assert found[i, j].item() == pytest.approx(1 / (1 + math.exp(-logit.item())))


def test_padding_has_no_influence_and_a_text_may_be_empty(given):
    x, pieces, real, whole = given
    own = drawn(ScaleMatching(SIZE, WIDTH, HEADS))
    found = own(x, pieces, real, whole)
    other = torch.where(real[:, :, None], pieces, torch.full_like(pieces, 1e3))
    torch.testing.assert_close(own(x, other, real, whole), found)
    longer = torch.cat([pieces, torch.randn(TEXTS, 4, WIDTH)], 1)
    more = torch.cat([real, torch.zeros(TEXTS, 4, dtype=torch.bool)], 1)
    torch.testing.assert_close(own(x, longer, more, whole), found)
    more = real.clone()
    more[1] = False
    alone = own(x, pieces, more, whole)
    q = own.query(x)
    expected = torch.sigmoid(own.match(whole[1] * q))[:, 0]
    torch.testing.assert_close(alone[:, 1], expected)
    torch.testing.assert_close(alone[:, [0, 2]], found[:, [0, 2]])


def test_each_scale_matches_by_itself(given):
    shapes = Shapes(image=1, depths=2, cells=1, channels=1, text=3, token=4)
    own = drawn(Matching([SIZE, 2], shapes, WIDTH, HEADS))
    found = [given[0], torch.randn(PICTURES, 2)]
    pieces, whole = torch.randn(TEXTS, LONGEST, 4), torch.randn(TEXTS, 3)
    first, second = own(found, pieces, given[2], whole)
    words, texts = own.pieces(pieces), own.whole(whole)
    torch.testing.assert_close(first, own.scales[0](found[0], words, given[2], texts))
    torch.testing.assert_close(second, own.scales[1](found[1], words, given[2], texts))


def test_the_matching_has_the_right_gradient(given):
    own = drawn(ScaleMatching(SIZE, WIDTH, HEADS))
    x, pieces, real, whole = given
    inputs = [value.clone().requires_grad_() for value in (x, pieces, whole)]
    assert torch.autograd.gradcheck(lambda x, t, w: own(x, t, real, w), inputs)


def test_alignment_by_hand_goes_from_picture_to_text_alone():
    # Rows: ln(1 + e^(.2 - .9)) and ln(1 + e^(.4 - .5)); the second scale knows nothing, ln 2.
    first = torch.tensor([[0.9, 0.2], [0.4, 0.5]])
    nothing = torch.full((2, 2), 0.3)
    own = torch.eye(2, dtype=torch.bool)
    expected = (math.log(1 + math.exp(-0.7)) + math.log(1 + math.exp(-0.1))) / 2 + math.log(2)
    assert alignment([first, nothing], own).item() == pytest.approx(expected)
    # Another caption of the picture is no negative: nothing is left to be told from.
    assert alignment([first], torch.ones(2, 2, dtype=torch.bool)).item() == 0


def test_consistency_is_what_loops_give():
    matches = squares(4, 5)
    expected = 0.0
    last = matches[-1].numpy()
    for m in (m.numpy() for m in matches[:-1]):
        for j in range(5):
            p = [math.exp(m[i, j] / 2) / sum(math.exp(v / 2) for v in m[:, j]) for i in range(5)]
            q = [
                math.exp(last[i, j] / 2) / sum(math.exp(v / 2) for v in last[:, j])
                for i in range(5)
            ]
            expected += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    assert consistency(matches).item() == pytest.approx(expected / 25)
    assert consistency([matches[0]] * 4).item() == pytest.approx(0, abs=1e-12)
    kl = torch.nn.functional.kl_div(
        (matches[1] / 2).log_softmax(0), (matches[0] / 2).softmax(0), reduction="sum"
    )
    assert consistency(matches[:2]).item() == pytest.approx(kl.item() / 25)


def test_the_last_scale_gets_no_gradient_from_consistency_but_from_alignment():
    matches = [m.requires_grad_() for m in squares()]
    consistency(matches).backward()
    assert matches[-1].grad is None
    assert all(m.grad.abs().max() > 0 for m in matches[:-1])
    alignment(matches, torch.eye(4, dtype=torch.bool)).backward()
    assert matches[-1].grad.abs().max() > 0


def test_the_losses_have_the_right_gradient():
    matches = tuple(m.requires_grad_() for m in squares())
    positive = torch.eye(4, dtype=torch.bool)
    positive[0, 2] = True
    last = matches[-1].detach()
    assert torch.autograd.gradcheck(lambda *m: alignment(m, positive), matches)
    assert torch.autograd.gradcheck(lambda *m: consistency([*m, last]), matches[:-1])


def test_at_the_authors_batch_the_loss_is_theirs_by_the_batch():
    hardest, aligned, consistent = torch.tensor([0.4, 9.0, 0.002])
    whole = weighted(hardest, aligned, consistent, 32)
    assert 32 * whole.item() == pytest.approx(32 * 0.4 + 15 * 9.0 + 10 * 0.002)
    # A column's KL, not its part by the batch, stays in proportion.
    other = weighted(hardest, aligned, consistent / 4, 128)
    assert other.item() == pytest.approx(whole.item())


def test_the_loss_of_a_batch_does_not_depend_on_its_order():
    given, system = batch(), msa()
    again = chosen(given, torch.tensor([3, 5, 1, 0, 4, 2]))
    first, second = system.loss(given), system.loss(again)
    assert first.total.item() == pytest.approx(second.total.item())
    assert first.figures == pytest.approx(second.figures)
    figures = [torch.tensor(first.figures[n]) for n in ("triplet", "alignment", "consistency")]
    assert first.total.item() == pytest.approx(weighted(*figures, 6).item())


def test_the_loss_does_not_depend_on_the_padding():
    given, system = batch(), msa()
    texts = given.texts
    more = torch.cat([texts.tokens, torch.randn(6, 40, texts.tokens.shape[2])], 1)
    real = torch.cat([texts.real, torch.zeros(6, 40, dtype=torch.bool)], 1)
    padded = Batch(
        given.pictures,
        Texts(texts.summary, more, real),
        *(given.image, given.text, given.positive, 0),
    )
    assert system.loss(padded).total.item() == pytest.approx(system.loss(given).total.item())


def test_without_scales_the_loss_is_the_triplet_loss_of_the_same_vectors():
    given, full, bare = batch(), msa(), msa(multi_scale=False)
    assert not [name for name, _ in bare.named_parameters() if "matching" in name]
    bare.load_state_dict(full.state_dict(), strict=False)
    loss = bare.loss(given)
    assert loss.figures == {}
    assert loss.total.item() == pytest.approx(full.loss(given).figures["triplet"])
    alike = bare.scores(given.pictures, given.texts).T
    expected = triplet(alike, given.positive, 0.5, False).mean()
    assert loss.total.item() == pytest.approx(expected.item())
    torch.testing.assert_close(full.scores(given.pictures, given.texts).T, alike)


def test_both_ways_start_from_the_same_heads():
    full, bare = (
        make_system("msa", TinyBackbone.shapes, {**SMALL, "multi_scale": flag}, 7).state_dict()
        for flag in (True, False)
    )
    assert bare.keys() < full.keys()
    assert all(torch.equal(value, full[key]) for key, value in bare.items())


def test_what_is_matched_by_reaches_the_vectors_that_retrieval_goes_by():
    given, system = batch(), msa()
    found = system._scales(given.pictures)
    texts = given.texts
    matches = system.matching(found, texts.tokens, texts.real, system._texts(texts))
    alignment(matches, given.positive).backward()
    assert system.heads.image.straight.weight.grad.abs().max() > 0
    assert system.heads.text.straight.weight.grad.abs().max() > 0
    assert all(stage.weight.grad.abs().max() > 0 for stage in system.scales.stages)


def test_every_scale_counts_in_the_vector_which_starts_as_the_head_alone():
    given = batch()
    fresh = make_system("msa", TinyBackbone.shapes, SMALL, 0).eval()
    vectors = torch.nn.functional.normalize(fresh.heads.image(given.pictures.summary), dim=1)
    found = fresh._scales(given.pictures)
    torch.testing.assert_close(fresh.vector(found[-1], found[:-1]), vectors)
    system = msa()
    before = system.scores(given.pictures, given.texts)
    maps = given.pictures.maps.clone()
    maps[:, 0] += torch.randn_like(maps[:, 0])
    assert (system.scores(Pictures(given.pictures.summary, maps), given.texts) != before).all()


def test_a_width_that_heads_do_not_divide_is_refused():
    with pytest.raises(InputError, match=r"width = 8 .* attention_heads = 3"):
        msa(attention_heads=3)
