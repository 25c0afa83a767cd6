"""The dialogue about one picture: what is asked again, how, and how it ends."""

import json
import random

import pytest

from trsllava.captioning import Captioned, Failed, Usage
from trsllava.captioning.dialogue import (
    DEFAULT_MAX_TOKENS,
    Dialogue,
    Reply,
    Request,
    dialogue_identity,
)
from trsllava.captioning.prompts import Prompt, load_prompt
from trsllava.errors import UsageError
from trsllava.records import FIELDS, VARIANTS, canonical_json
from trsllava.testing.captioners import COLOURS, describe

RSRT = load_prompt("rsrt")


def record(colour="red", **changes):
    """Return a good record as JSON; ``caption2`` changes the caption of the second variant."""
    from PIL import Image

    variants = [
        dict(zip(FIELDS, variant.texts(), strict=True))
        for variant in describe(Image.new("RGB", (30, 30), COLOURS[colour]))
    ]
    for place, text in changes.items():
        variants[int(place[-1]) - 1][place[:-1]] = text
    return json.dumps({"variants": variants})


GOOD = record()
CUT = GOOD[: len(GOOD) // 2]
LOOP = record(caption2="the the the the")
PLACE = record(caption2="A red field beside Rotterdam.")
REFUSAL = "I'm sorry, I can't help with this image."
THINKING = "The picture shows ..."


def hold(*replies, limit=1000, prompt=RSRT, **options):
    """Give the replies one after another; return outcome and requests, and leave none over."""
    dialogue = Dialogue("a/b.png", prompt, limit, **options)
    requests = [dialogue.request]
    for number, reply in enumerate(replies, start=1):
        outcome = dialogue.receive(Reply(reply) if isinstance(reply, str) else reply)
        if outcome is not None:
            assert number == len(replies), "it ended before all replies were given"
            return outcome, requests
        requests.append(dialogue.request)
    return None, requests


def test_a_good_reply_is_a_record_at_once():
    outcome, requests = hold(Reply(GOOD, usage=Usage(300, 200)))
    assert requests == [Request(RSRT.text, 1000)]
    assert outcome == Captioned("a/b.png", outcome.variants, (), Usage(300, 200, 1))
    assert len(outcome.variants) == VARIANTS
    assert outcome.variants[1].one_sentence == "The ground is dark red and even all over."


@pytest.mark.parametrize(
    "cut",
    [
        Reply(CUT, cut=True),
        Reply(CUT),  # a server that says "stop"
        Reply(GOOD[:20] + "\n" * 3000, cut=True),
        Reply(GOOD[:20] + "\n" * 3000),
        Reply("```json\n" + CUT),
        Reply(GOOD, cut=True),  # whole by chance, but the model had more to say
        Reply("", cut=True),
        Reply("{"),
        Reply('Sure:\n{"vari'),
    ],
    ids=range(9),
)
def test_a_cut_reply_is_asked_for_once_more_with_twice_the_limit(cut):
    outcome, requests = hold(cut, GOOD)
    assert requests == [Request(RSRT.text, 1000), Request(RSRT.text, 2000)]
    assert isinstance(outcome, Captioned)
    assert outcome.flags == ("asked_longer",)
    assert outcome.usage.calls == 2

    outcome, _ = hold(cut, cut)
    assert isinstance(outcome, Failed)
    assert outcome.reason == "cut"
    assert "--max-tokens" in outcome.detail
    assert outcome.raw == cut.text


def few(usage):
    variants = json.loads(GOOD)["variants"][:2]
    return Reply(json.dumps({"variants": variants}), usage=usage)


@pytest.mark.parametrize("usage", [Usage(3000, 1096), Usage(2000, 48), Usage(7000, 1192)])
def test_an_incomplete_reply_that_fills_a_context_is_cut_and_names_the_setting(usage):
    outcome, requests = hold(few(usage), few(usage))
    assert [request.max_tokens for request in requests] == [1000, 2000]
    assert outcome.reason == "cut"
    assert str(usage.prompt_tokens + usage.completion_tokens) in outcome.detail
    for setting in ("OLLAMA_CONTEXT_LENGTH", "--ctx-size", "--max-model-len"):
        assert setting in outcome.detail


@pytest.mark.parametrize("usage", [Usage(3000, 1095), Usage(500, 524), Usage()])
def test_an_incomplete_reply_of_any_other_length_is_just_incomplete(usage):
    outcome, requests = hold(few(usage), few(usage))
    assert [request.max_tokens for request in requests] == [1000, 1000]
    assert outcome.reason == "incomplete"
    assert "only 2 of 5 variants" in outcome.detail


def test_a_whole_record_that_happens_to_fill_a_context_is_a_record():
    outcome, _ = hold(Reply(GOOD, usage=Usage(3000, 1096)))
    assert isinstance(outcome, Captioned)


@pytest.mark.parametrize(
    "only_thought",
    [
        Reply("", cut=True, thought=True),
        Reply("", thought=True),
        Reply(f"<think>{GOOD}", cut=True),
        Reply(f"<think>{GOOD}"),
        Reply(f"<think>{GOOD}</think>\n "),
    ],
    ids=range(5),
)
def test_a_reply_of_nothing_but_thinking_says_so_and_how_to_switch_it_off(only_thought):
    outcome, requests = hold(only_thought, only_thought)
    assert [request.max_tokens for request in requests] == [1000, 2000]
    assert outcome.reason == "reasoning"
    assert "--max-tokens" in outcome.detail
    assert "thinking off" in outcome.detail

    outcome, _ = hold(only_thought, GOOD)
    assert outcome.flags == ("asked_longer",)


def test_json_inside_a_think_block_is_never_taken():
    thought = f"<think>Let me look. {record('blue')}</think>\n{GOOD}"
    outcome, _ = hold(thought)
    assert outcome.variants == hold(GOOD)[0].variants
    assert outcome.flags == ()  # thinking aside, the answer was bare JSON

    outcome, _ = hold(f'<think>Let me look. {{"variants": []}}</think>\n{GOOD}')
    assert outcome.variants == hold(GOOD)[0].variants


def test_thinking_beside_a_good_answer_is_no_fault():
    assert isinstance(hold(Reply(GOOD, thought=True))[0], Captioned)


def test_an_empty_reply_is_asked_for_again_as_it_was():
    outcome, requests = hold("", GOOD)
    assert requests == [Request(RSRT.text, 1000)] * 2
    assert outcome.flags == ("asked_again",)

    outcome, _ = hold("", " \n")
    assert (outcome.reason, outcome.usage.calls) == ("empty", 2)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("A red field lies in the north.", "malformed"),
        (GOOD.replace('"', "'"), "malformed"),
        (record(caption2=""), "incomplete"),
        (LOOP, "loop"),
        (record(caption2="..."), "empty_text"),
        (record(caption2="Trees cover 30% of the land."), "percentages"),
        (record(caption2=REFUSAL), "refused"),
        (REFUSAL, "refused"),
        (json.dumps({"error": REFUSAL}), "refused"),
        (Reply("", refusal="I will not."), "refused"),
        (Reply(GOOD, refusal="I will not."), "refused"),
        (record(feature4="describe only what is visible in it"), "echo"),
        (record(caption2="Take care of that problem."), None),
        (
            record(
                caption2="Look at the image again and answer anew, with all five variants in full."
            ),
            "echo",
        ),
        (record(caption2="a field \ud83d"), "garbled"),
        (record(caption2="a field \0"), "garbled"),
        (record(caption2="x" * 10 + " \U0001f600"), "loop"),
        (record(caption2=" ".join(map(str, range(700)))), "long"),
    ],
    ids=range(18),
)
def test_bad_content_is_asked_for_once_with_the_repair_prompt(bad, reason):
    if reason is None:
        assert isinstance(hold(bad)[0], Captioned)
        return
    outcome, requests = hold(bad, GOOD)
    assert isinstance(outcome, Captioned)
    assert outcome.flags == ("repaired",)
    assert requests[1].max_tokens == 1000
    assert requests[1].prompt.startswith(RSRT.text)

    outcome, _ = hold(bad, bad)
    assert isinstance(outcome, Failed)
    assert outcome.reason == reason
    assert outcome.usage.calls == 2
    assert outcome.detail in requests[1].prompt
    assert "{problem}" not in requests[1].prompt


