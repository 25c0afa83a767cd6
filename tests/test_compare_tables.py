"""Margins between systems, and the tables of docs/compare.md from one command."""

import json

import numpy as np
import pytest
from compare_kit import paint, see_tiny

torch = pytest.importorskip("torch", reason="training needs the extra compare")
pytest.importorskip("safetensors", reason="training needs the extra compare")

from trsllava.compare.experiment import parse_experiment  # noqa: E402
from trsllava.compare.margin import margin, outcomes  # noqa: E402
from trsllava.compare.material import Places, mean_recall, open_split  # noqa: E402
from trsllava.errors import UsageError  # noqa: E402
from trsllava.resources import load_script  # noqa: E402

tables = load_script("pipelines/compare/tables.py")


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    home = tmp_path_factory.mktemp("data")
    return Places(paint(home), home / "images", home / "features")


@pytest.fixture
def dataset(places):
    return open_split(places.annotations, "val")


def drawn(dataset, seed):
    shape = (len(dataset.captions), len(dataset.images))
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def perfect(dataset):
    return np.eye(len(dataset.images), dtype=np.float32)[dataset.owner]


def test_a_margin_is_the_mean_difference_of_mr_over_the_seeds(dataset):
    old, new = ([drawn(dataset, seed) for seed in seeds] for seeds in ((0, 1), (2, 3)))
    found = margin(dataset, *([outcomes(dataset, s) for s in one] for one in (old, new)))
    by_hand = [
        mean_recall(dataset, b) - mean_recall(dataset, a) for a, b in zip(old, new, strict=True)
    ]
    assert found.seeds == pytest.approx(by_hand)
    assert found.points == pytest.approx(np.mean(by_hand))
    assert found.interval[0] <= found.points <= found.interval[1]
    turned = margin(dataset, *([outcomes(dataset, s) for s in one] for one in (new, old)))
    assert turned.points == pytest.approx(-found.points)
    assert turned.interval == pytest.approx((-found.interval[1], -found.interval[0]))


def test_a_perfect_system_stands_100_less_the_baseline_above_it(dataset):
    random = drawn(dataset, 0)
    found = margin(dataset, [outcomes(dataset, random)], [outcomes(dataset, perfect(dataset))])
    best = mean_recall(dataset, perfect(dataset))
    assert best == pytest.approx(100.0)
    assert found.points == pytest.approx(100 - mean_recall(dataset, random))
    assert found.interval[0] > 80
    same = margin(dataset, [outcomes(dataset, random)] * 2, [outcomes(dataset, random)] * 2)
    assert (same.points, same.interval) == (0.0, (0.0, 0.0))


def test_seeds_must_come_in_pairs(dataset):
    one = outcomes(dataset, drawn(dataset, 0))
    with pytest.raises(ValueError, match="shorter"):
        margin(dataset, [one, one], [one])


def tiny(system, **settings):
    body = {
        "name": system,
        "title": system,
        "backbone": {"name": "tiny"},
        "training": {"epochs": 2, "batch": 32, "views": 1, "warmup": 2},
        "system": {"hidden": 16, "ridge": 10.0, **settings},
    }
    return parse_experiment(body, system, "here")


def test_the_table_of_noise_trains_once_measures_and_draws(places, tmp_path, monkeypatch, capsys):
    see_tiny(monkeypatch)
    torch.set_num_threads(1)
    arms = [
        tables.Arm("plain-00", tiny("dual-encoder"), 0.0, None),
        tables.Arm("robust-00", tiny("rrsitr", width=8), 0.0, "plain-00"),
        tables.Arm("plain-80", tiny("dual-encoder"), 0.8, None),
        tables.Arm("robust-80", tiny("rrsitr", width=8), 0.8, "plain-80"),
    ]
    for part in ("1/2", "2/2"):
        tables.train_all(arms, places, tmp_path, 2, part)
    runs = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert runs == sorted(f"{arm.key}-{seed}" for arm in arms for seed in (0, 1))
    monkeypatch.setattr(tables, "train_run", None)  # all are finished
    tables.train_all(arms, places, tmp_path, 2, None)
    results = tables.results_of(arms, places, tmp_path, 2, "val")
    tables.write_table("noise", results, tmp_path)

    rows = json.loads((tmp_path / "noise.json").read_text())
    assert [row["rate"] for row in rows] == [0.0, 0.0, 0.8, 0.8]
    assert [row["noise"] for row in rows] == ["no noise added"] * 2 + ["permuted 80%"] * 2
    for plain, robust in (rows[:2], rows[2:]):
        assert plain["margin"] is None
        difference = robust["figures"]["mr"]["mean"] - plain["figures"]["mr"]["mean"]
        assert robust["margin"]["difference"] == pytest.approx(difference, abs=0.011)
        assert np.mean(robust["margin"]["seeds"]) == pytest.approx(difference, abs=0.011)
    text = (tmp_path / "noise.md").read_text()
    assert text == capsys.readouterr().out
    assert text.count("\n") == 2 + len(arms)
    assert (tmp_path / "noise.png").read_bytes().startswith(b"\x89PNG")


def test_the_arms_of_every_table_name_their_baselines():
    for make in tables.TABLES.values():
        keys = []
        for arm in make():
            assert arm.baseline is None or arm.baseline in keys
            keys.append(arm.key)
        assert len(set(keys)) == len(keys) > 1
    whole, *parts, none = tables.ablation_arms()
    for arm, part in zip(parts, tables.PARTS, strict=True):
        changed = {k for k, v in arm.experiment.system.items() if whole.experiment.system[k] != v}
        assert changed == {part}
    assert not any(none.experiment.system[part] for part in tables.PARTS)
    assert whole.key in {arm.key for arm in tables.noise_arms()}


@pytest.mark.parametrize("part", ["3/2", "0/2", "half", "1/"])
def test_a_share_that_is_none_is_refused(part):
    with pytest.raises(UsageError, match="I/N"):
        tables.train_all([], None, None, 1, part)
