"""What people met in the field with tools of this kind, tried with the real command from outside.

Each test makes an archive of plain colours, runs `trsllava` in processes of their own against a
stub server that names the colour it sees, and looks at what is in the store: whether every image
has the record of its own colour, a reason, or is pending.
"""

import base64
import io
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tarfile
import time
from collections import Counter
from pathlib import Path
from threading import Event

import numpy as np
import psutil
import pytest
from jobs_kit import COLOURS, balance, paint, paint_archive, sentence
from PIL import Image
from test_caption_command import asking, command, run
from test_images_scenes import tif

from trsllava.errors import TrsllavaError
from trsllava.images.source import Reading
from trsllava.jobs.job import Job, Tally
from trsllava.jobs.pool import run_pool
from trsllava.store.store import open_store
from trsllava.testing.answers import answering
from trsllava.testing.server import StubServer

NAMED = tuple(COLOURS)
SEVERAL = re.compile(rf"\b({'|'.join((*NAMED, 'grey', 'black', 'purple', 'brown'))})\b")


def colours(folder):
    """Return which colour the texts of each record tell."""
    told = {}
    for record in open_store(folder / "s").view():
        texts = json.dumps(record.to_json()["variants"])
        told[record.image] = "/".join(sorted(set(SEVERAL.findall(texts))))
    return told


def counts(folder):
    """Return images, records, quarantined and pending of the store."""
    return balance(open_store(folder / "s").view())


def archive_of(folder, count):
    """Paint an archive and return the colour of each image."""
    paint_archive(folder, count)
    return {f"{number:04d}.png": NAMED[number % len(NAMED)] for number in range(count)}


def twice(server):
    """Return how many calls were about a picture that was sent before."""
    sent = Counter(call["sha256"] for call in server.calls)
    return sent.total() - len(sent)


def in_one_line(done):
    """Check that a command failed in words."""
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error:") == 1
    return done.stderr


def after(first, *arguments):
    """Return a command that begins with something else in its process."""
    script = f"{first}\nimport sys; from trsllava.cli import main\nsys.argv[0] = 'trsllava'; main()"
    return [sys.executable, "-c", script, *arguments]


def hits(folder, *arguments):
    asked = ("query", *arguments, "--store", "s", "--top", "50", "--json")
    return [hit["image"] for hit in json.loads(run(folder, *asked).stdout)["hits"]]


@pytest.fixture
def seen():
    """The pictures that left for the server, decoded."""
    return []


@pytest.fixture
def server(seen):
    def look(asked):
        [uri] = [
            part["image_url"]["url"]
            for message in asked.body["messages"]
            if isinstance(message["content"], list)
            for part in message["content"]
            if part["type"] == "image_url"
        ]
        picture = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
        seen.append(picture.convert("RGB"))
        return answering("ok")(asked)

    with StubServer(look) as running:
        yield running


# Answers


def test_a_model_that_thinks_has_its_answer_read_and_one_that_only_thinks_is_told_so(tmp_path):
    wanted = archive_of(tmp_path / "in", 2)
    with StubServer("think") as server:
        run(tmp_path, *asking(server, "in"))
        assert colours(tmp_path) == wanted
        shutil.rmtree(tmp_path / "s")
        server.mode = "emptythink"
        run(tmp_path, *asking(server, "in"), expect=3)
    found = json.loads(run(tmp_path, "status", "--store", "s", "--json").stdout)
    assert counts(tmp_path) == (2, 0, 2, 0)
    assert {entry["reason"] for entry in found["quarantine"]} == {"reasoning"}
    assert all("--max-tokens" in entry["detail"] for entry in found["quarantine"])


def test_a_server_that_does_not_look_is_noticed_at_once(tmp_path):
    draw = random.Random(3)
    for number in range(30):
        paint(tmp_path / "in" / f"{number}.png", draw.choice(NAMED))
    with StubServer("swap") as server:  # each answer is about the picture before
        done = run(tmp_path, *asking(server, "in"))
        assert "WARNING" in done.stderr
        assert "trsllava audit --store s" in done.stderr
        shutil.rmtree(tmp_path / "s")
        server.mode = "fixed"
        done = run(tmp_path, *asking(server, "in", "--strict"), expect=1)
        assert "may not look" in in_one_line(done)
    assert counts(tmp_path) == (30, 0, 0, 30)


# Pictures


