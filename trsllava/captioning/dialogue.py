"""The dialogue about one picture: what to ask, what to make of the reply, what to ask next.

Every captioner holds it with its own model, so that a reply is judged in one place and alike::

    dialogue = Dialogue(image, prompt, max_tokens)
    outcome = None
    while outcome is None:
        outcome = dialogue.receive(ask(picture, dialogue.request))

Each remedy is tried once: a reply cut by its limit is asked for again with twice the limit, so is
one that only thought; an empty one is simply asked for again; any other bad one with the repair
prompt, which says what was wrong. Then the image fails with the reason and the raw reply.

Reasons: ``cut``, ``reasoning``, ``empty``, ``refused``, ``malformed``, ``incomplete``,
``empty_text``, ``long``, ``garbled``, ``echo``, ``loop``, ``language``, ``percentages``,
``repeated``. Flags: ``asked_again``, ``asked_longer``, ``repaired`` (what was tried),
``plain_text`` (more than bare JSON came), ``more_variants`` (the first five were kept),
``place_names`` (it seems to name a place, though the prompt forbids it, even when asked again).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from trsllava.captioning.captioner import NO_USAGE, Captioned, Failed, Outcome, Usage
from trsllava.captioning.languages import known_language
from trsllava.captioning.prompts import Prompt, load_prompt
from trsllava.captioning.quality import Objection, is_refusal, objection
from trsllava.captioning.replies import Reading, Unusable, read_reply, without_thinking
from trsllava.captioning.schema import SCHEMA_VERSION
from trsllava.errors import UsageError

CHECKS_VERSION = 1
DEFAULT_MAX_TOKENS = 2048
_RAW = 64 * 1024
_SMALLEST_CONTEXT = 2048
# The remedy of a reason, and the flag that says it was tried; all else is repaired.
_REMEDIES = {"cut": "asked_longer", "reasoning": "asked_longer", "empty": "asked_again"}


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask about the picture, and the limit on new tokens.

    Where a context leaves less room than ``max_tokens``, ask for what it leaves.
    """

    prompt: str
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back.

    ``cut`` if the limit ended it, ``thought`` if a reasoning text came instead of the content or
    beside it, ``refusal`` the words of a server that marks refusals. ``usage`` is that of this
    reply; it counts as at least one call.
    """

    text: str
    cut: bool = False
    thought: bool = False
    refusal: str = ""
    usage: Usage = NO_USAGE


def dialogue_identity(
    prompt: Prompt, max_tokens: int, *, language: str | None = None, checks: bool = True
) -> Mapping[str, Any]:
    """Return what of a dialogue changes a record; it belongs in a captioner's identity."""
    return {
        "prompt": prompt.identity(),
        "repair": load_prompt("repair").identity(),
        "max_tokens": max_tokens,
        "language": known_language(language) if language else prompt.language,
        "schema": SCHEMA_VERSION,
        "checks": CHECKS_VERSION if checks else 0,
    }


