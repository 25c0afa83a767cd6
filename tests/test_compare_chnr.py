"""CHNR: its losses and weights against naive ones, its first phase, and its tables."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from compare_kit import TinyBackbone, paint, see_tiny

torch = pytest.importorskip("torch", reason="training needs the extra compare")
pytest.importorskip("safetensors", reason="training needs the extra compare")

from trsllava.compare.chnr.figures import area, codes_of, hashing_figures  # noqa: E402
from trsllava.compare.chnr.loss import (  # noqa: E402
    WEIGHTINGS,
    contrastive,
    judge_loss,
    penalty,
    quantisation,
    weigh,
)
from trsllava.compare.chnr.meta import Clean  # noqa: E402
from trsllava.compare.chnr.report import Cell  # noqa: E402
from trsllava.compare.experiment import parse_experiment  # noqa: E402
from trsllava.compare.material import (  # noqa: E402
    Places,
    global_only,
    material,
    open_split,
)
from trsllava.compare.noise import OTHER_CLASS, make_noise, write_noise  # noqa: E402
from trsllava.compare.opened import open_run  # noqa: E402
from trsllava.compare.pairs import fitting_pairs, in_cut, trusted  # noqa: E402
from trsllava.compare.system import make_system  # noqa: E402
from trsllava.compare.train import prepared, train_run  # noqa: E402
from trsllava.errors import InputError, UsageError  # noqa: E402
from trsllava.resources import load_script  # noqa: E402

SMALL = {"hidden": 64, "judge_hidden": 32, "meta_epochs": 4, "meta_batch": 16}


def experiment(epochs=4, **settings):
    body = {
        "name": "chnr",
        "title": "chnr",
        "backbone": {"name": "tiny"},
        "training": {"epochs": epochs, "batch": 32, "rate": 0.003, "warmup": 5, "views": 1},
        "system": {**SMALL, **settings},
    }
    return parse_experiment(body, "chnr", "here")


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    see_tiny(monkeypatch)
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    home = tmp_path_factory.mktemp("data")
    return Places(paint(home, val=100), home / "images", home / "features")


@pytest.fixture
def learnt(places):
    dataset = open_split(places.annotations, "train")
    pairs = fitting_pairs(dataset)
    return material(TinyBackbone(), dataset, pairs, places.images, places.features, 1, local=False)[
        0
    ]


def codes(seed=0, size=5, bits=8):
    random = np.random.RandomState(seed)
    return tuple(torch.from_numpy(random.uniform(-1, 1, (size, bits))) for _ in range(2))


def test_the_contrastive_loss_is_a_sum_over_all_anchors_of_both_modalities():
    images, texts = codes()
    weights = torch.tensor([0.1, 0.5, 1.0, 0.0, 0.7], dtype=torch.float64)
    positive = torch.eye(5, dtype=torch.bool)
    positive[0, 3] = positive[3, 0] = True  # two pairs of one picture
    positive[1, 2] = True  # picture 1 was given the caption of pair 2 by another pair
    found = contrastive(images, texts, positive, weights, 0.5)

    both = [*images.numpy(), *texts.numpy()]

    def alike(a, b):
        return float(both[a] @ both[b] / np.linalg.norm(both[a]) / np.linalg.norm(both[b]))

    def beside(a, b):
        """Whether b is no negative of a, both of the ten."""
        i, j = a % 5, b % 5
        if a < 5 <= b:
            return bool(positive[i, j])
        if b < 5 <= a:
            return bool(positive[j, i])
        return bool(positive[i, j] or positive[j, i])

    expected = 0.0
    for a in range(10):
        partner = (a + 5) % 10
        among = [b for b in range(10) if b == partner or not beside(a, b)]
        assert a not in among
        total = sum(math.exp(alike(a, b) / 0.5) for b in among)
        expected -= float(weights[a % 5]) * math.log(math.exp(alike(a, partner) / 0.5) / total)
    assert found.item() == pytest.approx(expected)


def test_the_contrastive_loss_has_the_right_gradient():
    images, texts = (part.requires_grad_() for part in codes(3, 3, 4))
    positive = torch.eye(3, dtype=torch.bool)
    weights = torch.ones(3, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda a, b: contrastive(a, b, positive, weights, 1.0), (images, texts)
    )


def test_quantisation_draws_codes_to_the_signs_of_their_mean():
    images = torch.tensor([[0.5, -0.2]], requires_grad=True)
    texts = torch.tensor([[-0.1, -0.6]])
    # Signs of the sums 0.4 and -0.8.
    expected = (1 - 0.5) ** 2 + (-1 + 0.2) ** 2 + (1 + 0.1) ** 2 + (-1 + 0.6) ** 2
    found = quantisation(images, texts)
    assert found.item() == pytest.approx(expected)
    found.backward()
    np.testing.assert_allclose(images.grad, [[-1.0, 1.6]], atol=1e-6)


def test_the_gradient_penalty_of_a_linear_function_is_known():
    slope = torch.tensor([3.0, 4.0], requires_grad=True)
    found = penalty(lambda z: z @ slope, torch.randn(7, 2))
    assert found.item() == pytest.approx((5 - 1) ** 2)
    found.backward()
    # d (|s| - 1)^2 / ds = 2 (|s| - 1) s / |s|.
    np.testing.assert_allclose(slope.grad, [2 * 4 * 0.6, 2 * 4 * 0.8], rtol=1e-5)


def test_the_discriminator_s_loss_adds_up():
    slope = torch.tensor([0.6, 0.8])
    real, fake = torch.tensor([[1.0, 1.0]]), torch.tensor([[1.0, -1.0]])
    found = judge_loss(lambda z: 2 * (z @ slope), real, fake, torch.rand(1, 2), 10.0)

    def sure(logit):
        return 1 / (1 + math.exp(-logit))

    expected = -math.log(sure(2.8)) - math.log(1 - sure(-0.4)) + 10 * (2 - 1) ** 2
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_the_penalty_is_taken_value_by_value_between_a_right_and_a_wrong_pair():
    seen = []

    def judge(z):
        seen.append(z.detach().clone())
        return z.sum(1)

    between = torch.tensor([[0.25, 1.0]])
    judge_loss(judge, torch.tensor([[4.0, 2.0]]), torch.tensor([[0.0, -2.0]]), between, 1.0)
    assert seen[-1].tolist() == [[1.0, 2.0]]


def test_every_weighting_weighs_as_its_formula_says():
    sure, threshold = torch.tensor([0.2, 0.5, 0.9]), torch.tensor(0.5)
    expected = {
        "nw": [0.2, 0.5, 0.9],
        "ew": [0.008, 0.125, 0.729],
        "dw": [0, 0, 1],
        "ones": [1] * 3,
    }
    assert set(expected) == set(WEIGHTINGS)
    for weighting, weights in expected.items():
        np.testing.assert_allclose(weigh(weighting, sure, threshold), weights, atol=1e-6)


def test_wrong_pairs_are_of_another_class_and_trusted(learnt):
    clean = Clean.of(learnt)
    pairs = clean.training.pairs
    assert trusted(pairs).all()
    assert 0 < len(pairs) < len(learnt.pairs)
    torch.manual_seed(0)
    for batch in clean.training.batches(16, 0, 0):
        rows, others = clean.wrong(batch)
        assert len(rows) == 16
        own = [pairs.classes[n] for n in batch.image[rows]]
        other = [pairs.classes[n] for n in batch.image[others]]
        assert all(a != b for a, b in zip(own, other, strict=True))
    alone = replace(learnt, pairs=replace(learnt.pairs, classes=("red",) * len(pairs.images)))
    with pytest.raises(InputError, match="two classes"):
        Clean.of(alone)


def test_the_first_phase_depends_on_neither_noise_nor_weighting_nor_what_was_drawn_before(learnt):
    noisy = replace(learnt, pairs=make_noise(learnt.pairs, OTHER_CLASS, 0.5).apply(learnt.pairs))
    assert (noisy.pairs.text != learnt.pairs.text).any()
    shapes = global_only(TinyBackbone.shapes)
    states = []
    for given, weighting in ((learnt, "nw"), (noisy, "dw")):
        system = make_system("chnr", shapes, {**SMALL, "weighting": weighting}, 5)
        if given is noisy:
            torch.rand(3)
        system.prepare(given)
        states.append(system.state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert 0.05 < states[0]["threshold"] < 0.95


def test_a_shared_first_phase_gives_the_run_that_an_own_one_gives(places, tmp_path):
    from safetensors.torch import load_file

    pairs = fitting_pairs(open_split(places.annotations, "train"))
    noise = tmp_path / "noise.json"
    write_noise(noise, make_noise(pairs, OTHER_CLASS, 0.5))
    asked = experiment(epochs=2, weighting="ew")
    train_run(asked, places, tmp_path / "own", 1, noise)
    start = prepared(experiment(epochs=2, weighting="nw"), places, 1)
    train_run(asked, places, tmp_path / "shared", 1, noise, start)
    own, shared = (load_file(tmp_path / name / "weights.safetensors") for name in ("own", "shared"))
    assert own.keys() == shared.keys()
    assert all(torch.equal(own[key], shared[key]) for key in own)


def test_the_discriminator_stays_as_it_is_and_is_surer_of_right_pairs(learnt):
    shapes = global_only(TinyBackbone.shapes)
    many = {**SMALL, "meta_epochs": 60, "meta_rate": 3e-3}
    system = make_system("chnr", shapes, many, 0)
    system.prepare(learnt)
    before = {key: value.clone() for key, value in system.judge.state_dict().items()}
    owned = {id(p) for group in system.groups() for p in group["params"]}
    assert not owned & {id(p) for p in system.judge.parameters()}
    batch = next(learnt.batches(128, 0, 0))
    system.train()
    system.loss(batch).total.backward()
    # Nor does a gradient of the first phase stay behind, which the trainer would cut by.
    assert all(p.grad is None for p in system.judge.parameters())
    assert all(torch.equal(before[key], value) for key, value in system.judge.state_dict().items())

    seen, read = system.seen(batch.pictures.summary), system.read(batch.texts.summary)
    classes = np.array([learnt.pairs.classes[n] for n in batch.image])
    shifted = np.roll(np.arange(128), 1)
    wrong = classes != classes[shifted]
    right = system.sure(seen, read)
    assert torch.equal(right, system.sure(seen, read))  # no dropout, whatever the mode
    sure = torch.cat([right, system.sure(seen, read[shifted])[wrong]]).numpy()
    flags = np.concatenate([np.zeros(128, bool), np.ones(wrong.sum(), bool)])
    assert area(sure, flags) > 0.75


def test_scores_are_minus_hamming_distances(learnt):
    from trsllava.compare.batches import pictures, texts

    system = make_system("chnr", global_only(TinyBackbone.shapes), {"bits": 16}, 0)
    system.eval()
    images = pictures(learnt.views[0].take(np.arange(7)))
    words = texts(learnt.texts, np.arange(5))
    with torch.no_grad():
        found = system.scores(images, words)
        a, b = system.text_codes(words), system.image_codes(images)
    assert found.shape == (5, 7)
    assert set(a.unique().tolist()) <= {-1.0, 1.0}
    np.testing.assert_array_equal(found, -(a[:, None] != b[None]).sum(2))


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"weighting": "best"}, "known are nw, ew, dw, ones"), ({"bits": 12}, "whole bytes")],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        make_system("chnr", TinyBackbone.shapes, settings, 0)


def test_the_area_under_roc_by_hand():
    wrong = np.array([True, True, False, False])
    assert area(np.array([0.1, 0.2, 0.3, 0.4], np.float32), wrong) == 1
    assert area(np.array([0.4, 0.3, 0.2, 0.1], np.float32), wrong) == 0
    # Of the four comparisons two are won, one is lost, one is even.
    assert area(np.array([0.1, 0.3, 0.3, 0.2], np.float32), wrong) == pytest.approx(2.5 / 4)


def test_the_tiny_tables_beat_chance_and_are_resumed(places, tmp_path, monkeypatch):
    table = load_script("pipelines/compare/hashing_table.py")
    monkeypatch.setattr(table, "load_backbone", lambda settings: TinyBackbone())
    cells = [Cell(64, "nw", rate, seed) for seed in (0, 1) for rate in (0.05, 0.2)]
    cells += [Cell(16, "dw", 0.3, 0), Cell(64, "nw", 0.3, 0)]
    asked = experiment(epochs=8, meta_epochs=40)
    rows = table.make_table(asked, places, tmp_path, cells)
    body = json.loads((tmp_path / "rows.json").read_text())
    assert len(body["rows"]) == len(rows) == len(cells)
    for row in rows:
        for direction in ("i2t", "t2i"):
            found, chance = getattr(row.figures, direction), body["chance"][direction]
            assert found.cut > 1.5 * chance["cut"], row.cell
            assert found.deep > 1.1 * chance["deep"], row.cell
    assert [row.separation is None for row in rows] == [True] * (len(rows) - 1) + [False]
    dataset = open_split(tmp_path / "annotations.json", "train")
    counts = np.bincount(dataset.owner)
    assert set(counts[~in_cut(dataset)]) == {1}
    assert set(counts[in_cut(dataset)]) == {2}
    page = (tmp_path / "table.md").read_text()
    assert page.count("| `nw` |") == 2
    assert page.count("±") == 2 * 2 * 2  # definitions, directions, rates with two seeds
    assert (tmp_path / "table.png").stat().st_size > 1000

    def never(*arguments):
        raise AssertionError("what is finished is not done again")

    monkeypatch.setattr(table, "train_run", never)
    again = table.make_table(asked, places, tmp_path, cells)
    assert again == rows
    others = tmp_path / "others.json"
    others.write_text(places.annotations.read_text().replace("seen", "saw"))
    with pytest.raises(UsageError, match="other annotations"):
        table.make_table(asked, replace(places, annotations=others), tmp_path, cells)
    assert (tmp_path / "table.md").read_text() == page


def test_the_plan_holds_every_weighting_rate_and_length():
    table = load_script("pipelines/compare/hashing_table.py")
    cells = table.plan(2)
    assert len(set(cells)) == len(cells) == 2 * (6 * 4 + 3)
    assert {cell.bits for cell in cells if (cell.weighting, cell.rate) == ("dw", 0.3)} == {
        16,
        32,
        64,
        128,
    }


def test_codes_of_a_run_and_what_they_are_worth(places, tmp_path):
    train_run(experiment(bits=32), places, tmp_path / "run", 0)
    opened = open_run(tmp_path / "run", places, "val")
    images, captions = codes_of(opened)
    assert (images.shape, captions.shape) == ((100, 32), (200, 32))
    found = hashing_figures(opened.dataset, images, captions)
    assert found.queries + found.database == 100
    alike = np.array([opened.dataset.classes.index(c) for c in opened.dataset.classes])
    perfect = np.eye(104, dtype=np.float32)[alike]
    best = hashing_figures(opened.dataset, perfect, perfect[opened.dataset.owner])
    assert (best.i2t.cut, best.t2i.deep) == pytest.approx((1, 1))
    bare = replace(opened.dataset, classes=(None,) * 100)
    with pytest.raises(InputError, match="class"):
        hashing_figures(bare, images, captions)