def test_bad_files_stop_nobody_and_each_is_named_with_its_reason(tmp_path, server):
    wanted = archive_of(tmp_path / "in", 40)
    good = (tmp_path / "in" / "0000.png").read_bytes()
    bad = {
        "truncated.png": good[:100],
        "empty.jpg": b"",
        "page.png": b"<html>no picture</html>",
        "dot.png": _png(Image.new("RGB", (1, 1), COLOURS["blue"])),
    }
    for name, content in bad.items():
        (tmp_path / "in" / name).write_bytes(content)
    done = run(tmp_path, *asking(server, "in"), expect=3)
    assert counts(tmp_path) == (44, 40, 4, 0)
    assert colours(tmp_path) == wanted
    assert open_store(tmp_path / "s").view().quarantined == {
        "truncated.png": "truncated",
        "empty.jpg": "empty",
        "page.png": "not_an_image",
        "dot.png": "too_small",
    }
    assert all(name in done.stderr for name in bad)
    assert len(server.calls) == 40
    for name in bad:
        paint(tmp_path / "in" / name, "green")
    run(tmp_path, *asking(server, "in", "--retry-failed"))
    assert counts(tmp_path) == (44, 44, 0, 0)
    assert colours(tmp_path) == wanted | dict.fromkeys(bad, "green")
    assert len(server.calls) == 44


def _png(picture):
    with io.BytesIO() as file:
        picture.save(file, "PNG")
        return file.getvalue()


def test_only_png_and_jpeg_of_sizes_that_models_take_leave_whatever_the_files_are(tmp_path):
    kinds = ("a.webp", "b.tif", "c.bmp", "d.gif", "e.ppm", "f.jpg", "g.png", "h.jp2", "i.JPG")
    wanted = {name: NAMED[number % len(NAMED)] for number, name in enumerate(kinds)}
    for name, colour in wanted.items():
        paint(tmp_path / "in" / name, colour)
    sizes = {"slim.png": (27, 300), "long.png": (690, 15420), "tiny.png": (5, 5)}
    for name, size in sizes.items():
        paint(tmp_path / "in" / name, "blue", size)
    (tmp_path / "in" / "a.webp").rename(tmp_path / "in" / "a.png")  # a wrong suffix
    wanted |= {"a.png": wanted.pop("a.webp"), **dict.fromkeys(sizes, "blue")}
    with StubServer("small") as server:
        run(tmp_path, *asking(server, "in"))
    assert colours(tmp_path) == wanted
    for call in server.calls:
        assert call["type"] == call["real_type"]
        assert call["type"] in ("image/jpeg", "image/png")
        assert 28 <= min(call["size"]) <= max(call["size"]) <= 1024
        assert max(call["size"]) < 200 * min(call["size"])


def test_phone_pictures_are_sent_upright_and_found_in_their_own_hemisphere(tmp_path, server, seen):
    picture = Image.new("RGB", (80, 40), COLOURS["red"])
    picture.paste(COLOURS["blue"], (40, 0, 80, 40))
    places = {"south.jpg": {1: "S", 3: "W"}, "north.jpg": {1: "N", 3: "E"}, "doubtful.jpg": {}}
    for orientation, (name, sides) in enumerate(places.items(), start=6):
        exif = Image.Exif()
        exif[0x0112] = 6
        exif[0x010E] = name
        exif.get_ifd(0x8825).update({2: (23.0, 32.0, 0.0), 4: (46.0, 38.0, 0.0), **sides})
        (tmp_path / "in").mkdir(exist_ok=True)
        picture.save(tmp_path / "in" / name, quality=90 + orientation, exif=exif)
    run(tmp_path, *asking(server, "in"))
    assert [picture.size for picture in seen] == [(40, 80)] * 3
    for picture in seen:
        top, bottom = picture.getpixel((20, 10)), picture.getpixel((20, 70))
        assert top[0] > 150 > top[2]
        assert bottom[2] > 150 > bottom[0]
    run(tmp_path, "index", "--store", "s")
    assert hits(tmp_path, "a field", "--bbox=-46.7,-23.6,-46.6,-23.5") == ["south.jpg"]
    assert hits(tmp_path, "a field", "--bbox=46.6,23.5,46.7,23.6") == ["north.jpg"]


# Archives


