"""Records that look wrong: found by their texts alone, worst first, sound ones left in peace."""

import itertools
import json
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from jobs_kit import caption, paint, paint_archive
from PIL import Image
from stub import write_lines
from typer.testing import CliRunner

from trsllava.audit import words
from trsllava.audit.lookalikes import Lookalikes, signature_of
from trsllava.audit.repeats import group_texts
from trsllava.audit.suspicions import audit
from trsllava.audit.words import read_texts
from trsllava.captioning.captioner import Captioned
from trsllava.cli.app import app
from trsllava.interchange import Piece, read
from trsllava.records import VARIANTS, Record, Variant
from trsllava.store.importing import import_files
from trsllava.store.store import create_store

SHARED = Path(__file__).parents[1].parent / "shared"
_NOUNS = (
    "ship pier harbour river bridge road field forest lake runway aircraft tank roof house "
    "car track stadium court beach sand dune tree hedge barn canal island quarry dam panel "
    "street square tower parking railway platform pool garden orchard meadow slope ridge "
    "cliff shore"
)
_LOOKS = "white grey green brown red blue dark pale large small long narrow wide round bare"
_PLACES = "north south east west centre corner edge middle left right"
NOUNS, LOOKS, PLACES = (text.split() for text in (_NOUNS, _LOOKS, _PLACES))

LONG = "a long white pier with seven boats beside it and a road to the harbour"


def sound(image, seed=None):
    """A record as a good captioner writes it: like others in style, its own in what it says."""
    draw = random.Random(image if seed is None else seed)

    def thing():
        return f"{draw.choice(LOOKS)} {draw.choice(NOUNS)}"

    def place():
        return f"in the {draw.choice(PLACES)}"

    return Record(
        image,
        tuple(
            Variant(
                f"A {thing()} next to a {thing()} seen from above with a {thing()} {place()}.",
                f"One {thing()} {place()}, {draw.randint(2, 9)} {thing()}s {place()}, a {thing()}.",
                f"The image shows a {thing()} {place()}. A {thing()} lies {place()} beside a "
                f"{thing()}, and a {thing()} runs past the {thing()} towards a {thing()}.",
            )
            for _ in range(VARIANTS)
        ),
    )


def archive(count):
    return [sound(f"{number:04d}.jpg") for number in range(count)]


def thin(image, *texts):
    return Record(image, tuple(Variant(caption=text) for text in texts))


def renamed(record, image):
    return Record(image, record.variants)


def test_a_sound_archive_is_left_in_peace():
    assert audit(archive(400)) == []


def test_one_fixed_text_over_many_pictures_comes_first():
    blind = [renamed(sound("x"), f"blind/{number:02d}.jpg") for number in range(30)]
    found = audit([*archive(100), *blind])
    assert [suspicion.image for suspicion in found] == [record.image for record in blind]
    assert {suspicion.score for suspicion in found} == {0.9667}
    (reason,) = found[7].reasons
    assert reason == (
        "15 of 15 texts are (nearly) those of 29 other pictures, such as blind/00.jpg"
    )
    assert "such as blind/01.jpg" in found[0].reasons[0]  # not as itself


def test_the_more_pictures_share_a_text_the_worse():
    records = archive(50)
    records += [renamed(sound("x"), f"three/{number}.jpg") for number in range(3)]
    records += [renamed(sound("y"), f"two/{number}.jpg") for number in range(2)]
    records += [renamed(sound("z"), f"ten/{number}.jpg") for number in range(10)]
    found = audit(records)
    assert [suspicion.image.split("/")[0] for suspicion in found] == (
        ["ten"] * 10 + ["three"] * 3 + ["two"] * 2
    )
    assert [found[0].score, found[10].score, found[13].score] == [0.9, 0.6667, 0.5]
    assert "1 other picture, such as two/1.jpg" in found[13].reasons[0]


