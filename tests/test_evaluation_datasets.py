"""Reading annotations as their makers publish them, and finding each image's record."""

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest

from trsllava.errors import InputError
from trsllava.evaluation.cards import KNOWN, card
from trsllava.evaluation.datasets import class_of, read_dataset, shared
from trsllava.evaluation.evaluate import evaluate
from trsllava.evaluation.joining import join
from trsllava.evaluation.published import comparability, published
from trsllava.evaluation.table import text_table
from trsllava.resources import find

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
RSICD = SHARED / "rsicd" / "dataset_rsicd_trainval.json"
RSITMD = SHARED / "rsitmd" / "dataset_RSITMD.json"


def needs(path):
    return pytest.mark.skipif(not path.exists(), reason=f"{path.name} is not on this machine")


def annotate(path, images, dataset="rsicd"):
    body = [
        {"filename": name, "split": split, "sentences": [{"raw": text} for text in captions]}
        for name, split, captions in images
    ]
    path.write_text(json.dumps({"images": body, "dataset": dataset}), encoding="utf-8")
    return path


@pytest.fixture
def splits(tmp_path):
    images = [(f"t{n}.jpg", "train", [f"train {n}"]) for n in range(8)]
    images += [(f"v{n}.jpg", "val", ["a", "b"]) for n in range(3)]
    images += [(f"x{n}.jpg", "Test", [f"test {n}", "train 1"]) for n in range(4)]
    return annotate(tmp_path / "a.json", images)


def test_a_split_is_found_in_any_letter_case_and_test_is_the_default(splits):
    for asked in (None, "test", "TEST"):
        data = read_dataset("rsicd", splits, asked)
        assert (data.split, len(data.images), len(data.captions)) == ("test", 4, 8)
    assert len(read_dataset("rsicd", splits, "val").images) == 3


def test_an_unknown_split_names_those_present_with_their_counts(splits, tmp_path):
    with pytest.raises(InputError, match=r"no 'tset'.*train \(8 images, 8 captions\).*val \(3 im"):
        read_dataset("rsicd", splits, "tset")
    only = annotate(tmp_path / "b.json", [("a.jpg", "train", ["a"])])
    with pytest.raises(InputError, match=r"no split was asked for.*train \(1 images"):
        read_dataset("rsicd", only)


def test_counts_that_differ_from_the_card_and_another_name_are_warned_about(splits):
    assert (
        "1,093 images and 5,465 captions, this file 4 and 8"
        in (read_dataset("rsicd", splits).warnings[0])
    )
    assert "not RSITMD" in read_dataset("rsitmd", splits).warnings[0]
    # A part of a known dataset stays one, whatever it is called by: published figures stand beside.
    assert "figures do not compare" in read_dataset("own", splits).warnings[0]


def test_annotations_of_ones_own_are_held_against_no_card(tmp_path):
    file = tmp_path / "a.json"
    body = {"filename": "a.jpg", "split": "test", "sentences": [{"raw": "a"}]}
    file.write_text(json.dumps({"dataset": "mine", "images": [body]}))
    assert read_dataset("own", file).warnings == ()


def test_captions_that_stand_in_train_too_are_counted(splits):
    data = read_dataset("rsicd", splits)
    assert data.leaks == 4
    assert shared(data) == (1, 4)
    assert read_dataset("rsicd", splits, "train").leaks == 0


def test_images_may_have_any_number_of_captions_and_empty_ones_are_dropped(tmp_path):
    file = annotate(
        tmp_path / "a.json",
        [
            ("a.jpg", "test", ["one", "", "two"]),
            ("b.jpg", "test", ["  "]),
            ("c.jpg", "test", ["c"]),
        ],
    )
    data = read_dataset("own", file)
    assert data.captions == ("one", "two", "c")
    assert data.owner.tolist() == [0, 0, 2]
    assert data.empty == 2
    assert any("1 images have no caption" in warning for warning in data.warnings)
    result = evaluate(data, np.ones((3, 3), np.float32), np.ones(3, bool), "m")
    assert result.optimistic.i2t.r10 == pytest.approx(200 / 3)  # b can never be right


