"""The captioner ``openai``: a model behind any server that speaks the OpenAI protocol."""

import importlib.util
import logging
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from trsllava.captioning.address import read_address
from trsllava.captioning.asking import Asking
from trsllava.captioning.background import Background, Work
from trsllava.captioning.captioner import Outcome, Prepared
from trsllava.captioning.dialogue import DEFAULT_MAX_TOKENS, Dialogue, dialogue_identity
from trsllava.captioning.encoding import ENCODING, data_uri
from trsllava.captioning.exchange import open_server
from trsllava.captioning.ladder import Ladder
from trsllava.captioning.prompts import load_prompt
from trsllava.captioning.throttle import Patience, Throttle
from trsllava.errors import MissingExtra, UsageError

log = logging.getLogger(__name__)

# Large models take minutes to load when their server is started again.
BUDGET_SECONDS = 600.0


class ServedCaptioner:
    """Asks a server about every picture, many at a time.

    The key comes from the environment variable ``OPENAI_API_KEY`` (local servers need none). What
    the server turns out to understand is remembered from one call of `caption` to the next.
    """

    def __init__(
        self,
        *,
        model: str | None = None,
        base_url: str | None = None,
        prompt: str = "rsrt",
        max_tokens: int | None = None,
        concurrency: int = 16,
        checks: bool = True,
        language: str | None = None,
        budget: float = BUDGET_SECONDS,
    ) -> None:
        """Say whom to ask, and what; nothing is contacted yet.

        Parameters
        ----------
        model
            The model's name at the server.
        base_url
            The server's address, such as ``http://127.0.0.1:8000/v1``; there is no default.
        prompt
            The name of a prompt, or a file.
        max_tokens
            The limit on new tokens.
        concurrency
            How many requests may run at a time.
        checks
            Whether the texts are judged.
        language
            What the texts must be in; the prompt's own language unless given.
        budget
            Seconds for which a server in trouble is waited for.

        Raises
        ------
        UsageError
            If something is missing or no good.
        MissingExtra
            If the client library is not installed.
        """
        self._address = read_address(base_url)
        if not model:
            raise UsageError("--model is missing: the name of a model at the server")
        if concurrency < 1:
            raise UsageError(f"--concurrency must be at least 1, not {concurrency}")
        if importlib.util.find_spec("openai") is None:
            raise MissingExtra("the captioner 'openai'", "openai")
        self._model, self._concurrency, self._budget = model, concurrency, budget
        self._prompt = load_prompt(prompt)
        self._max_tokens = DEFAULT_MAX_TOKENS if max_tokens is None else max_tokens
        self._checks, self._language = checks, language
        self._ladder = Ladder()
        self._announced = self._address.is_here
        self._dialogue("")  # so that a bad prompt or limit is found out now

    def identity(self) -> Mapping[str, Any]:
        """Return all that changes a record: not where the server is, nor how fast it is asked."""
        dialogue = dialogue_identity(
            self._prompt, self._max_tokens, language=self._language, checks=self._checks
        )
        return {
            "captioner": "openai",
            "model": self._model,
            "temperature": 0,
            "encoding": ENCODING,
            **dialogue,
        }

    def caption(self, images: Iterable[Prepared]) -> Iterator[Outcome]:
        """Yield one outcome a picture, as they are ready.

        ``images`` is taken from in the thread of the caller, when a request may soon begin.

        Parameters
        ----------
        images
            The pictures.

        Yields
        ------
        Outcome
            Of each picture.

        Raises
        ------
        CaptionerUnavailable
            If no picture can be captioned now.
        """
        throttle = Throttle(self._concurrency)
        # A few wait, encoded, so that no slot idles while its next picture is made ready.
        ahead = self._concurrency // 8
        pictures = iter(images)
        picture = next(pictures, None)
        if picture is None:
            return
        self._announce()
        background = Background[Outcome](partial(self._opened, throttle))
        try:
            while True:
                outcome = background.result(wait=False)
                if outcome is not None:
                    yield outcome
                elif picture is not None and background.busy < throttle.limit + ahead:
                    background.submit(picture.image, data_uri(picture.pixels))
                    picture = next(pictures, None)
                elif background.busy:
                    outcome = background.result(wait=True)
                    assert outcome is not None
                    yield outcome
                else:
                    return
        finally:
            background.close()

    @asynccontextmanager
    async def _opened(self, throttle: Throttle) -> AsyncIterator[Work[Outcome]]:
        async with open_server(self._address, self._model) as server:
            patience = Patience(self._address.url, self._budget)
            asking = Asking(server, self._ladder, throttle, patience, self._dialogue)
            yield asking.outcome

    def _dialogue(self, image: str) -> Dialogue:
        return Dialogue(
            image,
            self._prompt,
            self._max_tokens,
            language=self._language,
            checks=self._checks,
        )

    def _announce(self) -> None:
        if not self._announced:
            log.warning("pictures leave this machine: they are sent to %s", self._address.url)
            self._announced = True
