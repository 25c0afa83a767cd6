"""The served captioner: what is sent, in which form, and what is made of the replies."""

import json

import pytest
from served_kit import assert_right, caption, picture, pictures, run, served

from trsllava.captioning.captioner import Captioned, Failed
from trsllava.testing import check_captioner
from trsllava.testing.answers import Answer, completion, error, record
from trsllava.testing.server import StubServer


def flags(found):
    return {outcome.flags for outcome in found.values()}


def forms(server):
    return [call["response_format"] for call in server.calls]


def test_every_picture_gets_the_record_of_its_own_pixels():
    with StubServer() as server:
        found = caption(server, 60)
        assert_right(found, 60)
        assert flags(found) == {()}
        assert len(server.calls) == 60
        assert len({call["sha256"] for call in server.calls}) == 60
    assert {outcome.usage for outcome in found.values()} == {(300, 200, 1)}


def test_it_keeps_the_protocol_of_captioners():
    with StubServer() as server:
        check_captioner(served(server))


def test_the_picture_comes_first_and_the_limit_is_always_sent():
    asked = []

    def answer(request):
        asked.append(request.body)
        return completion(record(request))

    with StubServer(answer) as server:
        run(served(server, max_tokens=777), pictures(1))
    (body,) = asked
    assert body["max_tokens"] == 777
    assert body["temperature"] == 0
    assert body["model"] == "stub"
    (message,) = body["messages"]
    assert [part["type"] for part in message["content"]] == ["image_url", "text"]
    assert list(message["content"][0]["image_url"]) == ["url"]
    schema = body["response_format"]["json_schema"]
    assert schema["strict"] is True
    assert schema["schema"]["properties"]["variants"]["minItems"] == 5


@pytest.mark.parametrize("side", [28, 128, 129, 640])
def test_only_png_or_jpeg_leaves_and_the_declared_type_is_the_real_one(side):
    with StubServer() as server:
        run(served(server), [picture("a.webp", "blue", (side, side))])
        (call,) = server.calls
    assert call["type"] == call["real_type"] == ("image/png" if side <= 128 else "image/jpeg")
    assert call["size"] == [side, side]
    assert call["colour"] == "blue"


@pytest.mark.parametrize("size", [(64, 64), (300, 300)])
def test_the_same_pixels_are_the_same_bytes_and_nothing_else_goes_along(size):
    one, other = picture("a.png", "red", size), picture("b.png", "red", size)
    other.pixels.info.update(comment=b"secret place", icc_profile=b"x" * 200, exif=b"Exif\0\0 here")
    with StubServer() as server:
        run(served(server), [one, other])
        assert len({call["sha256"] for call in server.calls}) == 1


@pytest.mark.parametrize("mode", ["noforms", "noforms-mute"])
def test_a_refused_form_is_stepped_down_once_per_server_not_once_per_picture(mode):
    with StubServer(mode) as server:
        captioner = served(server)
        found = run(captioner, pictures(20))
        assert_right(found, 20)
        assert forms(server) == ["json_schema", "json_object", *[""] * 20]
        run(captioner, pictures(3))  # remembered from run to run
        assert len(server.calls) == 25
    assert flags(found) == {("plain_text",)}


def test_a_server_without_json_object_is_asked_in_plain_text_when_it_refuses_the_schema_too():
    def answer(request):
        if request.form == "json_schema":
            return error(400, "response_format: json_schema is not supported by this model")
        if request.form == "json_object":
            return error(400, "'response_format.type' must be 'json_schema' or 'text'")
        return completion(record(request))

    with StubServer(answer) as server:
        assert_right(caption(server))
        assert forms(server)[:3] == ["json_schema", "json_object", ""]
        assert len(server.calls) == 14


def test_a_server_that_refuses_json_object_is_never_asked_for_it_while_it_takes_the_schema():
    with StubServer("noobject") as server:
        found = caption(server)
        assert_right(found)
        assert set(forms(server)) == {"json_schema"}
    assert flags(found) == {()}


def test_json_object_is_named_in_the_record():
    def answer(request):
        if request.form == "json_schema":
            return error(422, "json_schema: extra inputs are not permitted")
        return completion(record(request))

    with StubServer(answer) as server:
        found = caption(server)
        assert_right(found)
    assert flags(found) == {("json_object",)}


def test_a_schema_without_limits_is_tried_where_the_limits_are_refused():
    with StubServer("nolimits") as server:
        found = caption(server)
        assert_right(found)
        assert set(forms(server)) == {"json_schema"}
        assert len(server.calls) == 13
    assert flags(found) == {()}


@pytest.mark.parametrize("mode", ["fence", "preamble"])
def test_a_server_that_ignores_the_form_is_read_and_at_last_not_asked_for_one(mode):
    with StubServer(mode) as server:
        found = caption(server, 60, concurrency=2)
        assert_right(found, 60)
        assert forms(server)[0] == "json_schema"
        assert forms(server)[-1] == ""
        assert len(server.calls) == 60
    assert flags(found) == {("plain_text",)}