def test_each_remedy_is_tried_once_and_no_more():
    outcome, requests = hold("", CUT, LOOP, GOOD)
    assert outcome.flags == ("asked_again", "asked_longer", "repaired")
    assert [request.max_tokens for request in requests] == [1000, 1000, 2000, 2000]
    for last, reason in ((LOOP, "loop"), (CUT, "cut"), ("", "empty")):
        outcome, _ = hold("", CUT, LOOP, last)
        assert (outcome.reason, outcome.usage.calls) == (reason, 4)


def test_a_cut_answer_to_the_repair_prompt_keeps_the_repair_prompt():
    _, requests = hold(LOOP, CUT, GOOD)
    assert requests[2] == Request(requests[1].prompt, 2000)


def test_a_supposed_place_is_asked_about_once_and_then_flagged():
    outcome, requests = hold(PLACE, GOOD)
    assert "Rotterdam" in requests[1].prompt
    assert outcome.flags == ("repaired",)

    outcome, _ = hold(PLACE, PLACE)
    assert outcome.flags == ("place_names", "repaired")
    assert outcome.variants[1].caption == "A red field beside Rotterdam."


@pytest.mark.parametrize("worse", [LOOP, "", CUT, REFUSAL, "<think>"])
def test_a_record_with_a_supposed_place_is_kept_when_asking_again_brings_worse(worse):
    outcome, _ = hold(Reply(PLACE, usage=Usage(10, 5)), Reply(worse, usage=Usage(20, 7)))
    assert outcome.flags == ("place_names",)
    assert outcome.variants[1].caption == "A red field beside Rotterdam."
    assert outcome.usage == Usage(30, 12, 2)


