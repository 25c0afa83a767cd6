"""Reading what a model answered, however it was wrapped."""

import json
import time

import pytest

from trsllava.captioning.replies import Unusable, normalised, read_reply, without_thinking
from trsllava.records import FIELDS

VARIANTS = [{name: f"{name} of variant {n}" for name in FIELDS} for n in range(5)]
RECORD = json.dumps({"variants": VARIANTS})
OTHER = json.dumps({"variants": [{name: f"wrong {name} {n}" for name in FIELDS} for n in range(5)]})


def texts(reading):
    return [dict(zip(FIELDS, variant.texts(), strict=True)) for variant in reading.variants]


def refusal(text):
    with pytest.raises(Unusable) as caught:
        read_reply(text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "wrapped"),
    [
        (RECORD, False),
        (f"\n {RECORD}\n\n", False),
        (json.dumps(VARIANTS), False),
        (json.dumps({"image": "a.jpg", "variants": VARIANTS, "note": [1]}), False),
        (f"```json\n{RECORD}\n```", True),
        (f"```\n{json.dumps(json.loads(RECORD), indent=2)}\n```", True),
        (f"Sure! Here is the JSON:\n\n{RECORD}\n\nI hope {{this}} helps.", True),
        (f'Here are 5" {{so to say}} variants:\n{json.dumps(VARIANTS, indent=1)}\nBye', True),
        (f'{{"image": "a.jpg", "variants": {json.dumps(VARIANTS)}}} done', True),
        (f"{OTHER}\nNo, that was wrong:\n{RECORD}", True),
        (f'{RECORD}\n{{"confidence": 3}}', True),
        (f'[{{"note": "a list of no variants"}}]\n{RECORD}', True),
        (f'{RECORD}\n[{{"note": "a list of no variants"}}]', True),
        (f'{{"a": {{"b": nothing\n{RECORD}', True),
    ],
)
def test_the_five_variants_are_found_whatever_stands_around_them(text, wrapped):
    reading = read_reply(text)
    assert texts(reading) == VARIANTS
    assert reading.wrapped is wrapped


def test_the_official_names_of_the_fields_are_read():
    official = [
        {
            "one_sentence_caption": v["one_sentence"],
            "feature_analysis": v["feature"],
            "caption": v["caption"],
        }
        for v in VARIANTS
    ]
    assert texts(read_reply(json.dumps({"variants": official}))) == VARIANTS


def test_of_more_than_five_variants_the_first_five_are_kept_and_it_is_noted():
    extra = dict.fromkeys(FIELDS, "a sixth")
    reading = read_reply(json.dumps({"variants": [*VARIANTS, extra]}))
    assert texts(reading) == VARIANTS
    assert reading.more


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (f"<think>Let me look. {OTHER}</think>\n{RECORD}", RECORD),
        (f"<THINK>{OTHER}</THINK>{RECORD}", RECORD),
        (f"<thinking>{OTHER}</thinking>{RECORD}", RECORD),
        (f"[THINK]{OTHER}[/THINK]{RECORD}", RECORD),
        (f"{RECORD}<think>was that right? {OTHER}</think>", RECORD),
        (f"<think>{OTHER} and on and on", ""),
        (f"I see a field. {OTHER}</think>{RECORD}", RECORD),
        (f"<think>a <think>b</think> {OTHER}</think>{RECORD}", RECORD),
        (f"<think>{OTHER}</think><think>{OTHER}</think>{RECORD}<think>{OTHER}", RECORD),
    ],
)
def test_nothing_of_a_think_block_is_read(text, kept):
    left, found = without_thinking(text)
    assert found
    assert left.strip() == kept


def test_a_reply_without_thinking_stays_as_it_is():
    assert without_thinking(f"I think: {RECORD}") == (f"I think: {RECORD}", False)


def test_a_think_mark_inside_a_text_of_bare_json_hides_no_variant():
    odd = [dict(v) for v in VARIANTS]
    odd[2]["caption"] = "a sign that says </think>"
    text = json.dumps({"variants": odd})
    assert without_thinking(text) == (text, False)