def test_dots_in_the_names_of_a_tar_mix_up_no_pictures(tmp_path, server):
    names = (
        "v1.2/a.jpg",
        "v1.2/b.jpg",
        "S2A_2024.tile.3.png",
        "S2A_2024.tile.4.png",
        "9.0/1.1.png",
    )
    wanted = dict(zip(names, NAMED, strict=True))
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for name, colour in wanted.items():
            tar.add(paint(tmp_path / "painted" / name, colour), name)
            label = tarfile.TarInfo(f"{name.rpartition('.')[0]}.txt")
            label.size = 4
            tar.addfile(label, io.BytesIO(b"text"))
    run(tmp_path, *asking(server, "x.tar"))
    assert colours(tmp_path) == wanted
    (tmp_path / "table.tar").write_bytes(b"PAR1" + bytes(5000) + b"PAR1")
    assert "is not a tar" in in_one_line(run(tmp_path, *asking(server, "table.tar"), expect=2))
    assert len(server.calls) == 5


def test_a_catalogue_without_a_server_answers_place_and_time_together(tmp_path, server):
    scenes = {"old": "red", "new": "green", "whole_year": "blue", "undated": "white"}
    dates = {
        "old": {"datetime": "2019-06-15T10:00:00Z"},
        "new": {"datetime": "2024-06-15T10:00:00Z"},
        "whole_year": {
            "datetime": None,
            "start_datetime": "2024-01-01T00:00:00Z",
            "end_datetime": "2024-12-31T23:59:59Z",
        },
        "undated": {"datetime": None},
    }
    links = [{"rel": "child", "href": "./catalog.json"}, {"rel": "item", "href": "./lost.json"}]
    for name, colour in scenes.items():
        pixels = np.empty((3, 64, 64), "uint8")
        pixels[:] = np.reshape(COLOURS[colour], (3, 1, 1))
        tif(tmp_path / f"{name}.tif", pixels)
        item = {
            "type": "Feature",
            "stac_version": "1.1.0",
            "id": name,
            "geometry": None,
            "properties": dates[name],
            "links": [],
            "assets": {"visual": {"href": f"./{name}.tif", "roles": ["data"]}},
        }
        (tmp_path / f"{name}.json").write_text(json.dumps(item))
        links.append({"rel": "item", "href": f"./{name}.json"})
    catalogue = {"type": "Catalog", "stac_version": "1.1.0", "id": "c", "description": "c"}
    (tmp_path / "catalog.json").write_text(json.dumps(catalogue | {"links": links}))
    tif(tmp_path / "nowhere.tif", np.full((3, 50, 80), 15, "uint8"), crs=None, transform=None)
    done = run(tmp_path, *asking(server, "catalog.json", "nowhere.tif"))
    assert "lost.json" in done.stderr
    assert done.stderr.count("does not say where on Earth") == 1
    told = {f"{name}/visual": colour for name, colour in scenes.items()}
    assert colours(tmp_path) == told | {"nowhere.tif": "black"}
    run(tmp_path, "index", "--store", "s")
    here, june = ("--bbox", "14.9,45,15.1,45.3"), ("--since", "2024-06-01", "--until", "2024-06-30")
    assert sorted(hits(tmp_path, "field", *here, *june)) == ["new/visual", "whole_year/visual"]
    assert sorted(hits(tmp_path, "field", *here)) == sorted(told)
    assert "nowhere.tif" not in hits(tmp_path, "field", "--bbox", "0,0,80,50")
    assert len(hits(tmp_path, "field")) == 5


def test_names_are_names_whatever_is_in_them(tmp_path, server):
    names = ("new\nline.png", "q\"uo'te.png", "tab\t.png", "esc\x1b[31m.png", "-dash.png", "*.png")
    names += ("Case.png", "case.PNG", "{0}.png", "a\\b.png", " lead.png", "x" * 251 + ".png")
    names += ("ü" * 125 + ".png", "\u202egnp.png", "%s.png")
    wanted = {name: NAMED[number % len(NAMED)] for number, name in enumerate(names)}
    for name, colour in wanted.items():
        paint(tmp_path / "in" / name, colour)
    paint(tmp_path / "in" / "folder.jpg" / "inner.png", "blue")
    plain = paint(tmp_path / "plain.png")
    os.rename(plain, os.fsencode(tmp_path / "in") + b"/not\xff\xfeutf8.png")
    os.mkfifo(tmp_path / "in" / "pipe.png")
    (tmp_path / "in" / "loop.png").symlink_to("loop.png")
    (tmp_path / "in" / "out.png").symlink_to(paint(tmp_path / "outside.png"))
    (tmp_path / "in" / "up").symlink_to("..")
    done = run(tmp_path, *asking(server, "in"), expect=3)
    assert colours(tmp_path) == wanted | {"folder.jpg/inner.png": "blue"}
    assert counts(tmp_path) == (len(names) + 2, len(names) + 1, 1, 0)
    assert "\x1b" not in done.stderr
    assert len(done.stderr.splitlines()) == 4
    again = run(tmp_path, *asking(server, "in"), expect=3)
    assert f"0 new images; {len(names) + 2} known" in again.stderr