def test_a_supposed_place_in_the_answer_to_the_repair_prompt_is_flagged():
    outcome, _ = hold(LOOP, PLACE)
    assert outcome.flags == ("place_names", "repaired")


def test_what_was_unusual_is_flagged_in_order():
    extra = json.loads(GOOD)["variants"]
    extra.append(extra[0])
    outcome, _ = hold(CUT, f"Here it is:\n{json.dumps({'variants': extra})}")
    assert outcome.flags == ("asked_longer", "more_variants", "plain_text")


def test_tokens_and_calls_of_all_replies_are_summed():
    outcome, _ = hold(
        Reply("", usage=Usage(300, 0)),  # a captioner that does not count
        Reply(CUT, cut=True, usage=Usage(300, 1000, 1)),
        Reply(GOOD, usage=Usage(300, 900, 2)),  # one that tried twice
    )
    assert outcome.usage == Usage(900, 1900, 4)


def test_without_checks_only_number_and_form_are_judged():
    outcome, _ = hold(LOOP, checks=False)
    assert outcome.variants[1].caption == "the the the the"
    outcome, _ = hold(record(caption2="a field \ud83d"), checks=False)
    assert outcome.variants[1].caption == "a field"
    outcome, _ = hold(record(caption2=""), record(caption2=""), checks=False)
    assert outcome.reason == "incomplete"


def test_the_language_given_goes_before_that_of_the_prompt():
    assert isinstance(hold(GOOD)[0], Captioned)
    outcome, requests = hold(GOOD, GOOD, language="de-CH")
    assert outcome.reason == "language"
    assert "'de'" in requests[1].prompt


