"""Systems that train, stop, go on and are measured, on four-coloured pictures."""

import json

import pytest
from compare_kit import CHANCE, TinyBackbone, paint, see_tiny

torch = pytest.importorskip("torch", reason="training needs the extra compare")
pytest.importorskip("safetensors", reason="training needs the extra compare")

import trsllava.compare.train as training  # noqa: E402
from trsllava.compare import cache, trainer  # noqa: E402
from trsllava.compare.experiment import (  # noqa: E402
    TrainingSettings,
    parse_experiment,
    read_experiment,
    shipped,
)
from trsllava.compare.material import Places, open_split  # noqa: E402
from trsllava.compare.noise import PERMUTED, make_noise, write_noise  # noqa: E402
from trsllava.compare.opened import evaluate_run, open_run  # noqa: E402
from trsllava.compare.pairs import fitting_pairs  # noqa: E402
from trsllava.compare.system import SYSTEMS  # noqa: E402
from trsllava.compare.table import Figure, table, table_lines  # noqa: E402
from trsllava.compare.train import train_run  # noqa: E402
from trsllava.compare.trainer import pace  # noqa: E402
from trsllava.errors import InputError, StoreDamaged, TrsllavaError, UsageError  # noqa: E402

FACTOR = 4  # times chance, which every tiny system must reach
HEADS = {"hidden": 32, "ridge": 10.0, "drop": 0.0, "text_drop": 0.0}
SMALL = {
    "dual-encoder": HEADS,
    "rrsitr": {**HEADS, "width": 8},
    "msa": {**HEADS, "width": 8, "attention_heads": 2},
    "chnr": {"hidden": 64, "judge_hidden": 16, "meta_epochs": 2, "meta_batch": 16},
}


def experiment(system="dual-encoder", epochs=6, views=1, **settings):
    """The experiment that ships, made small."""
    body = {
        "name": system,
        "title": system,
        "backbone": {"name": "tiny"},
        "training": {"epochs": epochs, "batch": 32, "rate": 0.003, "warmup": 5, "views": views},
        "system": {**SMALL[system], **settings},
        "paper": {"methods": ["RRSITR (0% noise)"], "differs": "everything"},
    }
    return parse_experiment(body, system, "here")


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    see_tiny(monkeypatch)
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    home = tmp_path_factory.mktemp("data")
    return Places(paint(home), home / "images", home / "features")


def weights(folder):
    from safetensors.torch import load_file

    return load_file(folder / "weights.safetensors")


@pytest.mark.parametrize("system", sorted(SYSTEMS))
def test_a_tiny_system_beats_chance(system, places, tmp_path):
    done = train_run(experiment(system), places, tmp_path / "run", 0)
    assert done.curve[-1]["loss"] < done.curve[0]["loss"]
    _, scores, result = evaluate_run(tmp_path / "run", places, "val")
    assert scores.shape == (120, 60)
    assert result.mr > FACTOR * CHANCE
    assert result.covered == result.images == 60
    for name in ("run.json", "trained.json", "scalars.jsonl", "weights.safetensors", "curve.png"):
        assert (tmp_path / "run" / name).stat().st_size > 0
    lines = (tmp_path / "run" / "scalars.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == list(range(1, len(lines) + 1))
    assert train_run(experiment(system), places, tmp_path / "run", 0) is None


@pytest.mark.parametrize("flag", ["local", "self_paced", "robust_triplet", "dynamic_margin"])
def test_every_ablation_of_rrsitr_trains(flag, places, tmp_path):
    train_run(experiment("rrsitr", epochs=3, **{flag: False}), places, tmp_path / "run", 0)
    assert evaluate_run(tmp_path / "run", places, "val")[2].mr > CHANCE


def test_msa_without_its_scales_trains(places, tmp_path):
    train_run(experiment("msa", multi_scale=False), places, tmp_path / "run", 0)
    assert evaluate_run(tmp_path / "run", places, "val")[2].mr > FACTOR * CHANCE
    assert not [name for name in weights(tmp_path / "run") if name.startswith("matching.")]


@pytest.mark.parametrize("system", sorted(SYSTEMS))
def test_a_run_that_was_cut_off_goes_on_and_ends_alike(system, places, tmp_path, monkeypatch):
    asked = experiment(system, epochs=4, views=2, drop=0.2)
    train_run(asked, places, tmp_path / "whole", 3)
    real = trainer._epoch

    def cut_off(*arguments):
        if arguments[5] == 2:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(trainer, "_epoch", cut_off)
    with pytest.raises(KeyboardInterrupt):
        train_run(asked, places, tmp_path / "cut", 3)
    monkeypatch.setattr(trainer, "_epoch", real)
    train_run(asked, places, tmp_path / "cut", 3)
    first, second = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)

    def curve(name):
        lines = (tmp_path / name / "scalars.jsonl").read_text().splitlines()
        return [{k: v for k, v in json.loads(x).items() if k != "seconds"} for x in lines]

    assert curve("whole") == curve("cut")


