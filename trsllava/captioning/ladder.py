"""What a server understands: found out once, remembered.

The forms of structured output, best first: ``json_schema``, the same schema without the limits
of lengths (some services know no such keywords), ``json_object``, plain text. A server may refuse
a form or ignore it; both are a step down. The names of two parameters vary, too.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from trsllava.captioning.quality import is_refusal
from trsllava.captioning.replies import without_thinking
from trsllava.captioning.schema import record_schema

SCHEMA, LOOSE, OBJECT, TEXT = "json_schema", "json_schema_loose", "json_object", "text"
# What a record says about the form it was asked for in.
FLAGS = {OBJECT: "json_object", TEXT: "plain_text"}
_LIMITS = ("minLength", "maxLength", "minItems", "maxItems")
# A refusal comes at once, an answer takes as long as it takes: longer than this the first
# request is not waited for.
_PROBE_SECONDS = 0.25
# A server that wraps the records of so many pictures, before a bare one came, ignores the form.
_IGNORED = 3
_NAMES_FORM = re.compile(
    r"response.?format|json.?schema|json.?object|guided|grammar|structured|schema", re.IGNORECASE
)
_NAMES_LIMIT = re.compile("|".join(_LIMITS), re.IGNORECASE)
_NAMES_TOKENS = re.compile(r"max_(?:completion_)?tokens")


@dataclass(frozen=True, slots=True)
class Terms:
    """How to ask: the form, the name of the token limit, whether a temperature may be given."""

    form: str = SCHEMA
    limit: str = "max_tokens"
    temperature: bool = True

    def parameters(self, max_tokens: int) -> dict[str, Any]:
        """Return the parameters of a request."""
        found: dict[str, Any] = {self.limit: max_tokens}
        if self.temperature:
            found["temperature"] = 0
        if self.form != TEXT:
            found["response_format"] = _format(self.form)
        return found


class Ladder:
    """The terms of one server; kept from one run to the next."""

    def __init__(self) -> None:
        """Begin at the top."""
        self.terms = Terms()
        self._proven = False
        self._before_guess: Terms | None = None
        self._guessed = False
        self._ignoring: set[str] = set()
        self._obeyed: set[str] = set()
        self._probe: asyncio.Event | None = None

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until it is known how to ask; the first request goes ahead alone."""
        while not self._proven and self._probe is not None:
            try:
                async with asyncio.timeout(_PROBE_SECONDS):
                    await self._probe.wait()
            except TimeoutError:
                break
        if self._proven or self._probe is not None:
            yield
            return
        self._probe = probe = asyncio.Event()
        try:
            yield
        finally:
            self._probe = None
            probe.set()

    def prove(self, terms: Terms) -> None:
        """Take note that a request on these terms was answered."""
        if terms == self.terms:
            self._proven, self._before_guess = True, None

    def learn(self, terms: Terms, message: str, *, mute: bool, plain: bool) -> bool:
        """Learn from a refusal.

        Parameters
        ----------
        terms
            On which the request was made.
        message
            The server's words.
        mute
            Whether it may be one of the form though it does not say so.
        plain
            Whether it cannot be one of the picture. One guess is made with others.

        Returns
        -------
        bool
            Whether it is worth asking again.
        """
        if terms != self.terms:
            return True  # others have learnt it meanwhile
        if terms.limit == "max_tokens" and _NAMES_TOKENS.search(message):
            self.terms = replace(terms, limit="max_completion_tokens")
        elif terms.temperature and "temperature" in message:
            self.terms = replace(terms, temperature=False)
        elif terms.form != TEXT and _NAMES_FORM.search(message):
            self._step(loose=_NAMES_LIMIT.search(message) is not None)
        elif mute and not self._proven and terms.form != TEXT and (plain or not self._guessed):
            self._before_guess = self._before_guess or terms
            self._step()
        else:
            if self._before_guess is not None:  # it was not the form
                self.terms, self._before_guess, self._guessed = self._before_guess, None, True
            return False
        return True

    def observe(self, terms: Terms, image: str, text: str) -> None:
        """Look whether a reply keeps the form."""
        form = terms.form
        if form == TEXT or form != self.terms.form or form in self._obeyed:
            return
        text = without_thinking(text)[0].strip()
        if text.startswith("{") and text.endswith("}"):
            self._obeyed.add(form)
            return
        if is_refusal(text):  # it is about the picture
            return
        self._ignoring.add(image)
        if len(self._ignoring) >= _IGNORED:
            self._step()

    def _step(self, *, loose: bool = False) -> None:
        below = {SCHEMA: LOOSE if loose else OBJECT, LOOSE: OBJECT, OBJECT: TEXT}
        self.terms = replace(self.terms, form=below[self.terms.form])
        self._proven = False
        self._ignoring.clear()


@cache
def _format(form: str) -> Mapping[str, Any]:
    if form == OBJECT:
        return {"type": "json_object"}
    schema = record_schema()
    if form == LOOSE:
        schema = _without_limits(schema)
    return {
        "type": "json_schema",
        "json_schema": {"name": "record", "strict": True, "schema": schema},
    }


def _without_limits(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {k: _without_limits(v) for k, v in schema.items() if k not in _LIMITS}
    return schema
