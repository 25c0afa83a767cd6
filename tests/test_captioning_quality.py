"""The checks of every record: what they refuse, and that they leave good records alone."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from trsllava.captioning.languages import LANGUAGES, known_language
from trsllava.captioning.prompts import Prompt, load_prompt
from trsllava.captioning.quality import objection, place_names
from trsllava.captioning.replies import Reading
from trsllava.errors import UsageError
from trsllava.records import FIELDS, Variant
from trsllava.testing.captioners import COLOURS, describe

SHARED = Path(__file__).parents[1].parent / "shared"
RSRT = load_prompt("rsrt")
FREE = Prompt("free", 1, "record", "Say what you see.")
GOOD = (
    Variant(
        "A harbour with two ships at a long pier.",
        "two white ships in the east, one grey pier, dark water",
        "Two white ships lie at a long grey pier in the east. The water is dark and calm.",
    ),
    Variant(
        "White hulls and grey concrete stand out from dark water.",
        "white hulls, grey concrete, dark blue water",
        "The hulls are white, the pier is of grey concrete, and the water is dark blue.",
    ),
    Variant(
        "A pier runs from the south shore to the centre.",
        "pier from south to centre, ships on its east side, open water in the north",
        "A pier runs from the south shore to the centre, with ships on its east side.",
    ),
    Variant(
        "A small port for cargo ships.",
        "small cargo port, pier, ships, storage yard",
        "This is a small port where cargo ships are loaded from a storage yard.",
    ),
    Variant(
        "Two ships moored at a pier.",
        "two moored ships, a pier, the sea",
        "Two ships are moored at a pier by the sea.",
    ),
)


def reason(variants, prompt=RSRT, language="en", asked=None):
    found = objection(Reading(tuple(variants)), prompt, asked or prompt.text, language)
    return found and found.reason


def with_text(text, field="caption", number=2):
    """Return the good variants with one text changed."""
    changed = list(GOOD)
    changed[number] = replace(changed[number], **{field: text})
    return changed


def test_a_good_record_passes():
    assert reason(GOOD) is None


@pytest.mark.parametrize("prompt", [RSRT, FREE])
@pytest.mark.parametrize("colour", COLOURS)
def test_the_records_of_the_stub_pass(colour, prompt):
    from PIL import Image

    assert reason(describe(Image.new("RGB", (30, 30), COLOURS[colour])), prompt) is None


def test_nearly_all_good_records_of_a_strong_model_pass():
    path = SHARED / "data" / "rsicd" / "rsrt_val.jsonl"
    if not path.is_file():
        pytest.skip("../shared/data is not here")
    refused = {}
    lines = path.read_text(encoding="utf-8").splitlines()
    for line in lines:
        body = json.loads(line)
        found = objection(
            Reading(tuple(Variant(**v) for v in body["variants"])), RSRT, RSRT.text, "en"
        )
        if found:
            refused[body["image"]] = found
    assert len(lines) == 1094
    assert len(refused) <= 0.005 * len(lines), refused


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("...", "empty_text"),
        ("\u2026", "empty_text"),
        ("- - -", "empty_text"),
        ("string", "echo"),
        ("<caption>", "echo"),
        ("n/a", "echo"),
        ("Name no places, countries, people, dates or sensors, guess\nnothing", None),
        ("(2) colours, shapes and materials", None),
        (
            "the kind of place and its use, in the words of people who search for such images",
            "echo",
        ),
        ("A harbour. Describe ONLY what is visible in it.", "echo"),
        ("A field. <think>hm</think>", "garbled"),
        ("A field.<|im_end|>", "garbled"),
        ("```json", "garbled"),
        ('A field", "one_sentence": "a', "garbled"),
        ("the the the field", "loop"),
        ("A plain " + "plain " * 400 + "field.", "loop"),
        ("roads and trees, roads and trees, roads and trees", "loop"),
        ("A field with aaaaaaaaaaaaaaaaaaaaaaaaa", "loop"),
        ("very, very green", None),
        ("two ships, two cranes, two sheds", None),
        ("x " * 10 + "y " * 10, "loop"),
        (" ".join(f"word{n}x" for n in range(600)), "long"),
        ("I'm sorry, I can't help with this image.", "refused"),
        ("I\u2019m unable to see it", "refused"),
        ("I can't see any picture.", "refused"),
        ("I do not see an image here.", "refused"),
        ("So crowded that I can't see any more space.", None),
        ("As an AI, I see nothing", "refused"),
        ("I cannot clearly see the image.", "refused"),
        ("No image was provided.", "refused"),
        ("Please upload the image that you mean.", "refused"),
        ("Es tut mir leid, das geht nicht.", "refused"),
        ("\u62b1\u6b49\uff0c\u6211\u770b\u4e0d\u5230\u56fe\u7247", "refused"),
        ("A sign in an image that I see shows a bus", None),
        ("Trees cover 40% of it.", "percentages"),
        ("Trees cover 40 \uff05 of it.", "percentages"),
        ("Trees cover forty percent of it.", "percentages"),
        ("Trees cover forty per cent of it.", "percentages"),
        ("A large percentage is water.", "percentages"),
        ("About 40 trees, per centre line one.", None),
        ("A harbour in Rotterdam with ships.", "places"),
        ("The ships of the Maersk line.", "places"),
        ("\u767d\u8272\u7684\u8239\u505c\u5728\u7801\u5934", "language"),
        ("Белые суда стоят у пирса", "language"),
        ("U-shaped and T-shaped buildings in the North-East", None),
        ('This is it. "Another sentence" (And a third). Done: Yes', None),
    ],
)
def test_each_fault_of_a_text_has_its_reason(text, expected):
    assert reason(with_text(text)) == expected


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("number", range(5))
def test_a_fault_is_found_wherever_it_stands_and_the_detail_says_where(field, number):
    found = objection(Reading(tuple(with_text("no no no", field, number))), RSRT, "", "en")
    assert found is not None
    assert found.reason == "loop"
    assert found.detail.startswith(f"variant {number + 1}: {field} ")


@pytest.mark.parametrize("text", ["Trees cover 40% of it.", "A harbour in Rotterdam with ships."])
def test_what_the_prompt_does_not_forbid_passes(text):
    assert reason(with_text(text), FREE) is None


def test_a_hard_fault_goes_before_a_supposed_place():
    changed = with_text("A harbour in Rotterdam.", number=0)
    changed[4] = replace(changed[4], caption="no no no")
    assert reason(changed) == "loop"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("A harbour in Rotterdam, near Den Haag.", ["Rotterdam", "Den", "Haag"]),
        ("Ships. Boats! Cars? Trees: Lawn; Roofs", []),
        ("The North, the south-East, the Northeastern edge and the Centre", []),
        ("L-shaped and T-junction, a letter H, the word GO, an SUV", []),
        ('The word "Wildcats" stands on it. "Ships" and (And so on)', []),
        ("A Roman amphitheatre, a Gothic church, an Olympic pool", []),
        ("ships in St. Petersburg", []),  # modest: this one is not seen
    ],
)
def test_names_are_capitals_inside_a_sentence(text, names):
    assert place_names(text) == names


def test_german_nouns_are_no_place_names():
    german = with_text("Zwei weisse Schiffe liegen an einem Pier im Osten.")
    assert reason(german, replace(RSRT, language="de"), "de", "x") != "places"


def test_equal_variants_are_repeated():
    assert reason([*GOOD[:4], GOOD[0]]) == "repeated"
    assert reason([*GOOD[:4], Variant(*(text.upper() for text in GOOD[0].texts()))]) == "repeated"


def test_three_variants_may_share_a_text_and_four_may_not():
    shared = [replace(v, feature="two ships, one pier") for v in GOOD]
    assert reason([*shared[:3], *GOOD[3:]]) is None
    assert reason([*shared[:4], GOOD[4]]) == "repeated"


def test_a_variant_with_one_text_in_all_three_places_is_repeated():
    assert reason([Variant("two ships", "two ships", "two ships"), *GOOD[1:]]) == "repeated"
    assert reason([Variant("two ships", "two ships", "two ships at sea"), *GOOD[1:]]) is None


SENTENCES = {
    "en": "The two ships are at the pier and there is a road from the north to the sea.",
    "de": "Die zwei Schiffe liegen an der Mole und im Norden ist eine Strasse, die auf das Meer "
    "und den Hafen zeigt, mit einem Baum und einer Wiese.",
    "fr": "Les deux bateaux sont dans le port et une route est au nord, avec des arbres sur le "
    "quai.",
    "es": "Los dos barcos están en el puerto y hay una carretera con los árboles del muelle.",
    "it": "Le due navi sono nel porto e la strada è tra gli alberi della riva con il molo che si "
    "vede, e una casa con i tetti degli edifici.",
    "pt": "Os dois navios estão no porto com uma estrada e não há dos dois lados da doca árvores "
    "em uma fila.",
    "ru": "Два белых корабля стоят у длинного серого пирса на востоке, вода тёмная и спокойная, "
    "а на севере видна дорога.",
    "ar": "سفينتان بيضاوان ترسوان عند رصيف طويل في الشرق والماء داكن وهادئ.",
    "zh": "两艘白色的船停靠在东边一条长长的灰色码头旁，海水颜色很深，"
    "北面有一条公路，南面是一片树林和几座红色屋顶的房子。",
    "ja": "二隻の白い船が東側の長い灰色の桟橋に停泊しており、水は暗く穏やかで、"
    "北には道路が見える。",
}


def spoken(language):
    """Return five variants in a language; their texts differ by a number only."""
    text = SENTENCES[language]
    return [Variant(f"{text} {n}", f"{n} {text}", f"{text} {n}{n}") for n in range(5)]


@pytest.mark.parametrize("written", LANGUAGES)
@pytest.mark.parametrize("wanted", LANGUAGES)
def test_the_language_that_is_set_is_told_from_the_others(written, wanted):
    found = reason(spoken(written), FREE, wanted)
    assert found == (None if written == wanted else "language")


@pytest.mark.parametrize("written", LANGUAGES)
def test_no_language_is_checked_when_none_is_set(written):
    assert reason(spoken(written), FREE, None) is None


def test_one_variant_in_another_language_is_found():
    assert reason([*GOOD[:4], spoken("de")[4]], FREE, "en") == "language"
    assert reason([*GOOD[:4], spoken("zh")[4]], FREE, "en") == "language"


def test_a_language_tag_with_a_region_is_known_and_an_unknown_one_is_named():
    assert known_language("pt-BR") == "pt"
    assert known_language("EN_us") == "en"
    with pytest.raises(UsageError, match=r"'tlh' cannot be checked; known: ar, de, en"):
        known_language("tlh")