def test_a_byte_order_mark_is_tolerated(tmp_path):
    file = annotate(tmp_path / "a.json", [("a.jpg", "test", ["x"])])
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert read_dataset("own", file).images == ("a.jpg",)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{", "is not a JSON file"),
        ("[]", "must hold a JSON object"),
        ('{"x": 1}', "no list 'images'"),
        ('{"images": [5]}', r"images\[0\] must be an object"),
        ('{"images": [{"split": "test"}]}', r"images\[0\] has no text 'filename'"),
        ('{"images": [{"filename": "a", "sentences": []}]}', r"\('a'\) has no 'split'"),
        ('{"images": [{"filename": "a", "split": "test"}]}', "no list 'sentences'"),
        (
            '{"images": [{"filename": "a", "split": "test", "sentences": [{"tokens": []}]}]}',
            r"sentences\[0\] has no text 'raw'",
        ),
        (
            '{"images": [{"filename": "../a", "split": "test", "sentences": [{"raw": "x"}]}]}',
            "leaves its folder",
        ),
        ('{"images": [{"filename": "a", "split": "test", "sentences": []}]}', "holds no caption"),
    ],
)
def test_a_broken_file_is_refused_with_its_name_and_the_entry(tmp_path, body, message):
    file = tmp_path / "broken.json"
    file.write_text(body)
    with pytest.raises(InputError, match=rf"broken\.json.*{message}"):
        read_dataset("own", file)


def test_bytes_that_are_not_utf8_and_a_missing_file_are_refused(tmp_path):
    (tmp_path / "a.json").write_bytes(b'{"images": "\xff"}')
    with pytest.raises(InputError, match="UTF-8"):
        read_dataset("own", tmp_path / "a.json")
    with pytest.raises(InputError, match="cannot be read"):
        read_dataset("own", tmp_path / "none.json")


def nwpu_image(name, split, **more):
    extra = {f"raw_{k}": f"{name} {k}" for k in range(1, 5)}
    return {"filename": name, "imgid": 0, "split": split, "raw": f"{name} 0", **extra, **more}


def test_nwpu_has_a_form_of_its_own_and_names_the_class(tmp_path):
    body = {
        "airplane": [nwpu_image("airplane_001.jpg", "test"), nwpu_image("airplane_002.jpg", "val")],
        "sea_ice": [nwpu_image("sea_ice_001.jpg", "test")],
    }
    file = tmp_path / "dataset_nwpu.json"
    file.write_text(json.dumps(body))
    data = read_dataset("nwpu", file)
    assert data.images == ("airplane_001.jpg", "sea_ice_001.jpg")
    assert data.captions[:2] == ("airplane_001.jpg 0", "airplane_001.jpg 1")
    assert data.owner.tolist() == [0] * 5 + [1] * 5
    assert data.classes == ("airplane", "sea_ice")
    body["airplane"][0].pop("split")
    file.write_text(json.dumps(body))
    with pytest.raises(InputError, match=r"airplane\[0\] \('airplane_001.jpg'\) has no 'split'"):
        read_dataset("nwpu", file)


def test_a_class_is_read_from_names_that_carry_one():
    assert class_of("airport_1.jpg") == "airport"
    assert class_of("val/denseresidential_101.tif") == "denseresidential"
    assert class_of("agricultural00.tif") == "agricultural"
    assert class_of("00001.jpg") is None
    assert class_of("a.jpg") is None


def test_a_dataset_is_known_by_its_usual_names_and_a_typo_is_told():
    assert card("UCM-Captions").key == "ucm"
    assert {card(name).key for name in KNOWN} == set(KNOWN)
    with pytest.raises(InputError, match=r"'rsicdd'; known are rsicd.*'own'"):
        card("rsicdd")


def test_every_card_says_where_the_data_come_from_and_on_what_terms():
    for key in KNOWN:
        body = tomllib.loads(find(f"datasets/{key}.toml").read_text())
        assert body["where"].startswith("https://")
        assert all(body[said] for said in ("paper", "format", "licence", "traps", "verified"))
        splits = body["splits"].values()
        assert sum(split["images"] for split in splits) == body["images"]
        assert all(split["captions"] == 5 * split["images"] for split in splits)


def test_records_join_by_exact_id_in_one_unicode_form():
    joined = join(["caf\u00e9.jpg", "b.jpg"], ["x.jpg", "cafe\u0301.jpg"])
    assert joined.rows.tolist() == [1, -1]
    assert joined.covered == 1
    assert joined.notes == ()


