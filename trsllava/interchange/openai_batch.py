"""Output lines of the OpenAI Batch API (and of servers that write the same form).

``{"id", "custom_id", "response": {"status_code", "body"}, "error"}``, one line
a request, in any order; ``custom_id`` is the image id and nothing else is
matched by. An answer must pass what a live one must: one that was stopped, cut,
refuses, repeats itself or came back with fewer texts is a failure of that image,
not a thin record. What the prompt said of language and forbidden words is not in
the file, and so not checked.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trsllava.errors import InputError
from trsllava.interchange.pieces import Piece
from trsllava.interchange.values import checked_id, checked_model, kind
from trsllava.records import VARIANTS, Metadata, Variant

if TYPE_CHECKING:
    from trsllava.captioning.dialogue import Reply


class NoRecord(InputError):
    """The line is sound, and says that its image got no record."""


def is_batch_line(body: Mapping[str, Any]) -> bool:
    """Whether a parsed line is one of batch output."""
    return "custom_id" in body and ("response" in body or "error" in body)


def piece_of(body: Mapping[str, Any], images: Path | None) -> tuple[Piece, str | None]:
    """Read the record of one answer.

    Parameters
    ----------
    body
        The parsed line.
    images
        The folder that absolute image paths are made relative to.

    Returns
    -------
    tuple[Piece, str | None]
        The record, and a note of what was left out.

    Raises
    ------
    InputError
        If ``custom_id`` can be no image id.
    NoRecord
        If the request failed or its answer is not a full record that passes the checks.
    """
    image = checked_id(body["custom_id"], images)
    try:
        answer = _answer(body)
        variants, note = _judged(_reply(answer))
        model = checked_model(answer.get("model"))
    except InputError as error:
        raise NoRecord(str(error)) from error
    return Piece(image, variants, True, model, Metadata(), answer=True), note


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


def _reply(answer: Mapping[str, Any]) -> "Reply":
    """Return the first choice as what a live server would have said."""
    from trsllava.captioning.dialogue import Reply

    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise InputError("the answer has no choices")
    reason, message = choices[0].get("finish_reason"), choices[0].get("message")
    if reason not in ("stop", "length", None):
        raise InputError(f"the answer was stopped (finish_reason {str(reason)[:40]!r})")
    if not isinstance(message, dict):
        raise InputError("the answer has no message")
    if message.get("refusal"):
        raise InputError(f"refused: the model says {_message(message['refusal'])}")
    content = message.get("content")
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        content = "".join(str(part.get("text") or "") for part in content)
    if content is not None and not isinstance(content, str):
        raise InputError(f"the answer's content must be a string, not {kind(content)}")
    thought = bool(message.get("reasoning_content") or message.get("reasoning"))
    return Reply(content or "", cut=reason == "length", thought=thought)


def _judged(reply: "Reply") -> tuple[tuple[Variant, ...], str | None]:
    """Return the variants of a reply that passes the checks, and a note of what was left out."""
    # Imported here: it reads replies by means of this package.
    from trsllava.captioning.captioner import Failed
    from trsllava.captioning.dialogue import DEFAULT_MAX_TOKENS, Dialogue
    from trsllava.captioning.prompts import load_prompt

    prompt = replace(load_prompt("rsrt"), forbids=(), language=None)
    dialogue = Dialogue("", prompt, DEFAULT_MAX_TOKENS)
    outcome = None
    while outcome is None:  # nobody can be asked again: the reply stands for every remedy
        outcome = dialogue.receive(reply)
    if isinstance(outcome, Failed):
        raise InputError(f"{outcome.reason}: {outcome.detail}")
    more = "more_variants" in outcome.flags
    note = f"more than {VARIANTS} variants; the first {VARIANTS} were kept" if more else None
    return outcome.variants, note
