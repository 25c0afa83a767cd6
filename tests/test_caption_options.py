"""Options of `trsllava caption`, each as a user types it."""

import json
import os
import pty
import subprocess
import sys

import pytest
from jobs_kit import paint, paint_archive
from PIL import Image
from test_caption_command import asking, command, run, status

from trsllava.testing.server import StubServer


@pytest.fixture
def archive(tmp_path):
    return paint_archive(tmp_path / "in", 20)


@pytest.fixture
def server():
    with StubServer() as running:
        yield running


def test_a_dry_run_counts_and_leaves_no_trace(tmp_path, archive, server):
    (archive / "notes.xml").write_text("x")
    done = run(tmp_path, *asking(server, "in", "--dry-run", "--price", "1,2"))
    lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert lines["images"].startswith("20, 20 of them not in the store")
    assert "1" in lines["skipped"]
    assert "20 x" not in lines["cost"]
    assert not (tmp_path / "s").exists()
    assert server.calls == []
    run(tmp_path, *asking(server, "in"))
    done = run(tmp_path, *asking(server, "in", "--dry-run"))
    assert "20, 0 of them" in done.stdout


def test_metadata_joins_by_image_and_serves_the_filters(tmp_path, archive, server):
    (tmp_path / "meta.csv").write_text(
        "image,datetime,west,south,east,north,sensor\n"
        "0000.png,2024-06-01,10,50,11,51,A\n0001.png,2020-01-01,20,50,21,51,B\n"
    )
    done = run(tmp_path, *asking(server, "in", "--metadata", "meta.csv"))
    assert "18 images are not in the metadata file" in done.stderr
    run(tmp_path, "index", "--store", "s")

    def images(*options):
        found = run(tmp_path, "query", "a field", "--store", "s", "--json", *options)
        return [hit["image"] for hit in json.loads(found.stdout)["hits"]]

    assert images("--since", "2024-01-01") == ["0000.png"]
    assert images("--bbox=19,49,22,52") == ["0001.png"]
    assert images("--where", "sensor=B") == ["0001.png"]


def test_a_terminal_gets_one_moving_line(tmp_path, archive, server):
    leader, follower = pty.openpty()
    job = subprocess.Popen(
        command(*asking(server, "in")), cwd=tmp_path, stdout=subprocess.PIPE, stderr=follower
    )
    job.wait(60)
    os.close(follower)
    shown = os.read(leader, 65536).decode()
    os.close(leader)
    job.stdout.close()
    assert "\r\x1b[K20 of 20 images" in shown
    assert "tokens" in shown


def test_other_settings_are_said_aloud_with_the_difference(tmp_path, archive, server):
    run(tmp_path, *asking(server, "in"))
    (tmp_path / "mine.txt").write_text("name: mine\noutput: record\n\nSay what is there in JSON.\n")
    done = run(tmp_path, *asking(server, "in", "--prompt", "mine.txt"))
    assert "a new record set" in done.stderr
    assert "captioner.prompt.name: rsrt before, mine now" in done.stderr
    found = status(tmp_path)
    assert [entry.get("prompt") for entry in found["record_sets"]].count("mine") == 1
    done = run(tmp_path, *asking(server, "in"))
    assert "a record set that is there already" in done.stderr
    assert len(server.calls) == 40
    other = next(e["name"] for e in found["record_sets"] if e.get("prompt") == "mine")
    run(tmp_path, "index", "--store", "s", "--records", other)
    hits = run(tmp_path, "query", "a blue field", "--store", "s", "--records", other, "--json")
    assert len(json.loads(hits.stdout)["hits"]) == 10
    refused = run(tmp_path, "query", "a blue field", "--store", "s", expect=1)
    assert "trsllava index" in refused.stderr


def test_a_changed_picture_ends_with_1_and_names_the_remedy(tmp_path, archive, server):
    run(tmp_path, *asking(server, "in"))
    paint(archive / "0000.png", "blue", size=(90, 90))
    done = run(tmp_path, *asking(server, "in"), expect=1)
    assert "0000.png" in done.stderr
    assert "--update" in done.stderr
    run(tmp_path, *asking(server, "in", "--update"))
    assert server.calls[-1]["colour"] == "blue"
    assert status(tmp_path)["records"] == 20


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("in", "--shard", "3/2"), "I/N"),
        (("in", "--bands", "1,2"), "--bands"),
        (("in", "--overlap", "8"), "--tile"),
        (("in", "--max-cost", "1"), "--price"),
        (("in", "--price", "cheap", "--max-cost", "1"), "--price"),
        (("nowhere",), "nowhere"),
        (("in", "--prompt", "nosuch"), "rsrt"),
        (("in", "--captioner", "nosuch"), "transformers"),
    ],
)
def test_a_call_that_makes_no_sense_is_refused_before_anything_is_asked(
    tmp_path, archive, server, options, said
):
    done = subprocess.run(
        command(*asking(server, *options)), cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode in (1, 2), done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert server.calls == []
    if (tmp_path / "s" / "store.json").exists():
        assert status(tmp_path)["images"] == 0


def test_an_empty_folder_says_what_was_looked_for(tmp_path, server):
    (tmp_path / "empty").mkdir()
    done = run(tmp_path, *asking(server, "empty"), expect=1)
    assert "jpg" in done.stderr


def test_the_captioner_that_ships_is_used_where_none_is_named(tmp_path, archive):
    done = run(tmp_path, "caption", "in", "--store", "s")
    assert "20 records, 0 quarantined" in done.stdout
    assert "a large VLM writes far better records" in done.stderr
    done = run(tmp_path, "caption", "in", "--store", "s")
    assert "far better" not in done.stderr  # nothing is written, so nothing could be better


def test_what_a_limited_run_wrote_is_said_though_its_lot_is_not_finished(tmp_path, archive, server):
    done = run(tmp_path, *asking(server, "in", "--limit", "0"))
    assert done.stdout.startswith("0 records, 0 quarantined, 20 pending (record set")
    for asked in (2, 3):
        done = run(tmp_path, *asking(server, "in", "--limit", str(asked)))
    assert "0 quarantined, 20 pending, 5 of them written and kept until" in done.stdout
    done = run(tmp_path, *asking(server, "in"))
    assert done.stdout.startswith("20 records, 0 quarantined (record set")
    assert len(server.calls) == 20


def test_a_raster_that_needs_an_extra_does_not_keep_the_pictures_waiting(tmp_path, archive, server):
    Image.new("I;16", (64, 64), 900).save(archive / "scene.tif")
    asked = asking(server, "in")
    without = (
        "import sys; sys.modules['rasterio'] = None; from trsllava.cli import main;"
        f"sys.argv = ['trsllava', *{asked!r}]; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", without], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 3, done.stderr
    assert done.stdout.startswith("20 records, 1 quarantined")
    assert "scene.tif (needs_geo)" in done.stderr
    pytest.importorskip("rasterio")
    done = run(tmp_path, *asking(server, "in", "--retry-failed"))
    assert done.stdout.startswith("21 records, 0 quarantined")


def test_an_unknown_captioner_is_told_which_there_are(tmp_path, archive):
    done = run(tmp_path, "caption", "in", "--store", "s", "--captioner", "nobody", expect=1)
    for name in ("builtin", "openai", "transformers"):
        assert name in done.stderr
