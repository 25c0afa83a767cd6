"""The README says what happens, and everything that can be typed or imported is in the docs."""

import doctest
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import trsllava
from trsllava.cli.app import app
from trsllava.testing.server import StubServer

REPOSITORY = Path(__file__).resolve().parents[1]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
COMMANDS = {c.name: c for c in typer.main.get_command(app).commands.values()}


def examples():
    """Every command of the README's console blocks with the output that stands below it."""
    for block in re.findall(r"^```console\n(.*?)^```", README, re.M | re.S):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, output = part.partition("\n")
            yield command, output


def test_the_readme_s_commands_print_what_it_says(tmp_path):
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    environment = {**os.environ, "COLUMNS": "200", "TRSLLAVA_STORE": "painted"}
    found = list(examples())
    assert len(found) > 15
    with StubServer() as server:
        run_examples(found, server.address, tmp_path, environment, options)


def run_examples(found, address, tmp_path, environment, options):
    check = doctest.OutputChecker().check_output
    for command, expected in found:
        words = shlex.split(command.replace("http://127.0.0.1:8000/v1", address))
        if words == ["make", "demo"]:
            words = ["trsllava", "demo"]
        assert Path(words[0]).name == "trsllava"
        done = subprocess.run(
            [sys.executable, "-m", "trsllava", *words[1:]],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout
        assert not expected or check(expected, done.stdout, options), f"$ {command}\n{done.stdout}"


def section(name):
    """The README's section on a command; some commands share one."""
    for heading, body in re.findall(r"^### (.*?)\n(.*?)(?=^##)", README, re.M | re.S):
        if name in re.split(r",\s*", heading):
            return body
    raise AssertionError(f"the README has no section on {name}")


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_and_option_is_documented(name):
    body = section(name)
    command = COMMANDS[name]
    assert command.help
    for parameter in command.params:
        assert parameter.help, parameter.name
        if parameter.param_type_name == "argument":
            assert (parameter.metavar or "").split(".")[0] in body
        else:
            options = [option for option in parameter.opts if option.startswith("--")]
            assert any(option in body for option in options), f"{name}: {options}"


def test_every_public_name_is_documented_and_there():
    assert trsllava.__all__ == sorted(trsllava.__all__)
    for name in trsllava.__all__:
        assert f"trsllava.{name}" in README
        assert getattr(trsllava, name) is not None


def test_every_extra_is_documented():
    import tomllib

    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    for extra in project["optional-dependencies"]:
        assert extra in README or extra in (REPOSITORY / "CONTRIBUTING.md").read_text()


def test_every_link_of_the_documentation_leads_somewhere():
    pages = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md"]
    pages += sorted((REPOSITORY / "docs").glob("*.md"))
    for page in pages:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"
