"""Records that do not fit their pictures, found by an eye that sees nothing but colours."""

import json
import tracemalloc

import pytest
from jobs_kit import paint_archive
from stub import ColourEye, StubEncoder, paint_colours, write_lines
from typer.testing import CliRunner

from trsllava.audit import agreement
from trsllava.audit.agreement import Fit, add_fits, fits
from trsllava.audit.suspicions import Suspicion
from trsllava.cli.app import app
from trsllava.embedding import pictures as stage
from trsllava.store.importing import import_files
from trsllava.store.pictures import Pictures
from trsllava.store.store import create_store

SHADES = ("red", "green", "blue")
COLOURS = {f"{n:02}.png": SHADES[n % 3] for n in range(60)}
WRONG = ("07.png", "20.png", "33.png")


@pytest.fixture
def eye():
    return ColourEye(StubEncoder())


def give(home, says):
    """A store of records that name a colour each; the pictures lie somewhere else."""
    lines = [
        json.dumps({"image": image, "caption": f"{4 * f'{colour} '}field {image} {n}"})
        for image, colour in says.items()
        for n in range(5)
    ]
    store = create_store(home / "store")
    import_files(store, [write_lines(home / "r.jsonl", lines)])
    return store


def told(store, folder, eye):
    return {fit.image: fit for fit in fits(Pictures(store.view(), (folder,)), eye, eye.encoder)}


@pytest.fixture
def swapped(tmp_path):
    """Sixty records, three of which speak of another colour than their picture shows."""
    paint_colours(tmp_path / "pictures", COLOURS)
    other = {"red": "blue", "green": "red", "blue": "green"}
    return give(tmp_path, {i: other[c] if i in WRONG else c for i, c in COLOURS.items()})


def test_records_of_other_pictures_stand_on_top_and_the_rest_is_left_in_peace(
    tmp_path, swapped, eye
):
    found = told(swapped, tmp_path / "pictures", eye)
    assert len(found) == 60
    assert all(fit.others in (59, 60) for fit in found.values())
    wrong = [found.pop(image) for image in WRONG]
    assert min(fit.score for fit in wrong) > 0.5
    assert max(fit.score for fit in found.values()) < 0.2
    assert "% of 59 other pictures better than its own" in wrong[0].reason


def test_the_pictures_of_the_folder_that_is_given_come_before_the_store_s(tmp_path, eye):
    paint_colours(tmp_path / "right", COLOURS)
    paint_colours(tmp_path / "turned", {i: SHADES[(n + 1) % 3] for n, i in enumerate(COLOURS)})
    store = give(tmp_path, COLOURS)
    file = write_lines(tmp_path / "one.jsonl", [json.dumps({"image": "00.png", "caption": "red"})])
    import_files(store, [file], images=tmp_path / "turned", update=True)
    right = told(store, tmp_path / "right", eye).values()
    turned = told(store, tmp_path / "turned", eye).values()
    assert max(fit.score for fit in right) < 0.2 < 0.5 < min(fit.score for fit in turned)
    elsewhere = paint_archive(tmp_path / "elsewhere", 1)
    assert max(fit.score for fit in told(store, elsewhere, eye).values()) > 0.5  # the store's own


def test_what_cannot_be_told_is_said_and_blames_nobody(tmp_path, swapped, eye):
    for image in sorted(COLOURS)[9:]:
        (tmp_path / "pictures" / image).unlink()
    (tmp_path / "pictures" / "00.png").write_bytes(b"\x89PNG\r\n\x1a\n, cut")
    found = told(swapped, tmp_path / "pictures", eye)
    assert found["00.png"].missing == "truncated"
    assert found["50.png"].missing == stage.NOT_AT_HAND
    assert found["07.png"].better is None  # of eight pictures nothing can be told
    assert add_fits([], found.values()) == []


def test_both_kinds_of_reasons_stand_together_and_the_worst_first():
    known = [Suspicion("a", 0.5, ("texts repeat",)), Suspicion("b", 0.3, ("stock",))]
    joined = add_fits(known, [Fit("b", 0.5, 200), Fit("c", 0.35, 200), Fit("d", 0.02, 200)])
    assert [entry.image for entry in joined] == ["b", "a", "c"]
    assert joined[0].score == pytest.approx(1 - 0.7 * 0.1)
    assert joined[0].reasons == (Fit("b", 0.5, 200).reason, "stock")


def test_the_sample_is_bounded_spread_and_the_same_every_time(tmp_path, eye, monkeypatch):
    monkeypatch.setattr(agreement, "OTHERS", 12)
    paint_colours(tmp_path / "pictures", COLOURS)
    pictures = Pictures(give(tmp_path, COLOURS).view(), (tmp_path / "pictures",))
    drawn = [image for image, _ in agreement._sample(pictures)]
    assert drawn == [image for image, _ in agreement._sample(pictures)]
    assert len(set(drawn)) == 12
    assert {image[0] for image in drawn} > {"0", "5"}
    assert {fit.others for fit in fits(pictures, eye, eye.encoder)} == {11, 12}


def test_neither_pictures_nor_texts_nor_vectors_are_held(tmp_path, eye, monkeypatch):
    monkeypatch.setattr(agreement, "OTHERS", 20)
    peaks = []
    for count in (200, 1000):
        home = tmp_path / str(count)
        colours = {f"{n:04}.png": SHADES[n % 3] for n in range(count)}
        paint_colours(home / "pictures", colours)
        pictures = Pictures(give(home, colours).view(), (home / "pictures",))
        tracemalloc.start()
        for fit in fits(pictures, eye, eye.encoder):
            assert fit.better is not None
            eye.encoder.encoded.clear()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    a_record = (peaks[1] - peaks[0]) / 800  # its id and place, which a view holds in any case
    assert a_record < 500


def test_the_command_names_the_wrong_ones_and_counts_what_is_missing(
    tmp_path, swapped, eye, monkeypatch
):
    monkeypatch.setattr("trsllava.embedding.load_embedder", StubEncoder)
    monkeypatch.setattr(stage, "load_eye", lambda: eye)
    (tmp_path / "pictures" / "00.png").unlink()
    command = ["audit", "--store", str(swapped.root), "--images", str(tmp_path / "pictures")]
    done = CliRunner().invoke(app, [*command, "--json"])
    assert done.exit_code == 0, done.output
    body = json.loads(done.stdout)
    assert {entry["image"] for entry in body[:3]} == set(WRONG)
    assert "better than its own" in body[0]["reasons"][0]
    assert "1 pictures could not be looked at (1 not at hand), such as 00.png" in done.stderr
    plain = CliRunner().invoke(app, command[:3])
    assert "better than its own" not in plain.output
    lost = CliRunner().invoke(app, [*command[:-1], str(tmp_path / "nowhere")])
    assert lost.exit_code == 2