def test_seeds_give_different_runs(places, tmp_path):
    for seed in (0, 1):
        train_run(experiment(epochs=1), places, tmp_path / str(seed), seed)
    first, second = weights(tmp_path / "0"), weights(tmp_path / "1")
    assert not torch.equal(first["heads.image.wide.weight"], second["heads.image.wide.weight"])


def test_training_reads_no_picture_but_of_its_split(places, tmp_path):
    import shutil

    train = set(open_split(places.annotations, "train").images)
    shutil.copytree(places.images, tmp_path / "images")
    for path in (tmp_path / "images").iterdir():
        if path.name not in train:
            path.unlink()
    alone = Places(places.annotations, tmp_path / "images", tmp_path / "features")
    train_run(experiment(epochs=1), alone, tmp_path / "run", 0)


def test_it_stops_when_nothing_gets_better(places, tmp_path, monkeypatch):
    values = iter([50.0, 60.0, 59.0, 60.0, 58.0, 99.0])
    monkeypatch.setattr(training, "mean_recall", lambda dataset, scores: next(values))
    asked = experiment(epochs=6)
    asked = parse_experiment(
        {**asked.to_json(), "training": {**asked.to_json()["training"], "patience": 3}},
        "dual-encoder",
        "here",
    )
    done = train_run(asked, places, tmp_path / "run", 0)
    assert (done.epoch, done.cut_mr, len(done.curve)) == (2, 60.0, 5)


def test_wrong_captions_hurt_and_stand_in_the_run(places, tmp_path):
    pairs = fitting_pairs(open_split(places.annotations, "train"))
    write_noise(tmp_path / "n.json", make_noise(pairs, PERMUTED, 0.8))
    train_run(experiment(), places, tmp_path / "clean", 0)
    train_run(experiment(), places, tmp_path / "noisy", 0, tmp_path / "n.json")
    clean, noisy = (evaluate_run(tmp_path / n, places, "val")[2] for n in ("clean", "noisy"))
    assert noisy.mr < clean.mr
    assert "permuted 80%" in noisy.method
    with pytest.raises(UsageError, match="another noise"):
        train_run(experiment(), places, tmp_path / "clean", 0, tmp_path / "n.json")


def test_another_question_for_the_same_folder_is_refused(places, tmp_path):
    train_run(experiment(epochs=1), places, tmp_path / "run", 0)
    with pytest.raises(UsageError, match="another seed"):
        train_run(experiment(epochs=1), places, tmp_path / "run", 1)
    with pytest.raises(UsageError, match="another experiment"):
        train_run(experiment(epochs=2), places, tmp_path / "run", 0)