def test_the_raw_reply_is_kept_bounded_and_can_be_written():
    outcome, _ = hold("\ud800" + "z" * 10_000_000, "\ud800" + "z" * 10_000_000)
    assert outcome.reason == "malformed"
    assert outcome.raw.startswith("\\ud800zzz")
    assert 60_000 < len(outcome.raw.encode()) < 70_000
    assert hold("x", Reply("", refusal="I will not."))[0].raw == "I will not."


def test_braces_and_percent_signs_of_a_reply_are_no_format():
    bad = record(caption2="{problem} {0} %s no no no {x!r}")
    outcome, requests = hold(bad, bad)
    assert outcome.reason == "loop"
    assert requests[1].prompt.count(RSRT.text) == 1


def test_a_prompt_that_asks_for_no_record_is_refused():
    for name in ("query", "repair"):
        with pytest.raises(UsageError, match=name):
            Dialogue("a.png", load_prompt(name), 1000)
    with pytest.raises(UsageError, match="positive"):
        Dialogue("a.png", RSRT, 0)
    with pytest.raises(UsageError, match="known: ar"):
        Dialogue("a.png", RSRT, 1, language="tlh")


def test_all_that_changes_a_record_is_in_the_identity():
    base = dialogue_identity(RSRT, 2048)
    canonical_json(base)
    others = [
        dialogue_identity(RSRT, 2047),
        dialogue_identity(Prompt("rsrt", 1, "record", "Other words."), 2048),
        dialogue_identity(RSRT, 2048, language="de"),
        dialogue_identity(RSRT, 2048, checks=False),
    ]
    assert all(other != base for other in others)
    assert dialogue_identity(RSRT, 2048, language="en-GB") == base


def test_prompt_picture_and_answer_fit_a_context_of_4096():
    from tokenizers import Tokenizer

    from trsllava.resources import find

    tokenizer = Tokenizer.from_file(str(find("models/minilm/tokenizer.json")))
    tokenizer.no_truncation()
    repair = load_prompt("repair").text
    asked = len(tokenizer.encode(f"{RSRT.text}\n\n{repair}" + " word" * 40).ids)
    picture = 37 * 37  # Qwen2.5-VL: a token for 28 x 28 pixels of 1,024 x 1,024
    assert asked + picture + DEFAULT_MAX_TOKENS <= 4096


def test_whatever_a_reply_is_made_of_it_ends_as_a_full_record_or_a_failure():
    pieces = [GOOD, CUT, LOOP, "<think>", "</think>", "```json\n", "{", "}", "[", '"', "\\", "\0"]
    pieces += ["\ud800", "\n", '{"variants": ', "NaN", "null", "\\ud83d", "\u2028", "I'm sorry"]
    chance = random.Random(7)
    kinds = set()
    for _ in range(1500):
        dialogue, outcome, asked = Dialogue("a.png", RSRT, 100), None, 0
        while outcome is None:
            parts = chance.choices(pieces, k=chance.randint(0, 4))
            text = "".join(part[: chance.choice([len(part), 40])] for part in parts)
            outcome = dialogue.receive(Reply(text, chance.random() < 0.1, chance.random() < 0.1))
            asked += 1
        assert asked == outcome.usage.calls <= 4
        kinds.add(getattr(outcome, "reason", "captioned"))
        outcome_text = outcome.raw if isinstance(outcome, Failed) else str(outcome.variants)
        outcome_text.encode()  # raises if half of a pair is left
        if isinstance(outcome, Captioned):
            assert [variant.texts() for variant in outcome.variants] == GOOD_TEXTS
    assert {"captioned", "cut", "malformed", "refused", "loop", "empty", "reasoning"} <= kinds


GOOD_TEXTS = [tuple(variant.values()) for variant in json.loads(GOOD)["variants"]]
