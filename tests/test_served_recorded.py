"""Replies and refusals in the words of the servers that people use, as docs/servers.md tells.

Written by hand after the servers' public documentation and reports; the text of a good reply is
put in as the stub makes it.
"""

import json
import subprocess
import sys

import pytest
from served_kit import assert_right, caption, picture, run, served

from trsllava.captioning.captioner import CaptionerUnavailable, Failed
from trsllava.captioning.room import room_left
from trsllava.errors import UsageError
from trsllava.testing.answers import Answer, answering, completion, record
from trsllava.testing.server import StubServer

TEXT = "THE RECORD"

VLLM = """{"id": "chatcmpl-4f2c9a", "object": "chat.completion", "created": 1780000000,
 "model": "Qwen/Qwen2.5-VL-7B-Instruct", "choices": [{"index": 0, "message": {"role": "assistant",
 "reasoning_content": null, "content": "THE RECORD", "tool_calls": []}, "logprobs": null,
 "finish_reason": "stop", "stop_reason": null}], "usage": {"prompt_tokens": 1643,
 "total_tokens": 2333, "completion_tokens": 690, "prompt_tokens_details": null},
 "prompt_logprobs": null, "kv_transfer_params": null}"""

OLLAMA = """{"id": "chatcmpl-871", "object": "chat.completion", "created": 1780000000,
 "model": "qwen2.5vl:7b", "system_fingerprint": "fp_ollama", "choices": [{"index": 0, "message":
 {"role": "assistant", "content": "THE RECORD"}, "finish_reason": "stop"}], "usage":
 {"prompt_tokens": 1402, "completion_tokens": 655, "total_tokens": 2057}}"""

LLAMA_CPP = """{"choices": [{"finish_reason": "stop", "index": 0, "message": {"role": "assistant",
 "content": "THE RECORD"}}], "created": 1780000000, "model": "gemma-3-12b-it",
 "system_fingerprint": "b6000-abcdef0", "object": "chat.completion", "usage":
 {"completion_tokens": 702, "prompt_tokens": 598, "total_tokens": 1300}, "id": "chatcmpl-xK",
 "timings": {"prompt_n": 598, "prompt_ms": 310.2, "predicted_n": 702, "predicted_ms": 9120.0}}"""

LM_STUDIO = """{"id": "chatcmpl-b0", "object": "chat.completion", "created": 1780000000,
 "model": "qwen2-vl-7b-instruct", "choices": [{"index": 0, "logprobs": null, "finish_reason":
 "stop", "message": {"role": "assistant", "content": "THE RECORD", "reasoning_content": ""}}],
 "usage": {"prompt_tokens": 900, "completion_tokens": 640, "total_tokens": 1540}, "stats": {},
 "system_fingerprint": "qwen2-vl-7b-instruct"}"""

OPENAI = """{"id": "chatcmpl-CX", "object": "chat.completion", "created": 1780000000,
 "model": "gpt-4.1-mini-2025-04-14", "choices": [{"index": 0, "message": {"role": "assistant",
 "content": "THE RECORD", "refusal": null, "annotations": []}, "logprobs": null, "finish_reason":
 "stop"}], "usage": {"prompt_tokens": 1105, "completion_tokens": 590, "total_tokens": 1695,
 "completion_tokens_details": {"reasoning_tokens": 0}}, "service_tier": "default"}"""

REPLIES = {
    "vLLM": (VLLM, (1643, 690, 1)),
    "Ollama": (OLLAMA, (1402, 655, 1)),
    "llama.cpp": (LLAMA_CPP, (598, 702, 1)),
    "LM Studio": (LM_STUDIO, (900, 640, 1)),
    "OpenAI": (OPENAI, (1105, 590, 1)),
}


def filled(template, request):
    return Answer(template.replace(json.dumps(TEXT), json.dumps(record(request))))