def test_images_of_equal_bytes_are_expected_to_have_equal_texts():
    records = [*archive(20), *(renamed(sound("x"), f"same/{number}.jpg") for number in range(9))]
    same = {f"same/{number}.jpg": "same/0.jpg" for number in range(1, 9)}
    assert len(audit(records)) == 9
    assert audit(records, same) == []
    other = renamed(sound("x"), "other.jpg")
    found = audit([*records, other], same)
    assert {suspicion.image for suspicion in found} == {"other.jpg", *same, "same/0.jpg"}
    assert {suspicion.score for suspicion in found} == {0.5}  # two pictures, whatever their names


def test_the_first_of_equal_bytes_need_not_have_a_record():
    records = [renamed(sound("x"), "b.jpg"), renamed(sound("x"), "c.jpg")]
    assert audit(records, {"b.jpg": "a.jpg", "c.jpg": "a.jpg"}) == []


def test_case_spacing_and_punctuation_make_no_difference():
    texts = ["A pier, with two ships!", "a  PIER with\ntwo ships", "A pier -- with two; ships."]
    found = audit([*archive(20), *(thin(f"{n}.png", text) for n, text in enumerate(texts))])
    assert [suspicion.image for suspicion in found] == ["0.png", "1.png", "2.png"]
    reordered = [thin("0.png", "two ships with a pier"), thin("1.png", "a pier with two ships")]
    assert audit(reordered) == []


def test_words_of_scripts_without_spaces_are_told_apart():
    texts = ["港口里有两艘白色的船和一座长桥", "港口里有两艘白色的船和一座长橋", "田野旁有一条河"]
    found = audit([thin(f"{number}.png", text) for number, text in enumerate(texts)])
    assert [suspicion.image for suspicion in found] == []
    found = audit([thin(f"{number}.png", texts[0]) for number in range(2)])
    assert [suspicion.image for suspicion in found] == ["0.png", "1.png"]


def test_a_text_that_differs_in_a_number_or_a_word_is_nearly_the_same():
    text = (
        "This is a wide view of the harbour with {} white boats along the long pier in the north "
        "and a row of grey roofs behind the road in the south east of it"
    )
    found = audit([*archive(30), *(thin(f"{n}.png", text.format(n)) for n in range(40, 60))])
    assert [suspicion.image for suspicion in found] == [f"{n}.png" for n in range(40, 60)]
    assert "those of 19 other pictures" in found[0].reasons[0]


def test_near_texts_are_those_of_a_jaccard_index_of_nine_tenths():
    draw = random.Random(5)
    texts = []
    for _ in range(80):
        original = draw.choices(NOUNS + LOOKS, k=draw.randint(6, 60))
        texts.append(original)
        for changes in range(draw.randint(1, 6)):
            changed = list(original)
            for _ in range(changes):
                changed[draw.randrange(len(changed))] = draw.choice(NOUNS)
            draw.shuffle(changed)
            texts.append(changed[: draw.choice([-1, len(changed)])])
    labels = group_texts(
        read_texts([thin(f"{n}", " ".join(text)) for n, text in enumerate(texts)], {})
    )
    counted = [Counter(text) for text in texts]
    near = set()
    for one, other in itertools.combinations(range(len(texts)), 2):
        shared = (counted[one] & counted[other]).total()
        if shared >= 0.9 * (len(texts[one]) + len(texts[other]) - shared):
            near.add((one, other))
    together = [(one, other) for one, other in near if labels[one] == labels[other]]
    assert len(near) > 100
    assert len(together) >= 0.95 * len(near)
    # Nothing else is put together but what near pairs chain.
    chains = np.arange(len(texts))
    for one, other in sorted(near) * 5:
        chains[chains == chains[other]] = chains[one]
    for one, other in itertools.combinations(range(len(texts)), 2):
        assert labels[one] != labels[other] or chains[one] == chains[other]


def test_pairs_that_differ_in_one_word_are_all_found():
    draw = random.Random(6)
    records = []
    for number in range(200):
        text = draw.choices(NOUNS + LOOKS, k=30)
        other = list(text)
        other[draw.randrange(30)] = "volcano"
        records += [thin(f"{number}a", " ".join(text)), thin(f"{number}b", " ".join(other))]
    labels = group_texts(read_texts(records, {}))
    assert (labels[::2] == labels[1::2]).all()
    assert len(np.unique(labels)) == 200


