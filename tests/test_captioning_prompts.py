"""Prompts: shipped ones, a user's own, the command that shows them, and the schema."""

import json
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from trsllava.captioning.prompts import load_prompt, shipped_prompts
from trsllava.captioning.replies import read_reply
from trsllava.captioning.schema import LONGEST, record_schema
from trsllava.cli.prompts import prompts
from trsllava.errors import InputError, UsageError
from trsllava.records import FIELDS, VARIANTS


def written(tmp_path, text, name="mine.txt"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_prompt(str(path))


def shown(*arguments):
    app = typer.Typer()
    app.command()(prompts)
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_the_shipped_prompts_have_names_outputs_and_what_they_forbid():
    found = {prompt.name: prompt for prompt in shipped_prompts()}
    assert {name: prompt.output for name, prompt in found.items()} == {
        "query": "query",
        "repair": "repair",
        "rsrt": "record",
    }
    for name in ("rsrt", "query"):
        assert found[name].forbids == ("percentages", "places")
        assert found[name].language == "en"
        assert "north is up" in found[name].text
    assert found["repair"].text.count("{problem}") == 1
    assert all(field in found["rsrt"].text for field in FIELDS)


def test_the_prompt_for_records_shows_a_form_that_no_check_takes_for_a_record():
    with pytest.raises(InputError):
        read_reply(load_prompt("rsrt").text)


def test_a_file_of_ones_own_is_read_with_its_header(tmp_path):
    prompt = written(
        tmp_path,
        "name: harbours\nversion: 3\noutput: record\nforbids: places,percentages\n"
        "language: pt-BR\n\nCount the ships.\n\nname: this is text\n",
    )
    assert prompt.name == "harbours"
    assert prompt.version == 3
    assert prompt.forbids == ("percentages", "places")
    assert prompt.language == "pt"
    assert prompt.text == "Count the ships.\n\nname: this is text"


def test_a_file_without_a_header_is_a_prompt_for_records_named_after_the_file(tmp_path):
    prompt = written(tmp_path, "Count the ships: all of them.\nAnswer in JSON.\n", "ships.md")
    assert (prompt.name, prompt.version, prompt.output) == ("ships", 1, "record")
    assert prompt.forbids == ()
    assert prompt.language is None
    assert prompt.text == "Count the ships: all of them.\nAnswer in JSON."


def test_the_digest_changes_with_every_part_and_not_with_how_the_file_is_written(tmp_path):
    base = "name: a\nversion: 1\n\nCount the ships.\nAll of them.\n"
    same = [
        base.replace("\n", "\r\n"),
        "\ufeff" + base,
        base + "\n\n",
        "version:  1 \nname: a\noutput: record\n\nCount the ships.  \nAll of them.",
    ]
    other = [
        base.replace("name: a", "name: b"),
        base.replace("1", "2"),
        base.replace("All", "Some"),
        base.replace("version: 1", "forbids: places"),
        base.replace("version: 1", "language: en"),
        base.replace("version: 1", "output: query"),
    ]
    digest = written(tmp_path, base).sha256
    assert len(digest) == 64
    assert [written(tmp_path, text).sha256 for text in same] == [digest] * len(same)
    assert len({digest, *(written(tmp_path, text).sha256 for text in other)}) == len(other) + 1
    assert written(tmp_path, base).identity() == {"name": "a", "version": 1, "sha256": digest}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "holds no text"),
        (" \n\n", "holds no text"),
        ("name: a\nversion: 1\n", "holds no text"),
        ("name: a\nversion: one\n\nx", "whole number, not 'one'"),
        ("name: a\nversion: -1\n\nx", "whole number"),
        ("name: a\noutput: prose\n\nx", "output must be one of record, query, repair"),
        ("name: a\nforbids: places, cats\n\nx", "not cats"),
        ("name: a\nlanguage: tlh\n\nx", "'tlh' cannot be checked"),
        ("name: a\nauthor: me\n\nx", r"mine\.txt:2: no header line"),
        ("name: a\nname: b\n\nx", r"mine\.txt:2: 'name' stands in the header twice"),
        (b"\xff\xfe\x00", "not UTF-8"),
        ("x" * 70_000, "larger than 64 KiB"),
    ],
)
def test_a_file_that_is_no_prompt_says_why(tmp_path, text, says):
    with pytest.raises(InputError, match=says) as caught:
        written(tmp_path, text)
    assert "mine.txt" in str(caught.value)


@pytest.mark.parametrize("name", ["rsrt2", "", "a\0b", "x" * 5000, "/", "../prompts", "rsrt.txt"])
def test_an_unknown_name_lists_the_known_ones(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="query, repair, rsrt"):
        load_prompt(name)


def test_a_shipped_name_goes_before_a_file_of_that_name(tmp_path, monkeypatch):
    (tmp_path / "rsrt").write_text("Say nothing.")
    monkeypatch.chdir(tmp_path)
    assert load_prompt("rsrt") in shipped_prompts()
    assert load_prompt("./rsrt").text == "Say nothing."


def test_the_command_lists_each_prompt_on_a_line():
    lines = shown().splitlines()
    for line, prompt in zip(lines, shipped_prompts(), strict=True):
        name, version, output, digest, first = line.split(maxsplit=4)
        assert name == prompt.name
        assert version == f"v{prompt.version}"
        assert output == prompt.output
        assert digest == prompt.sha256[:12]
        assert prompt.text.startswith(first)


def test_the_command_shows_a_prompt_as_it_is():
    assert shown("rsrt") == load_prompt("rsrt").text + "\n"


def test_the_command_prints_json_of_all_and_of_one():
    listed = json.loads(shown("--json"))["prompts"]
    assert [entry["name"] for entry in listed] == ["query", "repair", "rsrt"]
    one = json.loads(shown("rsrt", "--json"))
    assert one == listed[2]
    assert one["sha256"] == load_prompt("rsrt").sha256
    assert one["text"] == load_prompt("rsrt").text


def test_the_command_prints_a_hostile_file_harmlessly(tmp_path):
    (tmp_path / "evil.txt").write_text("\x1b[31mred\u202e\nx")
    assert shown(str(tmp_path / "evil.txt")) == "\\x1b[31mred\\u202e\nx\n"


def test_the_schema_asks_for_five_full_variants_and_resolves_nothing():
    schema = record_schema()
    assert "$ref" not in json.dumps(schema)
    assert schema["additionalProperties"] is False
    variants = schema["properties"]["variants"]
    assert variants["minItems"] == variants["maxItems"] == VARIANTS
    item = variants["items"]
    assert item["required"] == list(FIELDS) == list(item["properties"])
    assert item["additionalProperties"] is False
    for name, text in item["properties"].items():
        assert text == {"type": "string", "minLength": 1, "maxLength": LONGEST[name]}


def test_what_fits_the_schema_is_read_as_a_record():
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    body = {"variants": [{name: "x" * LONGEST[name] for name in FIELDS}] * VARIANTS}
    jsonschema.validate(body, record_schema())
    assert len(read_reply(json.dumps(body)).variants) == VARIANTS
    body["variants"] = body["variants"][:4]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(body, record_schema())


def test_the_dialogue_and_the_stub_load_no_heavy_library():
    code = (
        "import sys, trsllava.captioning.dialogue, trsllava.testing, trsllava.cli.prompts;"
        "print(sorted({'numpy', 'PIL', 'torch', 'pandas', 'openai'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