def test_unfinished_and_damaged_runs_are_named(places, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="holds no run"):
        evaluate_run(tmp_path / "run", places, "val")
    train_run(experiment(epochs=1), places, tmp_path / "run", 0)
    monkeypatch.setattr("trsllava.compare.opened.load_backbone", lambda settings: TinyBackbone("2"))
    with pytest.raises(InputError, match=r"other features \(revision differ"):
        evaluate_run(tmp_path / "run", places, "val")
    see_tiny(monkeypatch)
    (tmp_path / "run" / "weights.safetensors").write_bytes(b"nothing")
    with pytest.raises(StoreDamaged, match="weights"):
        evaluate_run(tmp_path / "run", places, "val")
    (tmp_path / "run" / "trained.json").unlink()
    with pytest.raises(InputError, match="not finished"):
        evaluate_run(tmp_path / "run", places, "val")
    (tmp_path / "run" / "checkpoint.pt").write_bytes(b"nothing")
    with pytest.raises(StoreDamaged, match="checkpoint"):
        train_run(experiment(epochs=1), places, tmp_path / "run", 0)


def test_a_loss_that_is_no_number_ends_the_run(places, tmp_path):
    with pytest.raises(TrsllavaError, match="lower 'rate'"):
        train_run(experiment(temperature=1e-40), places, tmp_path / "run", 0)


def test_the_rate_rises_and_falls():
    assert pace(0, 10, 110) == pytest.approx(0.1)
    assert pace(9, 10, 110) == pytest.approx(1)
    assert pace(60, 10, 110) == pytest.approx(0.5)
    assert pace(110, 10, 110) == pytest.approx(0)


def test_the_table_has_means_and_deviations_over_seeds(places, tmp_path):
    from trsllava.compare.runs import write_evaluation

    folders = [tmp_path / str(seed) for seed in range(2)]
    for seed, folder in enumerate(folders):
        train_run(experiment(epochs=1), places, folder, seed)
        with pytest.raises(InputError, match="was not evaluated"):
            table([folder])
        body = evaluate_run(folder, places, "val")[2].to_json()
        body["mr"] = 10.0 + 2 * seed
        write_evaluation(folder, "val", body)
    (row,) = table(folders)
    assert row.seeds == (0, 1)
    assert row.figures["mr"].mean == 11
    assert row.figures["mr"].deviation == pytest.approx(2**0.5)
    assert str(row.figures["mr"]) == "11.00 ± 1.41"
    assert "mR 11.00 ± 1.41" in table_lines([row])[0]
    assert "what differs: everything" in "".join(table_lines([row]))
    assert row.to_json()["figures"]["mr"] == {"mean": 11.0, "sd": 1.41}
    with pytest.raises(InputError, match="same seed"):
        table([folders[0], folders[0]])
    assert str(Figure.of([3.0])) == "3.00"


def test_views_are_averaged(places, tmp_path):
    import numpy as np

    from trsllava.compare.material import score

    folder = tmp_path / "run"
    train_run(experiment(epochs=2, views=4), places, folder, 0)
    opened = open_run(folder, places, "val", views=2)
    each = [
        score(
            opened.system,
            cache.seen(TinyBackbone(), places.images, opened.dataset.images, view, places.features),
            opened.words,
            opened.rows,
        )
        for view in cache.VIEWS[:2]
    ]
    assert not np.array_equal(*each)
    np.testing.assert_allclose(opened.scores(), (each[0] + each[1]) / 2, rtol=1e-5)
    np.testing.assert_array_equal(open_run(folder, places, "val").scores(), each[0])


