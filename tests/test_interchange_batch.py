"""OpenAI Batch output: matched by custom_id alone, judged like live answers, never half taken."""

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
        (answer(RECORD[:300], reason="length"), "cut: the reply ends before"),
        (answer(RECORD, reason="length"), "cut: the reply ends before"),
        (answer(RECORD, reason="content_filter"), "finish_reason 'content_filter'"),
        (answer(RECORD[:300]), "cut: "),
        (answer("I cannot see the picture."), "refused: "),
        (answer("What a nice picture!"), "malformed: no JSON"),
        (answer("{" * 100_000), "malformed: "),
        (answer('{"variants":' + "[" * 100_000), "malformed: "),
        (answer(""), "empty: "),
        (answer(None), "empty: "),
        (answer("<think>hm</think>"), "reasoning: "),
        (answer(f"<think>perhaps {RECORD}"), "reasoning: "),
        (answer("", reasoning_content="hm"), "reasoning: "),
        (answer(None, refusal="no"), "refused: the model says 'no'"),
        (answer([1]), "content must be a string, not a list"),
        (answer(json.dumps({"variants": FULL[:4]})), "incomplete: only 4 of 5 variants"),
        (answer(json.dumps({"variants": [{"caption": "a"}] * 5})), "incomplete: variant 1 lacks"),
        (answer(json.dumps({"variants": [{**FULL[0], "caption": ""}]})), "caption is empty"),
        (answer(RECORD.replace("pier 1", r"\ud800")), "garbled: "),
        (answer(RECORD.replace("A pier with 3.", "the " * 9)), "loop: variant 3: caption"),
        (answer(RECORD.replace("a pier 2", "I'm sorry, I can't help with it")), "refused: "),
        (answer(json.dumps({"variants": FULL[:1] * 5})), "repeated: "),
        (answer(RECORD.replace("pier, 1 ships", "...")), "empty_text: variant 1: feature"),
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
    assert bad.failed


def test_an_id_in_the_answer_does_not_count(tmp_path: Path) -> None:
    content = json.dumps({"image": "b.jpg", "variants": FULL})
    piece = read_one(tmp_path, answer(content, image="x/a.jpg")).content
    assert isinstance(piece, Piece)
    assert piece.image == "x/a.jpg"


def test_a_bad_custom_id_is_a_bad_line(tmp_path: Path) -> None:
    bad = read_one(tmp_path, answer(RECORD, image="../a.jpg")).content
    assert isinstance(bad, BadLine)
    assert (bad.image, bad.failed) == (None, False)


def test_a_line_that_cannot_be_read_is_no_failure_of_the_image(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text(json.dumps(answer(RECORD))[:-20])
    (line,) = read(path)
    assert isinstance(line.content, BadLine)
    assert not line.content.failed


def test_of_more_than_five_variants_the_first_five_are_kept_and_that_is_said(
    tmp_path: Path,
) -> None:
    more = [*FULL, {**FULL[0], "caption": "A sixth."}]
    line = read_one(tmp_path, answer(json.dumps({"variants": more})))
    assert isinstance(line.content, Piece)
    assert line.content.variants == VARIANTS
    assert line.note == "more than 5 variants; the first 5 were kept"


def test_what_the_prompt_forbade_is_not_known_and_passes(tmp_path: Path) -> None:
    texts = [
        {
            "one_sentence": f"Der Hafen von Bremen mit {n} Schiffen und das ist nicht alles.",
            "feature": f"Ein Hafen, {n} Schiffe, zu {n} % belegt.",
            "caption": f"Das ist der Hafen mit {n} Schiffen, die auf dem Wasser und im Dock sind.",
        }
        for n in range(1, 6)
    ]
    piece = read_one(tmp_path, answer(json.dumps({"variants": texts}))).content
    assert isinstance(piece, Piece)
    assert piece.variants == tuple(Variant(**text) for text in texts)


def test_content_in_parts_is_read_as_one(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": RECORD[:99]}, {"type": "text", "text": RECORD[99:]}]
    piece = read_one(tmp_path, answer(parts)).content
    assert isinstance(piece, Piece)
    assert piece.variants == VARIANTS


def test_a_batch_that_half_failed_in_another_order_gives_each_image_its_own(
    tmp_path: Path,
) -> None:
    def record(image: str) -> str:
        texts = [{k: f"{v} near {image}" for k, v in text.items()} for text in FULL]
        return json.dumps({"variants": texts})

    lines = [answer(record(f"{n}.jpg"), f"{n}.jpg") for n in (7, 2, 9, 4, 0, 5)]
    lines.insert(3, lines[1])  # twice
    lines.insert(2, {**failed(500, None), "custom_id": "1.jpg"})
    lines.append(answer(record("3.jpg")[:200], "3.jpg", reason="length"))
    path = tmp_path / "out.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    contents = [line.content for line in read(path)]
    pieces = [content for content in contents if isinstance(content, Piece)]
    assert [piece.image for piece in pieces] == [f"{n}.jpg" for n in (7, 2, 9, 2, 4, 0, 5)]
    for piece in pieces:
        assert all(
            text.endswith(f" near {piece.image}") for v in piece.variants for text in v.texts()
        )
    assert [(b.image, b.failed) for b in contents if isinstance(b, BadLine)] == [
        ("1.jpg", True),
        ("3.jpg", True),
    ]
