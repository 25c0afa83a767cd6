"""Records that agree with nothing, found by an eye that sees nothing but colours."""

import gc
import json
import tracemalloc

import numpy as np
import pytest
from jobs_kit import paint_archive
from stub import ColourEye, StubEncoder, paint_colours, write_lines
from typer.testing import CliRunner

from trsllava.audit import agreement
from trsllava.audit.agreement import Agreement, add_agreements, agreements, draw
from trsllava.audit.gists import Seeing, Vectors
from trsllava.audit.suspicions import Suspicion, joined
from trsllava.cli.app import app
from trsllava.embedding import fingerprint
from trsllava.embedding import pictures as stage
from trsllava.index.build import build_index
from trsllava.store.importing import import_files
from trsllava.store.maintenance import remove_images
from trsllava.store.pictures import Pictures
from trsllava.store.store import create_store

SHADES = ("red", "green", "blue")
COLOURS = {f"{n:02}.png": SHADES[n % 3] for n in range(60)}
WRONG = ("07.png", "20.png", "33.png")
OTHER = {"red": "blue", "green": "red", "blue": "green"}


@pytest.fixture
def eye():
    return ColourEye(StubEncoder())


def give(home, says, odd=(), images=None):
    """A store of records that name a colour each; of the odd ones variant 4 names another."""
    lines = [
        json.dumps({"image": image, "caption": f"{4 * f'{named} '}field {image} {n}"})
        for image, colour in says.items()
        for n in range(5)
        for named in (OTHER[colour] if image in odd and n == 3 else colour,)
    ]
    store = create_store(home / "store")
    import_files(store, [write_lines(home / "r.jsonl", lines)], images=images)
    return store


def looking(store, folder, eye):
    seeing = Seeing(eye, Pictures(store.view(), (folder,)))
    key = fingerprint(eye.encoder)
    return Vectors(store.view(), key, eye.encoder, eye.text_mean, seeing)


def told(store, folder, eye):
    return {found.image: found for found in agreements(looking(store, folder, eye))}


def doubt(found):
    return found.parts["picture"]


@pytest.fixture
def swapped(tmp_path):
    """Sixty records, three of which speak of another colour than their picture shows."""
    paint_colours(tmp_path / "pictures", COLOURS)
    return give(tmp_path, {i: OTHER[c] if i in WRONG else c for i, c in COLOURS.items()})


def test_records_of_other_pictures_stand_on_top_and_the_rest_is_left_in_peace(
    tmp_path, swapped, eye
):
    found = told(swapped, tmp_path / "pictures", eye)
    assert len(found) == 60
    assert all(one.others == 59 for one in found.values())
    wrong = [found.pop(image) for image in WRONG]
    assert min(doubt(one) for one in wrong) > 0.5
    assert max(doubt(one) for one in found.values()) < 0.2
    assert all(one.picture > 0.3 and one.neighbours > 0.3 for one in wrong)
    assert all(one.parts["variants"] == 0 for one in wrong)  # they agree with each other
    first, second = wrong[0].reasons
    assert "% of 59 other pictures better than its own" in first
    assert "what is said of pictures like its own" in second


def test_one_variant_of_another_picture_is_found_and_named(tmp_path, eye):
    paint_colours(tmp_path / "pictures", COLOURS)
    store = give(tmp_path, COLOURS, odd=WRONG)
    found = told(store, tmp_path / "pictures", eye)
    odd = [found.pop(image) for image in WRONG]
    assert [one.number for one in odd] == [4, 4, 4]
    assert min(one.parts["variants"] for one in odd) > 0.1
    assert max(one.parts["variants"] for one in found.values()) < 0.05
    assert "variant 4 fits" in " ".join(odd[0].reasons)
    assert "% of 59 other records better than the rest of its own" in " ".join(odd[0].reasons)


def test_a_picture_that_backs_a_variant_clears_it(tmp_path, eye):
    paint_colours(tmp_path / "pictures", {**COLOURS, "07.png": OTHER[COLOURS["07.png"]]})
    found = told(give(tmp_path, COLOURS, odd=("07.png",)), tmp_path / "pictures", eye)["07.png"]
    assert found.parts["variants"] < 0.05 < found.parts["picture"]