@pytest.mark.parametrize("system", sorted(SYSTEMS))
def test_the_shipped_experiment_is_complete(system):
    asked = read_experiment(shipped(system), system)
    assert asked.training == TrainingSettings(
        **asked.to_json()["training"] | {"betas": (0.9, 0.98)}
    )
    from dataclasses import fields
    from importlib import import_module

    module = import_module(SYSTEMS[system].split(":")[0])
    (kind,) = [v for n, v in vars(module).items() if n.endswith("Settings") and n != "settings_of"]
    assert set(asked.system) == {one.name for one in fields(kind)}
    assert asked.system == {one.name: one.default for one in fields(kind)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "other"}, "is of the system 'other'"),
        ({"trainin": {}}, "no 'trainin'"),
        ({"training": {"epoch": 3}}, "no 'epoch'"),
        ({"training": {"epochs": 3.5}}, "epochs = 3.5 must be like 20, a int"),
        ({"training": {"epochs": True}}, "must be like 20"),
        ({"training": 3}, "must be a table"),
        ({"paper": {"method": []}}, "no 'method'"),
    ],
)
def test_an_experiment_that_makes_no_sense_is_refused_by_name(change, message):
    body = {"name": "dual-encoder", "backbone": {"name": "tiny"}, **change}
    with pytest.raises(InputError, match=message):
        parse_experiment(body, "dual-encoder", "here.toml")


def test_an_unknown_setting_of_a_system_is_refused(places, tmp_path):
    with pytest.raises(InputError, match="no 'hiden'"):
        train_run(experiment(hiden=3), places, tmp_path / "run", 0)


def test_weights_and_checkpoints_of_another_run_or_with_a_changed_bit_are_refused(places, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    train_run(experiment(epochs=2), places, first, 0)
    train_run(experiment(epochs=2), places, second, 1)
    again = {
        "weights.safetensors": lambda: evaluate_run(first, places, "val"),
        "checkpoint.pt": lambda: train_run(experiment(epochs=2), places, first, 0),
    }
    for name, use in again.items():
        own, other = (folder / name for folder in (first, second))
        sound = own.read_bytes()
        changed = bytearray(sound)
        changed[len(changed) // 2] ^= 0x40
        for body in (bytes(changed), other.read_bytes()):
            own.write_bytes(body)
            with pytest.raises(StoreDamaged, match=f"{name} is damaged or of another run"):
                use()
        own.write_bytes(sound)
        (first / "trained.json").unlink(missing_ok=True)  # so that training goes on


def test_a_split_that_the_run_may_have_learnt_from_is_warned_of(places, tmp_path):
    folder = tmp_path / "run"
    train_run(experiment(epochs=1), places, folder, 0)
    assert evaluate_run(folder, places, "val")[2].warnings == ()
    assert "this very split" in evaluate_run(folder, places, "train")[2].warnings[0]
    body = json.loads(places.annotations.read_text())
    for image in body["images"]:
        image["split"] = {"train": "val", "val": "train"}[image["split"]]
    turned = tmp_path / "turned.json"
    turned.write_text(json.dumps(body))
    result = evaluate_run(folder, Places(turned, places.images, places.features), "val")[2]
    assert "another train split" in result.warnings[0]


@pytest.mark.parametrize(
    ("key", "value"),
    [("clip", 0.0), ("rate", -1.0), ("rate", float("nan")), ("warmup", -1), ("betas", [0.9])],
)
def test_settings_that_no_training_can_go_by_are_named(key, value):
    body = {"name": "dual-encoder", "backbone": {"name": "tiny"}, "training": {key: value}}
    with pytest.raises(UsageError, match=f"{key} = .* makes no sense"):
        parse_experiment(body, "dual-encoder", "here.toml")


def test_published_figures_are_of_the_same_noise():
    from trsllava.compare.table import _same_noise

    permuted = {"kind": "permuted", "rate": 0.4}
    assert _same_noise("RRSITR (40% noise)", permuted)
    assert not _same_noise("RRSITR (0% noise)", permuted)
    assert not _same_noise("MSA", permuted)
    assert not _same_noise("RRSITR (40% noise)", {"kind": "other-class", "rate": 0.4})
    assert _same_noise("RRSITR (0% noise)", None)
    assert _same_noise("MSA", None)
    assert not _same_noise("RRSITR (20% noise)", None)
