"""The wheel holds all that a user needs, and runs outside the checkout."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)]
    subprocess.run([*command, str(REPOSITORY)], check=True, capture_output=True, timeout=300)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """A new environment with the wheel; only the packages it needs are borrowed from this one."""
    home = tmp_path_factory.mktemp("fresh") / "env"
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    install = ["-m", "pip", "install", "--no-index", "--no-deps", "--quiet", str(wheel)]
    subprocess.run([str(python), *install], check=True, timeout=300)
    (site,) = home.glob("lib/python*/site-packages")
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def run(python, *arguments, cwd):
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return subprocess.run(
        [str(python), *map(str, arguments)],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_the_wheel_holds_data_models_and_licences_and_stays_small(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for name in (
        "trsllava/py.typed",
        "trsllava/models/light/eye.onnx",
        "trsllava/models/light/writer.onnx",
        "trsllava/models/minilm/model.onnx",
        "trsllava/audit/page.html",
        "trsllava/search/page.html",
        "trsllava/_bundled/datasets/query_bank.txt",
        "trsllava/_bundled/datasets/sample_archive.py",
        "trsllava/_bundled/pipelines/evaluation.py",
        "trsllava/_bundled/prompts/rsrt.txt",
    ):
        assert name in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert any(name.endswith("licenses/NOTICE") for name in names)
    assert wheel.stat().st_size < 90e6


def test_the_installed_wheel_runs_the_demo_outside_the_checkout(python, tmp_path):
    where = run(python, "-c", "import trsllava; print(trsllava.__file__)", cwd=tmp_path)
    assert str(REPOSITORY) not in where.stdout, where.stderr
    program = python.parent / "trsllava"
    done = run(program, "demo", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "harbour_01" in done.stdout
    assert (tmp_path / "out" / "results.html").stat().st_size > 10_000


def test_shipped_files_are_found_alike_in_the_checkout_and_in_the_wheel(python, tmp_path):
    from trsllava import resources

    script = "from trsllava import resources; print(resources.find('datasets/query_bank.txt'))"
    found = run(python, "-c", script, cwd=tmp_path).stdout.strip()
    here = resources.find("datasets/query_bank.txt")
    assert "_bundled" in found
    assert Path(found).read_bytes() == here.read_bytes()


def test_a_stranger_s_datasets_package_beside_the_wheel_is_not_taken_for_ours(python, tmp_path):
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "query_bank.txt").write_text("not ours")
    script = "from trsllava import resources; print(resources.find('datasets/query_bank.txt'))"
    assert "_bundled" in run(python, "-c", script, cwd=tmp_path).stdout