def test_an_index_tells_by_its_vectors_what_looking_anew_tells(tmp_path, eye, monkeypatch):
    paint_colours(tmp_path / "pictures", COLOURS)
    says = {i: OTHER[c] if i in WRONG else c for i, c in COLOURS.items()}
    store = give(tmp_path, {**says, "99.png": "red"}, ["11.png"], tmp_path / "pictures")
    monkeypatch.setattr("trsllava.embedding.pictures.load_embedder", StubEncoder)
    index = build_index(store, eye.encoder, eye=eye)
    eye.encoder.encoded.clear()
    mean = np.array(index.pictures.text_mean, np.float32)
    stored = Vectors(store.view(), index.fingerprint, None, mean, index.pictures.fingerprint)
    by_index = {found.image: found for found in agreements(stored)}
    assert eye.encoder.encoded == []
    anew = told(store, tmp_path / "pictures", eye)
    assert by_index.keys() == anew.keys()
    assert by_index["99.png"].missing == anew["99.png"].missing == stage.NOT_AT_HAND
    for image, found in by_index.items():
        assert found.picture == pytest.approx(anew[image].picture, abs=0.05), image
        assert found.variant == pytest.approx(anew[image].variant, abs=0.05), image


def test_an_index_without_pictures_tells_variants_alone(tmp_path, eye):
    store = give(tmp_path, COLOURS, odd=WRONG)
    index = build_index(store, eye.encoder)
    import_files(store, [write_lines(tmp_path / "new.jsonl", ['{"image": "z", "caption": "red"}'])])
    remove_images(store, ["00.png"])
    found = {one.image: one for one in agreements(Vectors(store.view(), index.fingerprint))}
    assert len(found) == 60
    assert found["z"].variant is None  # not indexed yet
    assert all(one.picture is None and one.missing is None for one in found.values())
    odd = sorted(found.values(), key=lambda one: one.variant or 0)[-3:]
    assert {one.image for one in odd} == set(WRONG)


def test_the_pictures_of_the_folder_that_is_given_come_before_the_store_s(tmp_path, eye):
    paint_colours(tmp_path / "right", COLOURS)
    paint_colours(tmp_path / "turned", {i: SHADES[(n + 1) % 3] for n, i in enumerate(COLOURS)})
    store = give(tmp_path, COLOURS)
    file = write_lines(tmp_path / "one.jsonl", [json.dumps({"image": "00.png", "caption": "red"})])
    import_files(store, [file], images=tmp_path / "turned", update=True)
    right = told(store, tmp_path / "right", eye).values()
    turned = told(store, tmp_path / "turned", eye).values()
    assert max(one.picture for one in right) < 0.25 < 0.3 < min(one.picture for one in turned)
    elsewhere = paint_archive(tmp_path / "elsewhere", 1)
    assert max(one.picture for one in told(store, elsewhere, eye).values()) > 0.3  # the store's own


def test_what_cannot_be_told_is_said_and_blames_nobody(tmp_path, swapped, eye):
    for image in sorted(COLOURS)[9:]:
        (tmp_path / "pictures" / image).unlink()
    (tmp_path / "pictures" / "00.png").write_bytes(b"\x89PNG\r\n\x1a\n, cut")
    found = told(swapped, tmp_path / "pictures", eye)
    assert found["00.png"].missing == "truncated"
    assert found["50.png"].missing == stage.NOT_AT_HAND
    assert found["07.png"].picture is None  # of eight pictures nothing can be told
    assert add_agreements([], found.values()) == []


def test_few_records_blame_nobody(tmp_path, eye):
    few = {image: COLOURS[image] for image in sorted(COLOURS)[:8]}
    paint_colours(tmp_path / "pictures", few)
    found = told(give(tmp_path, few, odd=sorted(few)[:1]), tmp_path / "pictures", eye)
    assert len(found) == 8
    assert all(one.reasons == () and not any(one.parts.values()) for one in found.values())
    assert told(create_store(tmp_path / "empty"), tmp_path / "pictures", eye) == {}


def test_both_kinds_of_reasons_stand_together_and_the_worst_first():
    known = [
        joined("a", {"repeats": 0.5}, ["texts repeat"]),
        joined("b", {"stock": 0.3}, ["stock"]),
    ]
    new = [
        Agreement("b", picture=0.5, neighbours=0.5, others=200),
        Agreement("c", picture=0.35, neighbours=0.35, others=200),
        Agreement("d", picture=0.02, neighbours=0.02, others=200),
        Agreement("e", picture=0.0, neighbours=0.02, variant=0.35, number=2, others=200),
    ]
    found = add_agreements(known, new)
    assert [entry.image for entry in found] == ["b", "a", "c", "e"]
    assert found[0].score == pytest.approx(1 - 0.7 * 0.1)
    assert found[0].parts == {"picture": pytest.approx(0.9), "variants": 0.0, "stock": 0.3}
    assert found[0].reasons == (*new[0].reasons, "stock")
    assert len(new[0].reasons) == 2
    assert found[3].reasons == (
        "variant 2 fits 35% of 200 other records better than the rest of its own",
    )
    assert found[1] == Suspicion("a", 0.5, ("texts repeat",), {"repeats": 0.5})