def stock(image, number=0):
    """A record of nothing but what the captioner says about everything."""
    endings = ["any ships", "any visible roads", "a clear subject", "many details", "any buildings"]
    said = [
        f"The image does not contain {endings[(number + n) % 5]} {NOUNS[(7 * number + n) % 40]}"
        for n in range(5)
    ]
    return Record(image, tuple(Variant(text, text, f"{text}.") for text in said))


def test_stock_phrases_come_before_an_ordinary_opening():
    records = archive(60) + [stock(f"stock/{number}.jpg", number) for number in range(12)]
    found = audit(records)
    assert [suspicion.image.split("/")[0] for suspicion in found] == ["stock"] * 12
    assert any(
        'pictures share "the image does not contain' in reason for reason in found[0].reasons
    )


def test_short_texts_that_are_right_for_many_pictures_weigh_little():
    short = ("a green field", "a white roof", "three ships in harbour")
    records = [thin(f"{number}.png", short[number % 3]) for number in range(90)]
    assert all(suspicion.score < 0.3 for suspicion in audit(records))
    repeated = [thin(f"{number}.png", *[short[number % 3]] * 5) for number in range(90)]
    assert all(s.score <= 0.5 + 0.3 / 2 for s in audit(repeated))  # repetition alone scores half
    fixed = [thin(f"fixed/{number}.png", LONG) for number in range(9)]
    assert [s.image for s in audit(records + fixed)][:9] == [s.image for s in fixed]


def test_many_short_texts_that_others_all_have_are_no_chance():
    texts = [f"a {look} {noun}" for look, noun in zip(LOOKS, NOUNS, strict=False)][:5]
    fixed = [thin(f"fixed/{number}.png", *texts) for number in range(9)]
    found = audit(archive(60) + fixed)
    assert [suspicion.image for suspicion in found] == [record.image for record in fixed]
    assert found[0].score > 0.8


def test_an_opening_that_all_records_share_weighs_little():
    records = [
        thin(
            f"{number}.jpg",
            f"An aerial photograph of a {draw.choice(LOOKS)} {draw.choice(NOUNS)} beside a "
            f"{draw.choice(NOUNS)} and the {draw.choice(LOOKS)} {draw.choice(NOUNS)} north of "
            f"{draw.choice(NOUNS)}s {number}",
        )
        for number, draw in enumerate(map(random.Random, range(100)))
    ]
    assert all(suspicion.score < 0.2 for suspicion in audit(records))


def test_a_phrase_of_few_pictures_is_not_stock():
    few = [thin(f"{n}.png", f"The image does not contain {NOUNS[n]} {NOUNS[-n]}") for n in range(4)]
    assert audit([*archive(60), *few]) == []


def test_a_phrase_counts_once_for_a_picture_however_often_it_says_it():
    words_ = [" ".join(NOUNS[n : n + 3]) for n in range(12)]
    one = Record(
        "one.jpg",
        tuple(
            Variant(*(f"the image does not contain {w}" for w in words_[n : n + 3]))
            for n in (0, 3, 6, 9)
        ),
    )
    same = {f"{n}.jpg": "one.jpg" for n in range(9)}
    assert audit([one]) == []
    assert audit([one, *(renamed(one, image) for image in same)], same) == []


def test_variants_that_repeat_one_another_are_told():
    record = sound("x")
    dull = Record("dull.jpg", record.variants[:1] * 5)
    found = audit([*archive(20), dull])
    assert [suspicion.image for suspicion in found] == ["dull.jpg"]
    assert found[0].reasons == ("12 of its own 15 texts (nearly) repeat another",)
    assert 0.3 < found[0].score < 0.5


def test_records_without_words_and_no_records_are_no_trouble():
    assert audit([]) == []
    assert audit([thin("a.jpg", "..."), thin("b.jpg", "!"), Record("c.jpg", ())]) == []
    found = audit([thin("a.jpg", "..."), *(thin(f"{n}.jpg", LONG) for n in range(3))])
    assert [suspicion.image for suspicion in found] == ["0.jpg", "1.jpg", "2.jpg"]


