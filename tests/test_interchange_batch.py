"""OpenAI Batch output: answers matched by custom_id alone, failures never records."""

import json
from pathlib import Path
from typing import Any

import pytest

from trsllava.interchange import BadLine, Line, Piece, read
from trsllava.records import Variant

FULL = [
    {"one_sentence": f"a pier {n}", "feature": f"pier, {n} ships", "caption": f"A pier with {n}."}
    for n in range(1, 6)
]
VARIANTS = tuple(Variant(**texts) for texts in FULL)
RECORD = json.dumps({"variants": FULL})


def answer(
    content: Any, image: str = "a.jpg", reason: str = "stop", **message: Any
) -> dict[str, Any]:
    choice = {"finish_reason": reason, "message": {"content": content, **message}}
    body = {"model": "vlm-1", "choices": [choice]}
    return {
        "id": "batch_req_1",
        "custom_id": image,
        "response": {"status_code": 200, "request_id": "r", "body": body},
        "error": None,
    }


def read_one(tmp_path: Path, line: object) -> Line:
    path = tmp_path / "out.jsonl"
    path.write_text(json.dumps(line) + "\n")
    (read_line,) = read(path)
    return read_line


@pytest.mark.parametrize(
    "content",
    [
        RECORD,
        f"```json\n{RECORD}\n```",
        f"Here {{as asked}} is the record: {RECORD} I hope it helps.",
        f'<think>{{"variants": [{{"caption": "wrong"}}]}}</think>\n{RECORD}',
    ],
)
def test_the_record_is_found_in_the_answer(tmp_path: Path, content: str) -> None:
    piece = read_one(tmp_path, answer(content)).content
    assert isinstance(piece, Piece)
    assert (piece.image, piece.variants, piece.whole, piece.model) == (
        "a.jpg",
        VARIANTS,
        True,
        "vlm-1",
    )


def failed(status: int, body: object, error: object = None) -> dict[str, Any]:
    response = {"status_code": status, "body": body}
    return {"id": "1", "custom_id": "a.jpg", "response": response, "error": error}


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        (failed(500, {"error": {"message": "boom\x1b[31m"}}), "status '500': 'boom\\x1b[31m'"),
        (failed(0, None), "status '0'"),
        (failed(200, None), "body must be an object, not null"),
        (
            {"custom_id": "a.jpg", "response": None, "error": {"code": "expired"}},
            "the request failed: 'expired'",
        ),
        ({"custom_id": "a.jpg", "response": None}, "'response' must be an object"),
        (answer(RECORD[:300], reason="length"), "cut at the token limit"),
        (answer(RECORD, reason="content_filter"), "finish_reason 'content_filter'"),
        (answer(RECORD[:300]), "no JSON object with 'variants'"),
        (answer("I cannot see the picture."), "no JSON object with 'variants'"),
        (answer("{" * 100_000), "no JSON object with 'variants'"),
        (answer('{"variants":' + "[" * 100_000), "no JSON object with 'variants'"),
        (answer(""), "the answer is empty"),
        (answer(None), "the answer is empty"),
        (answer("<think>hm</think>"), "the answer is empty"),
        (answer(f"<think>perhaps {RECORD}"), "the answer is empty"),
        (answer("", reasoning_content="hm"), "spent on reasoning"),
        (answer(None, refusal="no"), "the model refused: 'no'"),
        (answer([1]), "content must be a string, not a list"),
        (answer(json.dumps({"variants": FULL[:4]})), "not a full record of 5 variants"),
        (answer(json.dumps({"variants": [{"caption": "a"}] * 5})), "not a full record"),
        (answer(json.dumps({"variants": [{**FULL[0], "caption": ""}]})), "caption is empty"),
        (answer(RECORD.replace("pier 1", r"\ud800")), "lone surrogate"),
        (failed(200, {"choices": []}), "no choices"),
        (failed(200, {"choices": [{"finish_reason": "stop"}]}), "no message"),
    ],
)
def test_a_failed_request_is_a_bad_line_that_keeps_the_image(
    tmp_path: Path, line: object, cause: str
) -> None:
    bad = read_one(tmp_path, line).content
    assert isinstance(bad, BadLine)
    assert cause in bad.reason
    assert bad.image == "a.jpg"


def test_an_id_in_the_answer_does_not_count(tmp_path: Path) -> None:
    content = json.dumps({"image": "b.jpg", "variants": FULL})
    piece = read_one(tmp_path, answer(content, image="x/a.jpg")).content
    assert isinstance(piece, Piece)
    assert piece.image == "x/a.jpg"


def test_a_bad_custom_id_is_a_bad_line(tmp_path: Path) -> None:
    bad = read_one(tmp_path, answer(RECORD, image="../a.jpg")).content
    assert isinstance(bad, BadLine)
    assert bad.image is None