class Dialogue:
    """One picture's dialogue; ``request`` is what to ask next."""

    __slots__ = (
        "_checks",
        "_doubtful",
        "_image",
        "_language",
        "_prompt",
        "_tried",
        "_usage",
        "request",
    )

    def __init__(
        self,
        image: str,
        prompt: Prompt,
        max_tokens: int,
        *,
        language: str | None = None,
        checks: bool = True,
    ) -> None:
        """Begin to ask about a picture.

        Parameters
        ----------
        image
            Its id.
        prompt
            A prompt for records.
        max_tokens
            The limit on new tokens at first.
        language
            What the texts must be in; the prompt's own language unless given.
        checks
            Whether the texts are judged; their number and form always are.

        Raises
        ------
        UsageError
            If the prompt is not one for records, or the language or the limit is no good.
        """
        if prompt.output != "record":
            raise UsageError(
                f"the prompt {prompt.name!r} asks for a {prompt.output}, not for a record"
            )
        if max_tokens < 1:
            raise UsageError(f"the limit on new tokens must be positive, not {max_tokens}")
        self.request = Request(prompt.text, max_tokens)
        self._image = image
        self._prompt = prompt
        self._language = known_language(language) if language else prompt.language
        self._checks = checks
        self._usage = NO_USAGE
        self._tried: set[str] = set()
        self._doubtful: Captioned | None = None

    def receive(self, reply: Reply) -> Outcome | None:
        """Judge a reply: the outcome, or None when `request` (changed) is to be asked."""
        self._usage = self._usage.plus(reply.usage._replace(calls=max(1, reply.usage.calls)))
        reading, problem = self._judge(reply)
        if reading is not None:
            if problem is None:
                return self._captioned(reading)
            if "repaired" in self._tried:  # a guess is worth one more call, but no record
                return self._captioned(reading, "place_names")
            self._doubtful = self._captioned(reading, "place_names")
        elif self._doubtful is not None:
            return replace(self._doubtful, usage=self._usage)
        assert problem is not None
        remedy = _REMEDIES.get(problem.reason, "repaired")
        if remedy in self._tried:
            return self._failed(problem, reply)
        self._tried.add(remedy)
        self.request = self._next(remedy, problem)
        return None

    def _judge(self, reply: Reply) -> tuple[Reading | None, Objection | None]:
        """Return the record that a reply holds, if it is one, and what is wrong."""
        text, blocks = without_thinking(reply.text)
        problem = _unanswered(reply, text, thought=blocks or reply.thought)
        if problem is not None:
            return None, problem
        try:
            reading = read_reply(text)
        except Unusable as error:
            return None, _unusable(error, reply, text)
        if not self._checks:
            return reading, None
        asked = f"{self._prompt.text}\n{load_prompt('repair').text}"
        problem = objection(reading, self._prompt, asked, self._language)
        if problem is not None and problem.reason != "places":
            return None, problem
        return reading, problem

    def _next(self, remedy: str, problem: Objection) -> Request:
        prompt, limit = self.request.prompt, self.request.max_tokens
        if remedy == "asked_longer":
            return Request(prompt, 2 * limit)
        if remedy == "repaired":
            told = load_prompt("repair").text.replace("{problem}", problem.detail)
            return Request(f"{self._prompt.text}\n\n{told}", limit)
        return self.request

    def _captioned(self, reading: Reading, *flags: str) -> Captioned:
        noted = {*self._tried, *flags}
        if reading.wrapped:
            noted.add("plain_text")
        if reading.more:
            noted.add("more_variants")
        return Captioned(self._image, reading.variants, tuple(sorted(noted)), self._usage)

    def _failed(self, problem: Objection, reply: Reply) -> Failed:
        raw = (reply.text or reply.refusal)[:_RAW]
        # Half a character pair could not be written to a file.
        raw = raw.encode("utf-8", "backslashreplace").decode()
        return Failed(self._image, problem.reason, problem.detail, raw, self._usage)


_EMPTY = Objection("empty", "the reply was empty; look at the server's log")
_REFUSED = Objection("refused", "it refuses or apologises instead of describing the image")
_REASONED = Objection(
    "reasoning",
    "the model spent the whole limit on reasoning and wrote no answer: raise --max-tokens, or "
    "switch its thinking off",
)


def _unanswered(reply: Reply, text: str, *, thought: bool) -> Objection | None:
    """Say why there is nothing to read; ``text`` is the reply's without the thinking."""
    if reply.refusal.strip():
        return _REFUSED
    if not text.strip() and thought:
        return _REASONED
    if reply.cut:
        return _cut(reply)
    return None if text.strip() else _EMPTY


def _unusable(error: Unusable, reply: Reply, text: str) -> Objection:
    """Say why a text is no record."""
    if error.open_end or _filled_context(reply):
        return _cut(reply)
    if error.reason == "malformed" and is_refusal(text):
        return _REFUSED
    return Objection(error.reason, str(error))


def _cut(reply: Reply) -> Objection:
    if _filled_context(reply):
        total = reply.usage.prompt_tokens + reply.usage.completion_tokens
        return Objection(
            "cut",
            f"the reply ends at {total} tokens in all, which looks like the server's context: "
            "raise it (Ollama OLLAMA_CONTEXT_LENGTH or num_ctx, llama.cpp --ctx-size, vLLM "
            "--max-model-len, LM Studio Context Length)",
        )
    return Objection(
        "cut",
        "the reply ends before its record does: raise --max-tokens, and the server's context if "
        "it is smaller than prompt, picture and answer together",
    )


def _filled_context(reply: Reply) -> bool:
    """Say whether prompt and answer together fill a context of a usual size to the last token."""
    total = reply.usage.prompt_tokens + reply.usage.completion_tokens
    return total >= _SMALLEST_CONTEXT and total & (total - 1) == 0