def test_records_join_by_file_name_only_where_that_is_unambiguous_and_says_so():
    joined = join(["a.jpg", "b.jpg"], ["d/b.jpg", "c/a.jpg", "c/z.jpg", "d/z.jpg"])
    assert joined.rows.tolist() == [1, 0]
    assert "by file name" in joined.notes[0]
    with pytest.raises(InputError, match=r"'a\.jpg' is the name of several"):
        join(["a.jpg"], ["c/a.jpg", "d/a.jpg"])
    with pytest.raises(InputError, match="several"):
        join(["x/a.jpg", "y/a.jpg"], ["z/a.jpg"])


def test_exact_ids_are_never_mixed_with_file_names():
    joined = join(["a.jpg", "b.jpg"], ["a.jpg", "d/b.jpg"])
    assert joined.rows.tolist() == [0, -1]
    assert "1 more images" in joined.notes[0]


def test_no_match_at_all_shows_one_id_of_each_side():
    with pytest.raises(InputError, match=r"'a\.jpg'.*'b\.png'"):
        join(["a.jpg"], ["b.png"])
    with pytest.raises(InputError, match="there are no records"):
        join(["a.jpg"], [])


def test_published_figures_say_what_was_trained_and_where_they_were_read():
    rows = published("rsicd")
    assert [row.kind for row in rows[:2]] == ["training-free", "training-free"]
    paper = next(row for row in rows if row.method == "TRSLLaVA")
    assert (paper.mr, paper.second_hand, paper.scores) == (31.33, True, None)
    first_hand = next(row for row in published("RSITMD") if row.method == "TRSLLaVA")
    assert (first_hand.mr, first_hand.second_hand) == (42.62, False)
    assert all(row.source for row in rows)
    assert {row.kind for row in rows} == {"training-free", "RS-pretrained", "supervised"}
    assert "do not compare with val" in comparability("val", rows)


def test_the_table_for_a_terminal_obeys_no_escape_code(tmp_path):
    file = annotate(tmp_path / "a.json", [("a.jpg", "test", ["x"])], dataset="rsicd\x1b[31m")
    data = read_dataset("rsicd", file)
    text = text_table(evaluate(data, np.ones((1, 1), np.float32), np.ones(1, bool), "m"))
    assert "RSICD test: 1 images, 1 captions" in text
    assert "TRSLLaVA" in text
    assert "\x1b" not in text


@needs(RSITMD)
def test_rsitmd_is_as_its_card_says():
    data = read_dataset("rsitmd", RSITMD)
    assert (data.split, len(data.images), len(data.captions)) == ("test", 452, 2260)
    assert (data.warnings, data.leaks, shared(data)[0]) == ((), 54, 3)
    train = read_dataset("rsitmd", RSITMD, "train")
    assert (len(train.images), len(train.captions), train.empty) == (4291, 21435, 20)


@needs(RSICD)
def test_on_rsicd_validation_a_perfect_query_is_bound_by_shared_captions():
    data = read_dataset("rsicd", RSICD, "val")
    assert (len(data.images), len(data.captions)) == (1094, 5470)
    assert len(set(data.captions)) == 2313
    assert shared(data)[1] == 2021
    assert data.warnings == ()
    belongs = {}
    for text, image in zip(data.captions, data.owner.tolist(), strict=True):
        belongs.setdefault(text, set()).add(image)
    scores = np.zeros((5470, 1094), np.float32)
    for row, text in enumerate(data.captions):
        scores[row, list(belongs[text])] = 1
    result = evaluate(data, scores, np.ones(1094, bool), "perfect text query")
    assert [round(value, 1) for value in result.expected.t2i] == [71.8, 89.3, 95.2]
    assert result.merged.mr == 100.0
    assert result.optimistic.mr == 100.0


@needs(SHARED / "captions_only")
@pytest.mark.parametrize(
    ("name", "file", "images", "captions"),
    [
        ("ucm", "dataset_ucm_modified.json", 210, 1050),
        ("sydney", "dataset_sydney_modified.json", 58, 290),
    ],
)
def test_ucm_and_sydney_are_as_their_cards_say(name, file, images, captions):
    data = read_dataset(name, SHARED / "captions_only" / file)
    assert (len(data.images), len(data.captions), data.warnings) == (images, captions, ())