@pytest.mark.parametrize(
    "text",
    [
        "A red field lies in the north.",
        '{"captions": []}',
        '"a string"',
        "null",
        "17",
        "{}",
        RECORD.replace('"}]', '",}]'),  # python's trailing comma
        RECORD.replace('"', "'"),
        RECORD[:-2] + ', "confidence": NaN}]}',
        '{"variants": [NaN]}',
        RECORD[:-1] + ', "variants": []}',  # the key is given twice
        RECORD.replace('"caption": ', '"feature": "twice", "caption": ', 1),
        f"{json.dumps([VARIANTS])} is a list in a list",
    ],
)
def test_what_is_no_record_is_malformed(text):
    assert refusal(text).reason == "malformed"


@pytest.mark.parametrize(
    "variants",
    [
        [],
        VARIANTS[:4],
        [*VARIANTS[:4], {}],
        [*VARIANTS[:4], None],
        [*VARIANTS[:4], "a red field"],
        [*VARIANTS[:4], {"one_sentence": "x", "feature": "y"}],
        [*VARIANTS[:4], {"one_sentence": "x", "feature": "y", "caption": ""}],
        [*VARIANTS[:4], {"one_sentence": "x", "feature": "y", "caption": " \n"}],
        [*VARIANTS[:4], {"one_sentence": "x", "feature": "y", "caption": None}],
        [*VARIANTS[:4], {"one_sentence": "x", "feature": ["a", "b"], "caption": "z"}],
        [*VARIANTS[:4], {"one_sentence": "x", "feature": "y", "caption": "\x1b\x07"}],
        {"1": VARIANTS[0]},
    ],
)
def test_a_record_with_a_part_missing_is_incomplete_and_never_filled_up(variants):
    problem = refusal(json.dumps({"variants": variants}))
    assert problem.reason == "incomplete"
    assert not problem.open_end


@pytest.mark.parametrize("end", range(1, len(RECORD) - 1, 7))
@pytest.mark.parametrize("before", ["", "Here it is: "])
def test_a_record_cut_anywhere_is_known_to_be_open(before, end):
    problem = refusal(before + RECORD[: max(end, 14)] + "\n" * 30)
    assert problem.reason == "malformed"
    assert problem.open_end


def test_a_cut_record_with_five_closed_variants_is_not_taken_from_the_middle():
    assert refusal(RECORD[:-1]).open_end
    assert refusal(json.dumps({"variants": VARIANTS}, indent=2)[:-2]).open_end


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 50_000,
        '{"variants":' + "[" * 200_000,
        '{"variants": [{"a": "' * 10_000,
        '{ "' * 80_000,
        "x" * 10_000_000,
        RECORD + " " * 100 + "y" * 10_000_000,
        '{"variants": ' + "9" * 200_000 + "}",
        ("[\n" * 50_000) + "{",
        (" " * 120_000) + "[" + (" " * 120_000),
        "x\n" + ("\t" * 120_000) + "[" + ("\n" * 120_000),
    ],
    ids=range(11),
)
def test_a_hostile_reply_is_refused_fast(text):
    began = time.perf_counter()
    left, _ = without_thinking(text)
    refusal(left)
    assert time.perf_counter() - began < 2


def test_ten_megabytes_of_think_marks_are_taken_out_fast():
    began = time.perf_counter()
    left, found = without_thinking("<think>x</think>" * 600_000 + RECORD)
    assert found
    assert texts(read_reply(left)) == VARIANTS
    assert time.perf_counter() - began < 5


def test_texts_lose_control_characters_and_runs_of_white_space_only():
    assert normalised(" a\n\n  b\tc\u2028d\u00a0e\x1b[1m\0 ") == "a b c d e[1m"
    assert normalised("caf\u00e9 \u200dна север \u5317") == "caf\u00e9 \u200dна север \u5317"


def test_broken_characters_are_left_out_and_reported():
    odd = [dict(v) for v in VARIANTS]
    odd[0]["caption"] = "a field\ud83d and\0 a road"
    reading = read_reply(json.dumps({"variants": odd}))
    assert reading.garbled
    assert reading.variants[0].caption == "a field and a road"
    assert not read_reply(RECORD).garbled
