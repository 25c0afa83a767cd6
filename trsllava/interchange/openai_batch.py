"""Output lines of the OpenAI Batch API (and of servers that write the same form).

``{"id", "custom_id", "response": {"status_code", "body"}, "error"}``, one line
a request, in any order; ``custom_id`` is the image id and nothing else is
matched by. An answer must be a full record: one that was stopped, cut or came
back with fewer texts is a failure of that image, not a thin record.
"""

from collections.abc import Mapping
from json import JSONDecoder
from pathlib import Path
from typing import Any

from trsllava.errors import InputError
from trsllava.interchange.bodies import refuse_unfit, variants_of
from trsllava.interchange.pieces import Piece
from trsllava.interchange.values import checked_id, checked_model, kind
from trsllava.records import VARIANTS, Metadata

_STARTS = 64  # places in an answer where its JSON is looked for


def is_batch_line(body: Mapping[str, Any]) -> bool:
    """Whether a parsed line is one of batch output."""
    return "custom_id" in body and ("response" in body or "error" in body)


def piece_of(
    body: Mapping[str, Any], images: Path | None, decoder: JSONDecoder
) -> tuple[Piece, str | None]:
    """Read the record of one answer.

    Parameters
    ----------
    body
        The parsed line.
    images
        The folder that absolute image paths are made relative to.
    decoder
        What parses the answer.

    Returns
    -------
    tuple[Piece, str | None]
        The record, and a note of what was left out.

    Raises
    ------
    InputError
        If the request failed or its answer is not a full record.
    """
    image = checked_id(body["custom_id"], images)
    answer = _answer(body)
    variants, note = variants_of(_record(_content(answer), decoder))
    if len(variants) < VARIANTS or not all(all(variant.texts()) for variant in variants):
        raise InputError(f"the answer is not a full record of {VARIANTS} variants; ask again")
    refuse_unfit(variants)
    return Piece(image, variants, True, checked_model(answer.get("model")), Metadata()), note


def _answer(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the body of a request that succeeded."""
    error = body.get("error")
    if error:
        raise InputError(f"the request failed: {_message(error)}")
    response = body.get("response")
    if not isinstance(response, dict):
        raise InputError(f"'response' must be an object, not {kind(response)}")
    answer = response.get("body")
    if response.get("status_code") != 200:
        told = f": {_message(answer)}" if answer else ""
        status = response.get("status_code")
        raise InputError(f"the request failed with status {str(status)[:20]!r}{told}")
    if not isinstance(answer, dict):
        raise InputError(f"the response's body must be an object, not {kind(answer)}")
    return answer


def _message(error: object) -> str:
    """Return the first 200 characters of what a server says about an error, quoted."""
    while isinstance(error, dict) and error:
        error = error.get("error") or error.get("message") or error.get("code")
    return repr(str(error)[:200])


def _content(answer: Mapping[str, Any]) -> str:
    """Return the text of the first choice."""
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise InputError("the answer has no choices")
    reason, message = choices[0].get("finish_reason"), choices[0].get("message")
    if reason == "length":
        raise InputError("the answer was cut at the token limit (finish_reason 'length')")
    if reason not in ("stop", None):
        raise InputError(f"the answer was stopped (finish_reason {str(reason)[:40]!r})")
    if not isinstance(message, dict):
        raise InputError("the answer has no message")
    if message.get("refusal"):
        raise InputError(f"the model refused: {_message(message['refusal'])}")
    content = message.get("content")
    if isinstance(content, str):
        content = content.rpartition("</think>")[2].partition("<think>")[0].strip()
    if not content:
        thought = message.get("reasoning_content") or message.get("reasoning")
        why = "; the token limit was spent on reasoning" if thought else ""
        raise InputError(f"the answer is empty{why}")
    if not isinstance(content, str):
        raise InputError(f"the answer's content must be a string, not {kind(content)}")
    return content


def _record(content: str, decoder: JSONDecoder) -> object:
    """Return the variants of the JSON object that stands in an answer, fenced or after prose."""
    at = -1
    for _ in range(_STARTS):
        at = content.find("{", at + 1)
        if at < 0:
            break
        try:
            record, _end = decoder.raw_decode(content, at)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict) and "variants" in record:
            return record["variants"]
    raise InputError("the answer holds no JSON object with 'variants'")