def test_an_archive_is_only_read(tmp_path, server):
    def state():
        return {
            path: (path.stat().st_mtime_ns, path.stat().st_mode)
            for path in sorted((tmp_path / "in").rglob("*"))
        }

    wanted = archive_of(tmp_path / "in", 5)
    (tmp_path / "in").chmod(0o555)
    before = state()
    run(tmp_path, *asking(server, "in"))
    assert state() == before
    assert colours(tmp_path) == wanted
    (tmp_path / "in").chmod(0o755)


def test_an_archive_that_is_empty_today_is_told_even_where_records_are(tmp_path, server):
    archive_of(tmp_path / "in", 3)
    run(tmp_path, *asking(server, "in"))
    (tmp_path / "unmounted").mkdir()
    done = run(tmp_path, *asking(server, "unmounted"), expect=1)
    assert "no images in unmounted" in in_one_line(done)
    assert ".png" in done.stderr
    assert "cannot be read" in in_one_line(run(tmp_path, *asking(server, "no_such"), expect=2))
    assert counts(tmp_path) == (3, 3, 0, 0)


def test_two_archives_of_the_same_names_are_kept_apart(tmp_path, server):
    for name, colour in (("a", "red"), ("b", "blue")):
        for number in range(3):
            paint(tmp_path / name / f"{number}.png", colour)
    done = run(tmp_path, *asking(server, "a", "b"), expect=1)
    assert "--prefix" in in_one_line(done)
    run(tmp_path, *asking(server, "a"))
    assert "--prefix" in in_one_line(run(tmp_path, *asking(server, "b"), expect=1))
    run(tmp_path, *asking(server, "b", "--prefix", "b"))
    told = {f"{number}.png": "red" for number in range(3)}
    assert colours(tmp_path) == told | {f"b/{name}": "blue" for name in told}
    assert twice(server) == 0


# Records that are there


def test_hand_written_records_stay_and_another_prompt_makes_another_set(tmp_path, server):
    archive_of(tmp_path / "in", 3)
    text = {"one_sentence": "A castle.", "feature": "one castle", "caption": "A castle stands."}
    by_hand = {"image": "0000.png", "variants": [text] * 5}
    (tmp_path / "hand.jsonl").write_text(json.dumps(by_hand) + "\n")
    run(tmp_path, "import", "hand.jsonl", "--images", "in", "--store", "s")
    run(tmp_path, *asking(server, "in"))
    first = open_store(tmp_path / "s").view()
    assert len(server.calls) == 2
    (tmp_path / "own.txt").write_text("Describe this in five variants as JSON.")
    done = run(tmp_path, *asking(server, "in", "--prompt", "own.txt", "--update"))
    assert f"other settings than those of record set {first.set}" in done.stderr
    assert "captioner.prompt.name: rsrt before, own now" in done.stderr
    second = open_store(tmp_path / "s").view()
    assert second.set != first.set
    for view in (second, open_store(tmp_path / "s").view(first.set)):
        assert sentence(view, "0000.png") == "A castle."
        assert "green" in sentence(view, "0001.png")
    run(tmp_path, "remove", "0001.png", "--store", "s")
    assert counts(tmp_path) == (2, 2, 0, 0)
    run(tmp_path, *asking(server, "in", "--prompt", "own.txt"))
    assert counts(tmp_path) == (3, 3, 0, 0)
    assert len(server.calls) == 5


def test_a_picture_replaced_under_its_name_is_found_by_its_new_content_only(tmp_path, server):
    paint(tmp_path / "in" / "a.png", "red")
    paint(tmp_path / "in" / "b.png", "white")
    run(tmp_path, *asking(server, "in"))
    paint(tmp_path / "in" / "a.png", "blue", (65, 65))
    done = run(tmp_path, *asking(server, "in"), expect=1)
    assert "a.png" in in_one_line(done)
    assert colours(tmp_path) == {"a.png": "red", "b.png": "white"}
    run(tmp_path, *asking(server, "in", "--update"))
    assert colours(tmp_path) == {"a.png": "blue", "b.png": "white"}
    run(tmp_path, "index", "--store", "s")
    assert "red" not in run(tmp_path, "query", "a red field", "--store", "s").stdout
    (tmp_path / "in" / "a.png").unlink()
    done = run(tmp_path, *asking(server, "in"))
    assert "not there any more, for example a.png" in done.stderr
    assert counts(tmp_path) == (2, 2, 0, 0)