@pytest.mark.parametrize("server", REPLIES)
def test_a_reply_is_read_with_its_tokens(server):
    template, usage = REPLIES[server]
    with StubServer(lambda request: filled(template, request)) as stub:
        found = caption(stub)
        assert_right(found)
    assert {(outcome.flags, outcome.usage) for outcome in found.values()} == {((), usage)}


@pytest.mark.parametrize(
    ("form", "status", "body", "next_form", "flags"),
    [
        pytest.param(
            "json_object",
            400,
            {"error": "'response_format.type' must be 'json_schema' or 'text'"},
            "json_schema",
            (),
            id="LM Studio takes the schema and refuses json_object",
        ),
        pytest.param(
            "json_schema",
            400,
            {
                "error": {
                    "message": "Invalid schema for response_format 'record': In context="
                    "('properties', 'variants', 'items', 'properties', 'caption'), "
                    "'maxLength' is not permitted.",
                    "type": "invalid_request_error",
                    "param": "response_format",
                    "code": None,
                }
            },
            "json_schema",
            (),
            id="OpenAI knows no maxLength",
        ),
        pytest.param(
            "json_schema",
            400,
            {
                "error": {
                    "message": "Invalid parameter: 'response_format' of type 'json_schema' is not "
                    "supported with this model.",
                    "type": "invalid_request_error",
                    "param": "response_format",
                    "code": None,
                }
            },
            "json_object",
            ("json_object",),
            id="an older model of OpenAI",
        ),
        pytest.param(
            "json_schema",
            400,
            {
                "object": "error",
                "message": "The provided JSON schema contains features not supported by xgrammar.",
                "type": "BadRequestError",
                "param": None,
                "code": 400,
            },
            "json_object",
            ("json_object",),
            id="vLLM with a grammar that knows too little",
        ),
        pytest.param(
            "json_schema",
            500,
            {
                "error": {
                    "code": 500,
                    "message": 'response_format type must be one of "text" or "json_object", '
                    "but got: json_schema",
                    "type": "server_error",
                }
            },
            "json_object",
            ("json_object",),
            id="an older llama.cpp",
        ),
    ],
)
def test_a_form_is_refused_in_the_server_s_own_words(form, status, body, next_form, flags):
    def limited(request):
        return "maxLength" in json.dumps(request.body.get("response_format"))

    def answer(request):
        if request.form == form and (form != next_form or limited(request)):
            return Answer(body, status)
        return completion(record(request))

    with StubServer(answer) as stub:
        found = caption(stub)
        assert_right(found)
        assert stub.calls[-1]["response_format"] == next_form
        assert len(stub.calls) == 12 + (form == "json_schema")
    assert {outcome.flags for outcome in found.values()} == {flags}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        pytest.param(
            404,
            {
                "object": "error",
                "message": "The model `stub` does not exist.",
                "type": "NotFoundError",
                "param": None,
                "code": 404,
            },
            id="vLLM",
        ),
        pytest.param(
            404,
            {
                "error": {
                    "message": 'model "stub" not found, try pulling it first',
                    "type": "api_error",
                    "param": None,
                    "code": None,
                }
            },
            id="Ollama",
        ),
        pytest.param(
            404,
            {
                "error": {
                    "message": "The model `stub` does not exist or you do not have access to it.",
                    "type": "invalid_request_error",
                    "param": None,
                    "code": "model_not_found",
                }
            },
            id="OpenAI",
        ),
    ],
)
def test_a_model_that_is_not_there_is_told_with_those_that_are(status, body):
    with (
        StubServer(lambda _: Answer(body, status)) as stub,
        pytest.raises(CaptionerUnavailable, match="no model 'stub'.*it has: stub"),
    ):
        caption(stub)