def test_a_long_archive_is_judged_as_a_whole_however_it_is_divided(monkeypatch):
    records = archive(40) + [stock(f"stock/{number}.jpg", number) for number in range(12)]
    records += [renamed(sound("x"), f"blind/{number}.jpg") for number in range(5)]
    whole = audit(records)
    monkeypatch.setattr(words, "_AT_ONCE", 1)
    assert audit(iter(records)) == whole


def test_more_words_than_the_vocabulary_holds_change_nothing_but_the_spelling(monkeypatch):
    records = [*archive(10), *(stock(f"stock/{number}.jpg", number) for number in range(12))]
    whole = audit(records)
    monkeypatch.setattr(words, "_KNOWN", 3)
    found = audit(records)
    assert [(s.image, s.score) for s in found] == [(s.image, s.score) for s in whole]


def test_the_order_of_records_does_not_matter():
    records = archive(30) + [renamed(sound("x"), f"blind/{n}.jpg") for n in range(5)]
    records += [stock(f"stock/{number}.jpg", number) for number in range(12)]
    straight, shuffled = audit(records), list(records)
    random.Random(1).shuffle(shuffled)
    again = audit(shuffled)
    assert [(s.image, s.score) for s in again] == [(s.image, s.score) for s in straight]


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared")
def test_records_of_a_real_model_are_nearly_all_sound_and_a_planted_text_is_first():
    path = SHARED / "data" / "rsicd" / "rsrt_val.jsonl"
    pieces = [line.content for line in read(path) if isinstance(line.content, Piece)]
    records = [Record(piece.image, piece.variants) for piece in pieces][:300]
    assert len(audit(records)) <= 3
    planted = [renamed(records[0], f"planted/{n}.jpg") for n in range(4)]
    found = audit([*records, *planted])
    assert {s.image for s in found[:5]} == {records[0].image, *(r.image for r in planted)}


# --- the command


@pytest.fixture
def run():
    runner = CliRunner()
    return lambda *arguments: runner.invoke(
        app, ["audit", *map(str, arguments)], catch_exceptions=False
    )


def lines_of(records):
    return [json.dumps(record.to_json()) for record in records]


def test_the_command_shows_the_worst_first_and_nothing_that_a_terminal_obeys(tmp_path, run):
    store = create_store(tmp_path / "s")
    blind = [renamed(sound("x"), f"blind/\x1b[31m{n}.jpg") for n in range(30)]
    import_files(store, [write_lines(tmp_path / "r.jsonl", lines_of([*archive(20), *blind]))])
    result = run("--store", tmp_path / "s")
    assert result.exit_code == 0
    shown = result.stdout.splitlines()
    assert len(shown) == 20
    assert shown[0].startswith(
        "0.97  blind/\\x1b[31m0.jpg: 15 of 15 texts are (nearly) those of 29"
    )
    assert "30 of 50 records look wrong" in result.stderr
    assert len(run("--store", tmp_path / "s", "--top", 3).stdout.splitlines()) == 3


def test_the_command_prints_everything_as_json(tmp_path, run):
    store = create_store(tmp_path / "s")
    blind = [renamed(sound("x"), f"blind/{n:02d}.jpg") for n in range(30)]
    import_files(store, [write_lines(tmp_path / "r.jsonl", lines_of([*archive(20), *blind]))])
    found = json.loads(run("--store", tmp_path / "s", "--json").stdout)
    assert [entry["image"] for entry in found] == [record.image for record in blind]
    assert all(set(entry) == {"image", "score", "reasons"} for entry in found)
    assert found[0]["score"] == 0.9667
    assert len(json.loads(run("--store", tmp_path / "s", "--json", "--top", "3").stdout)) == 3


def test_a_sound_store_shows_nothing(tmp_path, run):
    store = create_store(tmp_path / "s")
    import_files(store, [write_lines(tmp_path / "r.jsonl", lines_of(archive(20)))])
    result = run("--store", tmp_path / "s")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "none of 20 records look wrong" in result.stderr
    assert json.loads(run("--store", tmp_path / "s", "--json").stdout) == []