def test_the_sample_is_bounded_spread_and_the_same_every_time(tmp_path, eye, monkeypatch):
    monkeypatch.setattr(agreement, "OTHERS", 12)
    paint_colours(tmp_path / "pictures", COLOURS)
    vectors = looking(give(tmp_path, COLOURS), tmp_path / "pictures", eye)
    drawn = [entry.place.image for entry in draw(vectors.entries())]
    assert drawn == [entry.place.image for entry in draw(vectors.entries())]
    assert len(set(drawn)) == 12
    assert {image[0] for image in drawn} > {"0", "5"}
    assert {one.others for one in agreements(vectors)} == {11, 12}
    for image in sorted(COLOURS)[20:]:
        (tmp_path / "pictures" / image).unlink()
    drawn = [entry.place.image for entry in draw(vectors.entries())]
    assert set(drawn) <= set(sorted(COLOURS)[:20])  # those whose pictures are at hand


def test_no_picture_is_looked_at_and_no_text_encoded_twice(tmp_path, swapped, eye):
    told(swapped, tmp_path / "pictures", eye)
    assert eye.looked == 60
    assert len(eye.encoder.encoded) == 300


def test_neither_pictures_nor_texts_nor_vectors_are_held(tmp_path, eye, monkeypatch):
    monkeypatch.setattr(agreement, "OTHERS", 20)
    peaks = []
    for run_, count in enumerate((600, 200, 600)):  # the first loads what is loaded once
        home = tmp_path / str(run_)
        colours = {f"{n:04}.png": SHADES[n % 3] for n in range(count)}
        paint_colours(home / "pictures", colours)
        vectors = looking(give(home, colours), home / "pictures", eye)
        tracemalloc.start()
        for number, found in enumerate(agreements(vectors)):
            assert found.picture is not None
            eye.encoder.encoded.clear()
            if number % 50 == 0:
                gc.collect()  # pictures that refer to themselves stay until then
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # A view holds its id and place in any case, and garbage comes and goes; texts and vectors of a
    # record would take 23,000 bytes.
    a_record = (peaks[2] - peaks[1]) / 400
    assert a_record < 1500


def run(*arguments):
    return CliRunner().invoke(app, ["audit", *map(str, arguments)])


def test_the_command_names_the_wrong_ones_and_counts_what_is_missing(
    tmp_path, swapped, eye, monkeypatch
):
    monkeypatch.setattr("trsllava.embedding.load_embedder", StubEncoder)
    monkeypatch.setattr(stage, "load_eye", lambda: eye)
    (tmp_path / "pictures" / "00.png").unlink()
    store = ["--store", swapped.root]
    done = run(*store, "--images", tmp_path / "pictures", "--json")
    assert done.exit_code == 0, done.output
    body = json.loads(done.stdout)
    assert {entry["image"] for entry in body[:3]} == set(WRONG)
    assert all(set(entry) == {"image", "score", "reasons"} for entry in body)
    assert "better than its own" in body[0]["reasons"][0]
    assert "1 pictures could not be looked at (1 not at hand), such as 00.png" in done.stderr
    plain = run(*store)
    assert "better than its own" not in plain.output
    assert "variants were not held against each other, which needs: trsllava index" in plain.stderr
    assert run(*store, "--images", tmp_path / "nowhere").exit_code == 2
    build_index(swapped, eye.encoder, eye=eye)
    assert run(*store).exit_code == 0


def test_the_command_uses_what_the_index_knows(tmp_path, eye):
    paint_colours(tmp_path / "pictures", COLOURS)
    says = {i: OTHER[c] if i in WRONG else c for i, c in COLOURS.items()}
    store = give(tmp_path, says, images=tmp_path / "pictures")
    build_index(store, eye.encoder)
    body = json.loads(run("--store", store.root, "--json").stdout)
    assert not any("its own" in reason for entry in body for reason in entry["reasons"])
    build_index(store, eye.encoder, eye=eye)
    body = json.loads(run("--store", store.root, "--json").stdout)
    assert {entry["image"] for entry in body[:3]} == set(WRONG)
    blind = Vectors(store.view(), "0" * 16)
    assert all(found.variant is None for found in agreements(blind))