def test_openai_s_newer_models_want_another_name_for_the_limit_and_no_temperature():
    def refusal(name, instead):
        return Answer(
            {
                "error": {
                    "message": f"Unsupported parameter: '{name}' is not supported with this "
                    f"model.{instead}",
                    "type": "invalid_request_error",
                    "param": name,
                    "code": "unsupported_parameter",
                }
            },
            400,
        )

    def answer(request):
        if "max_tokens" in request.body:
            return refusal("max_tokens", " Use 'max_completion_tokens' instead.")
        if "temperature" in request.body:
            return refusal("temperature", "")
        return filled(OPENAI, request)

    with StubServer(answer) as stub:
        assert_right(caption(stub))
        assert len(stub.calls) == 14


def test_openai_s_empty_purse_is_no_busy_server():
    body = {
        "error": {
            "message": "You exceeded your current quota, please check your plan and billing.",
            "type": "insufficient_quota",
            "param": None,
            "code": "insufficient_quota",
        }
    }
    with (
        StubServer(lambda _: Answer(body, 429)) as stub,
        pytest.raises(CaptionerUnavailable, match="paid"),
    ):
        caption(stub, budget=100.0)


def test_llama_cpp_is_waited_for_while_it_loads():
    loading = {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}

    def answer(request):
        return Answer(loading, 503) if request.number <= 3 else filled(LLAMA_CPP, request)

    with StubServer(answer) as stub:
        assert_right(caption(stub))


def test_llama_cpp_without_eyes_quarantines_nobody():
    blind = {
        "error": {
            "code": 500,
            "message": "image input is not supported - hint: if this is unexpected, you may need "
            "to provide the mmproj",
            "type": "server_error",
        }
    }
    with (
        StubServer(lambda _: Answer(blind, 500)) as stub,
        pytest.raises(CaptionerUnavailable, match="mmproj"),
    ):
        caption(stub, budget=0.5)


def test_ollama_s_small_context_is_told():
    def answer(request):
        template = OLLAMA.replace("1402", "3441")  # 3441 and 655 are 4096
        half = record(request)[:700]
        return Answer(template.replace(json.dumps(TEXT), json.dumps(half)))

    with StubServer(answer) as stub:
        (outcome,) = run(served(stub), [picture("a.png", "red")]).values()
    assert isinstance(outcome, Failed)
    assert outcome.reason == "cut"
    assert "OLLAMA_CONTEXT_LENGTH" in outcome.detail


def test_a_gateway_that_hides_the_status_in_the_body_is_understood():
    hidden = {"error": {"code": 502, "message": "Provider returned error"}}

    def answer(request):
        return Answer(hidden) if request.number in (2, 3) else filled(OPENAI, request)

    with StubServer(answer) as stub:
        assert_right(caption(stub))


@pytest.mark.parametrize(
    ("message", "room"),
    [
        (
            "'max_tokens' or 'max_completion_tokens' is too large: 3800. This model's maximum "
            "context length is 4096 tokens and your request has 1200 input tokens (3800 > 4096 - "
            "1200).",
            2896,
        ),
        (
            "This model's maximum context length is 8192 tokens. However, you requested 9000 "
            "tokens (952 in the messages, 8048 in the completion). Please reduce the length.",
            7240,
        ),
        (
            "This model's maximum context length is 4096 tokens and your request has 4090 input "
            "tokens",
            None,
        ),
        ("the context is too small", None),
        ("maximum context length is 99999999999999999999 tokens, has 1 input tokens", None),
    ],
)
def test_the_room_in_a_context_is_read_from_the_refusal(message, room):
    assert room_left(message) == room


def test_the_stub_server_runs_as_a_process_and_logs_every_call(tmp_path):
    log = tmp_path / "calls.jsonl"
    command = [sys.executable, "-m", "trsllava.testing.server", "--mode", "ok", "--log", str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            address = process.stdout.readline().strip()
            assert_right(caption(address))
        finally:
            process.kill()
    calls = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(calls) == 12
    assert {call["real_type"] for call in calls} == {"image/png"}
    assert {call["max_tokens"] for call in calls} == {2048}
    assert {call["status"] for call in calls} == {200}


def test_an_unknown_mode_is_refused_with_those_that_are_known():
    with pytest.raises(UsageError, match="crash"):
        answering("nonsense")