class Blind:
    """Says the same of every picture."""

    def identity(self):
        return {"captioner": "blind", "model": "blind-1"}

    def caption(self, images):
        for prepared in images:
            yield Captioned(prepared.image, sound("x").variants)


def test_of_a_captioned_store_equal_bytes_are_one_picture(tmp_path, run):
    paint_archive(tmp_path / "in", 10)
    for number in range(4):
        copy = tmp_path / "in" / f"copy{number}.png"
        copy.write_bytes((tmp_path / "in" / "0003.png").read_bytes())
    caption(tmp_path / "s", tmp_path / "in", Blind())
    found = json.loads(run("--store", tmp_path / "s", "--json").stdout)
    assert len(found) == 14
    assert {entry["score"] for entry in found} == {0.9}
    assert all("those of 9 other pictures" in entry["reasons"][0] for entry in found)


def test_where_all_pictures_are_of_equal_bytes_nothing_is_wrong(tmp_path, run):
    paint(tmp_path / "in" / "a.png")
    for number in range(4):
        (tmp_path / "in" / f"b{number}.png").write_bytes((tmp_path / "in" / "a.png").read_bytes())
    caption(tmp_path / "s", tmp_path / "in", Blind())
    assert json.loads(run("--store", tmp_path / "s", "--json").stdout) == []


# --- the first answers of a run


def answers(texts, pictures):
    lookalikes = Lookalikes()
    for number, (said, picture) in enumerate(zip(texts, pictures, strict=True)):
        lookalikes.add(f"{number}.png", signature_of(picture), said)
    return lookalikes


def plain(colour, mark=0):
    picture = Image.new("RGB", (64, 64), colour)
    picture.putpixel((mark % 64, 0), (mark % 256, 7, 7))
    return picture


COLOURS = [(200, 30, 30), (30, 160, 30), (30, 30, 200), (210, 210, 30), (250, 250, 250)]


def told(record):
    return [text.text for text in record.texts()]


def test_one_answer_to_pictures_of_five_colours_is_told_with_an_example():
    pictures = [plain(COLOURS[number % 5], number) for number in range(30)]
    verdict = answers([told(sound("x"))] * 30, pictures).verdict()
    assert verdict is not None
    assert verdict.startswith("30 of the first 30 answers are the same")
    assert "(for example 0.png and 1.png)" in verdict


def test_one_answer_for_each_of_five_colours_is_right():
    pictures = [plain(COLOURS[number % 5], number) for number in range(30)]
    said = [told(sound(f"colour {number % 5}")) for number in range(30)]
    assert answers(said, pictures).verdict() is None


def test_a_server_that_hardly_varies_what_it_says_is_told_too():
    pictures = [plain(COLOURS[number % 5], number) for number in range(30)]
    base = told(sound("x"))
    said = [[*base[:10], *told(sound(f"{number}"))[:5]] for number in range(30)]
    assert answers(said, pictures).verdict() is not None
    some = [[*base[:5], *told(sound(f"{number}"))[:10]] for number in range(30)]
    assert answers(some, pictures).verdict() is None


def test_few_answers_prove_nothing_and_some_alike_among_many_do_not_either():
    pictures = [plain(COLOURS[number % 5], number) for number in range(30)]
    assert answers([told(sound("x"))] * 7, pictures[:7]).verdict() is None
    said = [told(sound("x" if number < 8 else f"{number}")) for number in range(30)]
    assert answers(said, pictures).verdict() is None


def test_the_same_answer_to_pictures_that_look_alike_proves_nothing():
    noise = np.random.default_rng(1)
    pictures = [
        Image.fromarray(noise.integers(60, 90, (64, 64, 3), dtype=np.uint8)) for _ in range(30)
    ]
    assert answers([told(sound("x"))] * 30, pictures).verdict() is None


def test_a_signature_is_small_and_tells_pictures_apart():
    left = Image.new("RGB", (100, 80))
    left.paste((255, 255, 255), (0, 0, 50, 80))
    right = left.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert len(signature_of(left)) == 192
    assert answers([["a pier"]] * 8, [left, right] * 4).verdict() is not None
