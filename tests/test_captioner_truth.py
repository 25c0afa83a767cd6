"""The measure of a captioner's truth counts what it says it counts."""

import json
import random
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))

import captioner_truth
from truth import form, judging
from truth.judging import Judged
from truth.references import CLASSES, Truth, class_of, others
from truth.verbatim import NEAR, Known, jaccard, normalised
from truth.words import facts, nouns, singular, together

from trsllava.records import Record, Variant


def record(image, *texts):
    return Record(image, tuple(Variant(*texts[at : at + 3]) for at in range(0, len(texts), 3)))


# Words


def test_nouns_are_singular_and_synonyms_are_one():
    assert facts("Streets and a road beside houses, buses and trees").nouns == {
        "road", "house", "bus", "tree"
    }  # fmt: skip
    assert singular("churches") == "church"
    assert singular("grass") == "grass"
    assert singular("factories") == "factory"
    assert not facts("It lies along the edge and stands out, rather dense").nouns


def test_no_noun_of_the_list_stands_twice_or_could_not_be_written():
    lines = (Path(judging.__file__).with_name("nouns.txt")).read_text().splitlines()
    words = [word for line in lines if not line.startswith("#") for word in line.split()]
    assert len(words) == len(set(words)) == len(nouns())
    assert all(word.isascii() and word.isalpha() and word.islower() for word in words)


def test_spellings_and_tints_of_a_colour_are_one():
    assert facts("gray, greyish, whitish and khaki").colours == {"grey", "white", "beige"}
    assert not facts("dark, pale and bright").colours


def test_number_words_and_digits_are_one_and_a_pronoun_is_no_number():
    assert facts("3 boats and twelve cars").numbers == {"3", "12"}
    assert facts("one long pier").numbers == {"1"}
    for text in ("one runs along it", "one of the roads", "the small one", "one by one", "one"):
        assert not facts(text).numbers, text


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("in the upper left", {"nw"}),
        ("the top right corner and the southeast", {"ne", "se"}),
        ("trees on the right", {"e"}),
        ("lower half, northern edge", {"s", "n"}),
        ("in the middle", {"c"}),
        ("walls at a right angle, lower roofs", set()),
        ("a field left empty right beside it", set()),
        ("the shopping centre", set()),
    ],
)
def test_directions_are_points_of_the_compass_where_they_are_directions(text, points):
    assert facts(text).directions == points


def test_what_is_said_of_a_thing_is_bound_to_it():
    found = facts("Two white-roofed houses lie in the north, and the roofs of one hall are brown.")
    assert found.counted == {("roof", "2"), ("house", "2"), ("hall", "1")}
    assert {("house", "white"), ("hall", "brown")} <= found.coloured
    assert ("hall", "white") not in found.coloured
    assert found.placed == {("roof", "n"), ("house", "n")}


# Judging


def test_a_reference_in_the_northwest_supports_north_but_not_the_other_way_round():
    corner, side = facts("a pond in the northwest"), facts("a pond in the north")
    assert judging.judge(side, together([corner]))["directions"] == Judged(1, 1)
    assert judging.judge(corner, together([side]))["directions"] == Judged(1, 0)
    assert judging.judge(side, together([corner]))["placed"] == Judged(1, 1)
    assert judging.judge(corner, together([side]))["placed"] == Judged(1, 0)


def test_each_group_counts_its_own_words_and_all_counts_the_four():
    said = facts("Two red boats lie in the south beside a bridge")
    found = judging.judge(said, together([facts("three red boats in the east of a river")]))
    assert found["nouns"] == Judged(2, 1)
    assert found["colours"] == Judged(1, 1)
    assert found["numbers"] == Judged(1, 0)
    assert found["directions"] == Judged(1, 0)
    assert found["all"] == Judged(5, 2)
    assert found["coloured"] == Judged(1, 1)
    assert found["counted"] == Judged(1, 0)


def test_what_is_said_of_a_thing_that_the_reference_lacks_is_the_things_fault():
    found = judging.judge(facts("two red boats"), together([facts("two red cars")]))
    assert found["counted"] == found["coloured"] == Judged(0, 0)
    assert found["nouns"] == Judged(1, 0)


def test_other_images_are_of_the_class_never_the_image_itself_and_the_same_each_time():
    names = ["beach_1.jpg", "beach_2.jpg", "port_1.jpg", "x.jpg"]
    truth = Truth(
        {name: record(name) for name in names},
        {},
        {name: name.split("_")[0] for name in names[:3]},
    )
    drawn = others(names, truth, 5, 1, same_class=True)
    assert drawn == {"beach_1.jpg": ["beach_2.jpg"] * 5, "beach_2.jpg": ["beach_1.jpg"] * 5}
    anywhere = others(names, truth, 50, 1, same_class=False)
    assert all(set(chosen) == set(names) - {name} for name, chosen in anywhere.items())
    assert anywhere == others(names, truth, 50, 1, same_class=False)


def test_a_class_comes_from_the_name_or_else_from_the_captions():
    assert len(set(CLASSES)) == 30
    assert class_of("beach_7.jpg", ["a port"]) == "beach"
    assert class_of("00001.jpg", ["a playground", "many trees", "a football field"]) == "playground"
    assert class_of("00002.jpg", ["it is nice"]) is None


# Form


def test_near_texts_are_those_that_comparing_all_with_all_finds():
    draw = random.Random(5)
    words = [f"w{n}" for n in range(30)]
    train = [" ".join(draw.sample(words, draw.randint(1, 12))) for _ in range(400)]
    known = Known(train)
    sets = [frozenset(text.split()) for text in train]
    found = 0
    for text in train[:200]:
        asked = [*text.split(), "new"][draw.randint(0, 1) :]
        expected = any(jaccard(frozenset(asked), other) > NEAR for other in sets)
        assert known.near(" ".join(asked)) == expected, asked
        found += expected
    assert 20 < found < 180