# Trouble on the way


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_ends_the_run_in_one_line_and_loses_nothing(tmp_path, server, workers):
    wanted = archive_of(tmp_path / "in", 100)

    limited = "import resource as r; r.setrlimit(r.RLIMIT_FSIZE, (100_000, 100_000))"
    done = subprocess.run(
        after(limited, *asking(server, "in", "--workers", str(workers))),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "what was finished is kept" in in_one_line(done)
    assert counts(tmp_path) == (100, 0, 0, 100)
    assert run(tmp_path, "verify", "--store", "s").stdout.endswith(" 0 damaged\n")
    before = len(server.calls)
    assert 10 < before < 100
    run(tmp_path, *asking(server, "in"))
    assert colours(tmp_path) == wanted
    assert twice(server) <= 40
    assert run(tmp_path, "verify", "--store", "s").stdout.endswith(" 0 damaged\n")


def test_a_worker_that_fails_without_words_is_no_success(tmp_path, server):
    archive_of(tmp_path / "in", 2)
    run(tmp_path, *asking(server, "in", "--limit", "0"))
    options = {"model": "stub", "base_url": server.address, "concurrency": "four"}
    name = open_store(tmp_path / "s").view().set
    job = Job(str(tmp_path / "s"), name, "openai", options, Reading())
    with pytest.raises(TrsllavaError, match="a worker failed"):
        run_pool(job, 2, stop=Event(), report=Tally().add, limit=None, strict=False)
    assert counts(tmp_path) == (2, 0, 0, 2)


def test_workers_end_when_the_command_that_started_them_is_killed(tmp_path):
    wanted = archive_of(tmp_path / "in", 80)
    with StubServer(delay=0.1) as server:
        job = command(*asking(server, "in", "--workers", "2", "--concurrency", "2"))
        process = subprocess.Popen(job, cwd=tmp_path, stderr=subprocess.DEVNULL)
        while len(server.calls) < 8:
            time.sleep(0.02)
        workers = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        assert len(workers) >= 2
        assert psutil.wait_procs(workers, timeout=20)[1] == []
        assert len(server.calls) < 60
        run(tmp_path, *asking(server, "in"))
        assert colours(tmp_path) == wanted
        assert twice(server) <= 4


def test_an_archive_that_goes_away_quarantines_nobody(tmp_path):
    wanted = archive_of(tmp_path / "in", 60)
    with StubServer(delay=0.1) as server:
        job = command(*asking(server, "in", "--concurrency", "2"))
        process = subprocess.Popen(job, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        while len(server.calls) < 5:
            time.sleep(0.02)
        (tmp_path / "in").rename(tmp_path / "away")
        _, told = process.communicate(timeout=60)
        assert process.returncode == 1
        assert "Traceback" not in told
        assert counts(tmp_path) == (60, 0, 0, 60)
        (tmp_path / "away").rename(tmp_path / "in")
        run(tmp_path, *asking(server, "in"))
        assert colours(tmp_path) == wanted
        assert twice(server) <= 2


def test_two_jobs_on_one_store_ask_about_each_picture_once(tmp_path):
    wanted = archive_of(tmp_path / "in", 40)
    with StubServer(delay=0.1) as server:
        job = command(*asking(server, "in"))
        jobs = [subprocess.Popen(job, cwd=tmp_path, stderr=subprocess.PIPE) for _ in range(2)]
        for process in jobs:
            _, told = process.communicate(timeout=60)
            assert process.returncode == 0, told
        assert colours(tmp_path) == wanted
        assert len(server.calls) == 40
        assert twice(server) == 0


def test_one_processor_is_enough_and_no_more_threads_than_needed_are_started(tmp_path):
    wanted = archive_of(tmp_path / "in", 10)
    one = f"import os; os.sched_setaffinity(0, {{{min(os.sched_getaffinity(0))}}})"
    with StubServer(delay=0.3) as server:
        process = subprocess.Popen(
            after(one, *asking(server, "in", "--concurrency", "2")),
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
        )
        while len(server.calls) < 3:
            time.sleep(0.02)
        threads = len(list(Path(f"/proc/{process.pid}/task").iterdir()))
        _, told = process.communicate(timeout=60)
    assert process.returncode == 0
    assert threads <= 6
    assert len(told.splitlines()) == 3
    assert colours(tmp_path) == wanted
