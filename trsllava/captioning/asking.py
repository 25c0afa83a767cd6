"""Asking a server about pictures until each has its outcome, whatever the server does.

Nothing is blamed on a picture unless the server is seen to be well: it has answered another one
since, or it answers for a plain picture of ours. Else it is waited for, and the pictures stay
pending. A picture whose request broke, was not answered in time, or met errors again and again is
asked about alone, so that it takes no neighbours along.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cache

from trsllava.captioning.captioner import (
    NO_USAGE,
    Captioned,
    CaptionerUnavailable,
    Failed,
    Outcome,
)
from trsllava.captioning.dialogue import Dialogue, Reply, Request
from trsllava.captioning.encoding import data_uri
from trsllava.captioning.exchange import Server
from trsllava.captioning.ladder import FLAGS, Ladder, Terms
from trsllava.captioning.room import room_left
from trsllava.captioning.throttle import Patience, Throttle
from trsllava.captioning.trouble import Trouble

# So many troubles of a kind, and the picture is asked about alone.
_PATIENT = {"broken": 1, "silent": 1, "error": 2, "unready": 6}
# So many more when it is alone, and it is to blame; one that is not answered costs minutes.
_ALONE = {"broken": 2, "silent": 1, "error": 2, "unready": 2}
# A connection that breaks though the server lives on may be the fault of what lies between.
_BROKEN_ALIVE = 5
# These a picture cannot bring about for others: if a plain one fares no better, it counts not.
_INNOCENT = ("refused", "garbage", "error")
_REASONS = {
    "broken": (
        "kills_server",
        "the server dies, or hangs up, each time it is shown this image alone",
    ),
    "silent": ("timed_out", "the server does not come to an end with this image"),
    "error": ("server_error", "the server fails with this image alone"),
    "unready": ("server_error", "the server goes away when it is shown this image"),
    "garbage": ("bad_reply", "the server answers with something else than a reply"),
    "refused": ("rejected", "the server rejects the request for this image"),
}
Gate = Callable[[], AbstractAsyncContextManager[None]]
# For the plain picture: whether there is an answer, not which.
_FEW_TOKENS = 16


class Blamed(Exception):
    """The picture is at fault."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(str(trouble))
        self.trouble = trouble


@dataclass(frozen=True, slots=True)
class Question:
    """One picture, one request."""

    image: str
    uri: str
    request: Request


