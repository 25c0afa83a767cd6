"""The command line: what it prints where, and how it ends."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

VARIANTS = [
    {"one_sentence": f"a red field {n}", "feature": f"grass {n}", "caption": f"A plain field {n}."}
    for n in range(5)
]


def trsllava(*arguments, cwd, **options):
    environment = {**os.environ, "COLUMNS": "100", **options.pop("env", {})}
    environment.pop("TRSLLAVA_STORE", None)
    return subprocess.run(
        [sys.executable, "-m", "trsllava", *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """A folder with an indexed store: a field at a place and time, and two hostile records."""
    home = tmp_path_factory.mktemp("cli")
    hostile = "</script><script>alert(1)</script> {{7*7}} \u202e \x1b[31mred\x1b[0m"
    lines = [
        {
            "image": "field.jpg",
            "variants": VARIANTS,
            "bbox": [-122.6, 37, -122.4, 38],
            "datetime": "2024-06-01",
        },
        {"image": "<img src=x onerror=alert(1)>.jpg", "caption": hostile},
        {"image": "line\nbreak.jpg", "caption": "=HYPERLINK(1) a lighthouse"},
    ]
    (home / "r.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert trsllava("import", "r.jsonl", cwd=home).returncode == 0
    assert trsllava("index", cwd=home).returncode == 0
    return home


@pytest.mark.parametrize(
    "box",
    [
        ["--bbox", "-122.5,37.0,-121.5,38.0"],
        ["--bbox=-122.5,37.0,-121.5,38.0"],
        ["--bbox", " -122.5, 37.0, -121.5, 38.0"],
    ],
)
def test_a_box_may_begin_with_a_minus(archive, box):
    done = trsllava("query", "a field", *box, "--json", cwd=archive)
    assert [hit["image"] for hit in json.loads(done.stdout)["hits"]] == ["field.jpg"]


@pytest.mark.parametrize(
    "box", ["37,-122.5,38,-121.5", "0,50,1,40", "1,2,3", "a,b,c,d", "nan,0,1,1"]
)
def test_a_box_that_is_none_is_a_usage_error_that_names_the_order(archive, box):
    done = trsllava("query", "a field", f"--bbox={box}", cwd=archive)
    assert done.returncode == 2
    assert "W,S,E,N" in done.stderr


def test_a_query_may_begin_with_a_dash(archive):
    done = trsllava("query", "--json", "--", "-field", cwd=archive)
    assert done.returncode == 0
    assert json.loads(done.stdout)["query"] == "-field"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["query", ""], "empty"),
        (["query"], "give a TEXT"),
        (["query", "a", "--queries", "q.txt"], "give a TEXT"),
        (["query", "--queries", "q.txt", "--paths"], "not --queries"),
        (["query", "a", "--since", "yesterday"], "--since: 'yesterday'"),
        (["query", "a", "--top", "0"], "--top"),
        (["query", "a", "--mode", "magic"], "hybrid, dense, lexical"),
        (["query", "a", "--sort", "size"], "score or date"),
        (["query", "a", "--min-score", "3"], "between 0 and 1"),
        (["query", "a", "--where", "novalue"], "KEY=VALUE"),
        (["query", "a", "--records", "gpt"], "imported"),
        (["query", "a", "--frobnicate"], "frobnicate"),
        (["export", "out.xyz"], "geojson"),
    ],
)
def test_a_call_that_makes_no_sense_exits_with_2_and_says_why(archive, arguments, message):
    done = trsllava(*arguments, cwd=archive)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_errors_exit_with_1_and_one_line_that_names_the_remedy(archive, tmp_path):
    for arguments, message in (
        (["query", "a", "--store", "nowhere"], "no store at nowhere"),
        (["status", "--store", "nowhere"], "no store at nowhere"),
        (["import", "missing.jsonl"], "missing.jsonl"),
        (["import", "r.jsonl", "--images", "nowhere"], "nowhere is not a folder"),
        (["index", "--embedder", "frob"], "minilm"),
        (["remove", "unknown.jpg"], "unknown.jpg"),
        (["evaluate", "--dataset", "rsicd", "--annotations", "r.jsonl"], "r.jsonl"),
    ):
        done = trsllava(*arguments, cwd=archive)
        assert done.returncode == 1, (arguments, done)
        assert message in done.stderr
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
    empty = trsllava("import", "r.jsonl", cwd=tmp_path)
    assert empty.returncode == 1


def test_hostile_text_reaches_the_terminal_the_page_and_csv_as_text_only(archive):
    done = trsllava("query", "alert", "--min-score", "0", "--html", "page.html", cwd=archive)
    assert done.returncode == 0
    for unsafe in ("\x1b", "\u202e", "line\nbreak"):
        assert unsafe not in done.stdout
    assert "\\x1b[31mred" in done.stdout
    page = (archive / "page.html").read_text(encoding="utf-8")
    for unsafe in ("<script", "<img src=x", "\x1b", "\u202e", "49 "):
        assert unsafe not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "{{7*7}}" in page
    assert trsllava("export", "out.csv", cwd=archive).returncode == 0
    import csv

    with (archive / "out.csv").open(encoding="utf-8", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "@", "\t", "\r"))]
    assert any(cell.startswith("'=HYPERLINK") for cell in cells)


def test_many_queries_from_a_file_give_a_trec_run_or_json_lines(archive):
    (archive / "q.txt").write_text("q1\ta red field\nq2\ta lighthouse\n\n", encoding="utf-8")
    run = trsllava("query", "--queries", "q.txt", "--top", "3", cwd=archive).stdout.splitlines()
    rows = [line.split() for line in run]
    assert all(len(row) == 6 for row in rows)
    assert [row[0] for row in rows] == ["q1"] * 3 + ["q2"] * 3
    assert [row[3] for row in rows] == ["1", "2", "3"] * 2
    for key in ("q1", "q2"):
        scores = [float(row[4]) for row in rows if row[0] == key]
        assert scores == sorted(set(scores), reverse=True)
    from trsllava.interchange.trec import unescape

    assert unescape(rows[3][2]) == "line\nbreak.jpg"
    lines = trsllava("query", "--queries", "q.txt", "--json", cwd=archive).stdout.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["q1", "q2"]
    (archive / "bad.txt").write_text("q1\ta\nq1\tb\n")
    twice = trsllava("query", "--queries", "bad.txt", cwd=archive)
    assert (twice.returncode, "line 2" in twice.stderr) == (1, True)


def test_bad_lines_set_aside_end_with_3_and_are_counted(tmp_path):
    good = json.dumps({"image": "a.jpg", "variants": VARIANTS})
    (tmp_path / "r.jsonl").write_text(f'{good}\n{{"image": "b.jpg", "variants": 7}}\nnot json\n')
    refused = trsllava("import", "r.jsonl", cwd=tmp_path)
    assert refused.returncode == 1
    assert "r.jsonl, line 2" in refused.stderr
    assert "--skip-bad" in refused.stderr
    assert json.loads(trsllava("status", "--json", cwd=tmp_path).stdout)["images"] == 0
    for _ in range(2):  # again: nothing is counted twice
        done = trsllava("import", "r.jsonl", "--skip-bad", "--json", cwd=tmp_path)
        assert done.returncode == 3
        status = json.loads(trsllava("status", "--json", cwd=tmp_path).stdout)
        counts = [status[key] for key in ("images", "records", "quarantined", "pending")]
        assert counts == [2, 1, 1, 0]
        assert status["bad_lines"] == 1
        assert status["fingerprint"]
        assert status["index"] is None


def test_a_page_and_paths_show_the_pictures_of_the_store(tmp_path):
    from PIL import Image

    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (64, 32), "red").save(tmp_path / "pictures" / "a.jpg")
    (tmp_path / "pictures" / "b.jpg").write_bytes(b"no picture")
    rows = [{"image": f"{n}.jpg", "variants": VARIANTS} for n in "abc"]
    (tmp_path / "r.jsonl").write_text("\n".join(map(json.dumps, rows)))
    done = trsllava("import", "r.jsonl", "--images", "pictures", cwd=tmp_path)
    assert "1 of the images are not in pictures" in done.stderr
    trsllava("index", cwd=tmp_path)
    done = trsllava("query", "a red field", "--paths", "--html", "p.html", cwd=tmp_path)
    assert [line.rsplit("/", 2)[1:] for line in done.stdout.splitlines()] == [
        ["pictures", "a.jpg"],
        ["pictures", "b.jpg"],
    ]
    page = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == 1
    assert "picture cannot be read" in page
    assert "picture not at hand" in page


def test_an_import_from_the_wrong_folder_of_pictures_changes_nothing(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "r.jsonl").write_text(json.dumps({"image": "a.jpg", "variants": VARIANTS}))
    done = trsllava("import", "r.jsonl", "--images", "empty", cwd=tmp_path)
    assert done.returncode == 1
    assert "none of the 1 images" in done.stderr
    assert json.loads(trsllava("status", "--json", cwd=tmp_path).stdout)["records"] == 0


def test_a_reader_that_goes_away_ends_the_command_in_silence(archive):
    (archive / "many.txt").write_text("a field\n" * 3000, encoding="utf-8")
    command = [sys.executable, "-m", "trsllava", "query", "--queries", "many.txt"]
    process = subprocess.Popen(
        command, cwd=archive, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(60) != 0


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_import_ends_with_130_and_says_how_to_go_on(tmp_path, how):
    with (tmp_path / "r.jsonl").open("w") as file:
        for number in range(60_000):
            file.write(json.dumps({"image": f"{number}.jpg", "variants": VARIANTS}) + "\n")
    command = [sys.executable, "-m", "trsllava", "import", "r.jsonl"]
    # A shell's background job ignores Ctrl-C, and so would what it starts, these tests included.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    journal = tmp_path / "trsllava-store" / "journal"
    while not list(journal.glob("*")) and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(how)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "run the same command again" in stderr
    assert "Traceback" not in stderr
    assert trsllava("import", "r.jsonl", cwd=tmp_path).stdout.startswith("60000 records added")


def test_help_imports_nothing_heavy():
    script = (
        "import sys, trsllava.cli.app, trsllava\n"
        "heavy = 'numpy pandas faiss onnxruntime torch PIL jinja2 pydantic'.split()\n"
        "print(sorted(set(heavy) & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_command_that_lacks_its_extra_names_it(archive):
    script = (
        "import sys\n"
        "sys.modules['pyarrow'] = sys.modules['sentence_transformers'] = None\n"
        "from trsllava.cli import main\n"
        "sys.argv = ['trsllava', *sys.argv[1:]]\n"
        "main()"
    )
    for arguments, extra in (
        (["export", "out.parquet"], "trsllava[parquet]"),
        (["index", "--embedder", "some/model"], "trsllava[st]"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments], cwd=archive, capture_output=True, text=True
        )
        assert done.returncode == 1
        assert extra in done.stderr