def test_refusals_are_no_sign_of_an_ignored_form():
    def answer(request):
        if request.number <= 12:
            return completion("I'm sorry, I can't help with this image.")
        return completion(record(request))

    with StubServer(answer) as server:
        found = caption(server, 20, concurrency=1)
        assert set(forms(server)) == {"json_schema"}
    assert [o.reason for o in found.values() if isinstance(o, Failed)] == ["refused"] * 6
    assert {o.flags for o in found.values() if isinstance(o, Captioned)} == {()}


def test_the_flags_do_not_depend_on_when_the_form_was_given_up():
    found = []
    for concurrency in (1, 16):
        with StubServer("fence") as server:
            found.append(caption(server, 30, concurrency=concurrency))
    assert found[0] == found[1]


def test_thinking_is_left_out_and_is_no_sign_of_an_ignored_form():
    with StubServer("think") as server:
        found = caption(server, 20)
        assert_right(found, 20)
        assert set(forms(server)) == {"json_schema"}
    assert flags(found) == {()}
    assert "think" not in repr(found)


@pytest.mark.parametrize(
    ("mode", "key"), [("newtokens", "max_completion_tokens"), ("notemperature", "max_tokens")]
)
def test_a_refused_parameter_is_given_up_once_per_server(mode, key):
    with StubServer(mode) as server:
        assert_right(caption(server))
        assert len(server.calls) == 13
        assert {call["max_tokens"] for call in server.calls} == {2048}, key


def test_a_context_too_small_for_the_limit_is_asked_for_what_it_leaves():
    words = (
        "'max_tokens' or 'max_completion_tokens' is too large: 2048. This model's maximum context "
        "length is 3000 tokens and your request has 1500 input tokens (2048 > 3000 - 1500)."
    )

    def answer(request):
        if request.limit > 1500:
            return error(400, words)
        return completion(record(request))

    with StubServer(answer) as server:
        assert_right(caption(server))
        assert {call["max_tokens"] for call in server.calls} == {2048, 1500}


@pytest.mark.parametrize(
    ("mode", "reason", "said", "limits"),
    [
        ("length", "cut", "--max-tokens", [2048, 4096]),
        ("blank", "cut", "--max-tokens", [2048, 4096]),
        ("context", "cut", "OLLAMA_CONTEXT_LENGTH", [2048, 4096]),
        ("loop", "loop", "", [2048, 2048]),
        ("emptythink", "reasoning", "thinking", [2048, 4096]),
        ("empty", "empty", "log", [2048, 2048]),
        ("null", "empty", "log", [2048, 2048]),
        ("prose", "malformed", "JSON", [2048, 2048]),
        ("thin", "incomplete", "2 of 5", [2048, 2048]),
        ("refuse", "refused", "", [2048, 2048]),
        ("refusal", "refused", "", [2048, 2048]),
        ("filter", "refused", "", [2048, 2048]),
    ],
)
def test_a_bad_text_is_asked_for_once_more_then_the_picture_fails(mode, reason, said, limits):
    with StubServer(mode) as server:
        found = caption(server, 1)
        assert [call["max_tokens"] for call in server.calls] == limits
    (outcome,) = found.values()
    assert isinstance(outcome, Failed)
    assert outcome.reason == reason
    assert said in outcome.detail
    assert outcome.usage.calls == 2
    if mode not in ("empty", "null", "emptythink"):
        assert outcome.raw


def test_content_in_parts_is_put_together():
    def answer(request):
        text = record(request)
        parts = [{"type": "text", "text": text[:50]}, {"type": "text", "text": text[50:]}]
        return completion(parts)

    with StubServer(answer) as server:
        assert_right(caption(server))


@pytest.mark.parametrize(
    "usage",
    [
        None,
        "many",
        {"prompt_tokens": None, "completion_tokens": -3},
        {"prompt_tokens": 10**30, "completion_tokens": True},
    ],
)
def test_a_reply_without_counts_or_with_odd_ones_still_counts_as_a_call(usage):
    def answer(request):
        return Answer(completion(record(request)).body | {"usage": usage})

    with StubServer(answer) as server:
        found = caption(server, 1)
    (outcome,) = found.values()
    assert isinstance(outcome, Captioned)
    assert outcome.usage == (0, 0, 1)


def test_the_identity_says_what_changes_a_record_and_nothing_else():
    one = served("http://127.0.0.1:1/v1", concurrency=3, budget=7.0)
    other = served("http://192.0.2.7/v1")
    assert one.identity() == other.identity()
    identity = json.dumps(one.identity())
    assert "127.0.0.1" not in identity
    assert one.identity()["captioner"] == "openai"
    assert one.identity()["prompt"]["name"] == "rsrt"
    for options in ({"model": "b"}, {"max_tokens": 5}, {"checks": False}, {"language": "de"}):
        assert served("http://127.0.0.1:1/v1", **options).identity() != one.identity()