class Asking:
    """The questions of one run to one server."""

    def __init__(
        self,
        server: Server,
        ladder: Ladder,
        throttle: Throttle,
        patience: Patience,
        dialogue: Callable[[str], Dialogue],
    ) -> None:
        """Hold what the questions share; ``dialogue`` begins the one about an image."""
        self._server, self._ladder, self._throttle = server, ladder, throttle
        self._patience, self._dialogue = patience, dialogue
        self._well_at = 0.0
        self._vouching = asyncio.Lock()

    async def outcome(self, image: str, uri: str) -> Outcome:
        """Ask until there is an outcome; raises `CaptionerUnavailable`."""
        dialogue = self._dialogue(image)
        outcome, usage = None, NO_USAGE
        while outcome is None:
            try:
                reply, terms = await self._answer(Question(image, uri, dialogue.request))
            except Blamed as blamed:
                reason, what = _REASONS[blamed.trouble.kind]
                detail = f"{what} ({blamed})"
                return Failed(image, reason, detail, blamed.trouble.raw, usage)
            usage = usage.plus(reply.usage)
            if reply.text and not (reply.cut or reply.thought):
                self._ladder.observe(terms, image, reply.text)
            outcome = dialogue.receive(reply)
        flag = FLAGS.get(terms.form)
        if isinstance(outcome, Captioned) and flag and "plain_text" not in outcome.flags:
            return replace(outcome, flags=tuple(sorted({*outcome.flags, flag})))
        return outcome

    async def _answer(self, question: Question) -> tuple[Reply, Terms]:
        """Return the reply; raises `Blamed`."""
        seen: Counter[str] = Counter()
        while True:
            try:
                if any(seen[kind] >= most for kind, most in _PATIENT.items()):
                    return await self._alone(question)
                return await self._ask(question, self._throttle.slot)
            except Trouble as trouble:
                seen[trouble.kind] += 1
                await self._bear(trouble, seen)

    async def _bear(self, trouble: Trouble, seen: Counter[str]) -> None:
        """Do what a trouble wants before the next try; raises `Blamed` if there is none."""
        kind = trouble.kind
        if kind == "refused" or (kind == "garbage" and seen[kind] > 1):
            if await self._vouch(trouble):
                raise Blamed(trouble)
            seen.clear()
            return
        if kind in ("busy", "unready", "silent"):
            self._throttle.cut(trouble.sent)
        if kind in ("busy", "unready", "error", "absent"):
            await self._wait(trouble, seen.total())

    async def _alone(self, question: Question) -> tuple[Reply, Terms]:
        """Ask about a suspect while nothing else runs; raises `Blamed`."""
        async with self._throttle.alone():
            await self._reach()
            seen: Counter[str] = Counter()
            while True:
                try:
                    return await self._ask(question)
                except Trouble as trouble:
                    seen[trouble.kind] += 1
                    if trouble.kind in ("absent", "busy"):
                        await self._wait(trouble, seen.total())
                        continue
                    if trouble.kind not in _ALONE:
                        raise
                    lives_on = trouble.kind == "broken" and await self._reach()
                    if not await self._vouch(trouble) and trouble.kind in _INNOCENT:
                        seen.clear()
                    if seen[trouble.kind] >= (_BROKEN_ALIVE if lives_on else _ALONE[trouble.kind]):
                        raise Blamed(trouble) from trouble

    async def _ask(self, question: Question, gate: Gate = nullcontext) -> tuple[Reply, Terms]:
        """Ask once, on terms that the server understands, when the gate lets it through."""
        limit = question.request.max_tokens
        while True:
            async with self._ladder.turn(), gate():
                terms, sent = self._ladder.terms, time.monotonic()
                try:
                    reply = await self._server.ask(
                        question.uri, question.request.prompt, terms.parameters(limit)
                    )
                except Trouble as trouble:
                    trouble.sent = sent
                    self._patience.met |= trouble.kind != "absent"
                    refused = trouble.kind == "refused"
                    room = room_left(str(trouble)) if refused else None
                    if room is not None and room < limit:
                        limit = room
                    elif not (refused or trouble.kind == "error") or not self._ladder.learn(
                        terms, str(trouble), mute=refused, plain=not question.image
                    ):
                        raise
                    continue
                self._ladder.prove(terms)
                self._patience.relieve()
                self._throttle.succeeded()
                self._well_at = time.monotonic()
                return reply, terms

    async def _vouch(self, trouble: Trouble) -> bool:
        """Wait until the server has answered for another picture since it was asked.

        Returns whether it did so straight away.
        """
        asked, tries = trouble.sent, 0
        while True:
            async with self._vouching:
                if self._well_at > asked:
                    return tries == 0
                try:
                    await self._throttle.unpaused()
                    await self._ask(_plain_question())
                except Trouble as again:
                    trouble = again
                else:
                    return tries == 0
            if trouble.kind in ("refused", "garbage") and not self._patience.answered:
                raise CaptionerUnavailable(
                    f"the server at {self._server.address.url} does not answer for a plain "
                    f"picture either: {trouble}; can the model {self._server.model!r} see, and is "
                    "--base-url right?"
                )
            tries += 1
            await self._wait(trouble, tries)

    async def _reach(self) -> bool:
        """Return once the server is there, and whether it was so straight away."""
        tries = 0
        while True:
            try:
                await self._server.models()
            except Trouble as trouble:
                if trouble.kind not in ("absent", "broken", "silent", "unready"):
                    return tries == 0  # it has no list of models, but it answers
                tries += 1
                await self._wait(trouble, tries)
            else:
                return tries == 0

    async def _wait(self, trouble: Trouble, tries: int) -> None:
        if trouble.wait:
            self._throttle.pause(trouble.wait)
        await self._patience.wait(
            str(trouble), tries, at_least=trouble.wait, absent=trouble.kind == "absent"
        )


@cache
def _plain_question() -> Question:
    from PIL import Image

    picture = Image.linear_gradient("L").resize((64, 64)).convert("RGB")
    return Question("", data_uri(picture), Request("What is in this image?", _FEW_TOKENS))