def test_a_jaccard_index_of_four_fifths_is_not_yet_near():
    known = Known(["a b c d e"])
    assert not known.near("a b c d")
    assert Known(["a b c d e f"]).near("a b c d e")


def test_texts_and_sentences_are_compared_without_case_and_punctuation():
    known = Known(["Many trees are here. A road, too!", "one pond"])
    assert known.verbatim("many trees are here a road  too")
    assert not known.verbatim("many trees are here")
    rows = form.copied([record("a.jpg", "One pond.", "pond", "A road too. A new end.")], known)
    assert rows["one_sentence"] == {
        "texts": 1, "verbatim": 1.0, "near": 1.0, "sentences": 0, "sentences verbatim": None
    }  # fmt: skip
    assert rows["caption"]["sentences"] == 2
    assert rows["caption"]["sentences verbatim"] == 0.5
    assert rows["feature"]["near"] == 0.0


def test_a_text_counts_as_distinct_once():
    assert form.distinct_in_content(["a b c d", "A b, c d!", "a b c x", "e f"]) == 2


def test_loops_and_refused_records_are_counted_with_their_reasons():
    good = [f"{word} {part}" for word in "abcde" for part in ("pond here", "pond, lawn", "lies so")]
    looping = [*good[:14], "a road and a road and a road and a road and"]
    found = form.loops(
        [record("a.jpg", *good), record("b.jpg", *looping), record("c.jpg", *good[:3])]
    )
    assert found == {
        "looping texts": 1, "records refused": 2, "reasons": {"loop": 1, "thin": 1}
    }  # fmt: skip


def test_words_that_nobody_wrote_are_counted_by_occurrence():
    found = form.lengths(
        [record("a.jpg", "a pnod", "pnod", "a lawn here")], frozenset(("a", "lawn", "here"))
    )
    assert found["mean words"] == {"one_sentence": 2, "feature": 1, "caption": 3}
    assert (found["vocabulary"], found["unheard words"], found["unheard"]) == (4, 2, ["pnod"])


# The command


@pytest.fixture
def data(tmp_path):
    """Two beaches and a port; each record says what its captions say."""
    says = {
        "beach_1.jpg": "a white beach with two boats",
        "beach_2.jpg": "a yellow beach with three cars",
        "port_1.jpg": "a grey pier",
    }

    def image(name, split, raw):
        return {"filename": name, "split": split, "sentences": [{"raw": raw}] * 5}

    images = [image(name, "val", raw) for name, raw in says.items()]
    images.append(image("river_9.jpg", "train", "a red bridge"))
    (tmp_path / "dataset_rsicd_trainval.json").write_text(json.dumps({"images": images}))

    def write(name, lines):
        path = tmp_path / name
        path.write_text(
            "".join(json.dumps(record(i, *[t] * 15).to_json()) + "\n" for i, t in lines.items())
        )
        return path

    write("rsrt_val.jsonl", says)
    write("rsrt_train.jsonl", {"river_9.jpg": "a red bridge in the north"})
    return tmp_path, write


def run(capsys, *arguments):
    assert captioner_truth.main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_true_records_beat_those_of_another_image_of_the_class(data, capsys):
    folder, write = data
    true = run(capsys, write("t.jsonl", {"beach_1.jpg": "two white boats"}), "--data", folder)
    assert (true["records"], true["of"]) == (1, 3)
    assert true["truth"]["all"]["same image"] == {"words": 45, "share": 1.0}
    assert true["truth"]["all"]["same class"] == {"words": 225, "share": 0.0}
    assert true["recall"]["nouns"]["same image"] == {"words": 10, "share": 0.5}
    false = run(capsys, write("f.jsonl", {"beach_1.jpg": "three cars"}), "--data", folder)
    assert false["truth"]["all"]["same image"]["share"] == 0.0
    assert false["truth"]["all"]["same class"]["share"] == 1.0


def test_copies_of_train_are_told(data, capsys):
    folder, write = data
    copies = write("c.jsonl", {"beach_1.jpg": "A red bridge.", "port_1.jpg": "A blue bridge."})
    found = run(capsys, copies, "--data", folder)
    assert found["train texts"] == 2
    assert [row["verbatim"] for row in found["copied"].values()] == [0.5] * 3
    assert found["length"]["unheard"] == ["blue"]


def test_the_tables_name_every_group_and_the_images_covered(data, capsys):
    folder, _ = data
    assert captioner_truth.main(["--data", str(folder)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("3 records of 3 images")
    for name in ("nouns", "place of a thing", "TRUTH", "RECALL", "COPIED", "DISTINCT", "LOOPS"):
        assert name in out


@pytest.mark.parametrize("lines", [{"river_9.jpg": "a pond"}, {}])
def test_records_of_other_images_are_refused(data, capsys, lines):
    folder, write = data
    with pytest.raises(SystemExit):
        captioner_truth.main([str(write("o.jsonl", lines)), "--data", str(folder)])
    assert "not of validation" in capsys.readouterr().err


def test_without_the_data_nothing_is_measured(tmp_path, capsys):
    assert captioner_truth.main(["--data", str(tmp_path / "none")]) == 0
    assert "nothing to measure on" in capsys.readouterr().err


def test_a_normalised_text_has_only_letters_digits_and_single_spaces():
    assert normalised("  A 2-lane   road; NORTH. ") == "a 2 lane road north"
