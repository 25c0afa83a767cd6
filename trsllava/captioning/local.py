"""The captioner that runs a vision-language model of transformers on this machine.

Greedy decoding is deterministic, but arithmetic in batches is not the same in every batch size:
records are byte-identical between runs only with the same batching, on the same hardware. The
batch is therefore not part of the identity.
"""

import gc
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from trsllava.captioning.captioner import CaptionerUnavailable, Failed, Outcome, Prepared
from trsllava.captioning.dialogue import (
    DEFAULT_MAX_TOKENS,
    Dialogue,
    Reply,
    Request,
    dialogue_identity,
)
from trsllava.captioning.local_loading import load
from trsllava.captioning.local_model import LocalModel, Question
from trsllava.captioning.prompts import load_prompt
from trsllava.errors import TrsllavaError, UsageError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A picture whose dialogue goes on."""

    picture: Prepared
    dialogue: Dialogue


@dataclass(frozen=True, slots=True)
class _Problem:
    """Why the model gave no reply; ``memory`` if it was the lack of it."""

    memory: bool
    detail: str


class LocalCaptioner:
    """Any image-text-to-text model, by its id on the hub or by the folder that it lies in."""

    def __init__(
        self,
        *,
        model: str | None = None,
        prompt: str = "rsrt",
        max_tokens: int | None = None,
        concurrency: int = 4,
        device: str | None = None,
        dtype: str | None = None,
        quantization: str | None = None,
        checks: bool = True,
        language: str | None = None,
    ) -> None:
        """Load the model and try it on a small grey picture.

        Parameters
        ----------
        model
            A folder, or the id of a repository on the hub.
        prompt
            A shipped prompt or a file.
        max_tokens
            The limit on new tokens of the first reply.
        concurrency
            How many pictures are looked at together; halved when memory does not suffice.
        device
            See `trsllava.captioning.local_loading.load`, as for the next two.
        dtype
            What the weights are kept in.
        quantization
            ``4bit``, ``8bit`` or None.
        checks
            Whether the texts are judged; only tests with random weights do without.
        language
            What the texts must be in.

        Raises
        ------
        UsageError
            If an option has a value that it cannot have.
        TrsllavaError
            If the model cannot be loaded or asked.
        """
        if not model:
            raise UsageError("--model is missing: a folder, or an id of the hub such as OWNER/NAME")
        if concurrency < 1:
            raise UsageError(f"the concurrency must be positive, not {concurrency}")
        self._prompt = load_prompt(prompt)
        self._max_tokens = max_tokens if max_tokens is not None else DEFAULT_MAX_TOKENS
        self._checks, self._language = checks, language
        self._batch = concurrency
        first = self._begin("").request  # refuses a wrong prompt before anything is loaded
        loaded = load(model, device=device, dtype=dtype, quantization=quantization)
        self._model = LocalModel(loaded)
        self._probe = _probe(first)
        problem = self._try([self._probe])
        if isinstance(problem, _Problem):
            raise TrsllavaError(f"the model {model} cannot caption a picture: {problem.detail}")
        self._identity = {
            "captioner": "transformers",
            "model": loaded.name,
            "revision": loaded.revision,
            **dialogue_identity(self._prompt, self._max_tokens, language=language, checks=checks),
            "dtype": self._model.dtype,
            "quantization": quantization,
            "constrained": self._model.constrained,
        }

    def identity(self) -> Mapping[str, Any]:
        """Return model, revision, prompt and all else that changes a record."""
        return self._identity

    def caption(self, images: Iterable[Prepared]) -> Iterator[Outcome]:
        """Look at the pictures batch by batch; those asked again go into the next batch.

        Raises `CaptionerUnavailable` if the model does not even answer for its trial picture.
        """
        fresh = iter(images)
        waiting: list[_Asked] = []
        while True:
            batch, waiting = waiting[: self._batch], waiting[self._batch :]
            for picture in islice(fresh, self._batch - len(batch)):
                batch.append(_Asked(picture, self._begin(picture.image)))
            if not batch:
                return
            for asked, answer in zip(batch, self._answers(batch), strict=True):
                outcome = (
                    asked.dialogue.receive(answer)
                    if isinstance(answer, Reply)
                    else _failed(asked.picture.image, answer)
                )
                if outcome is None:
                    waiting.append(asked)
                else:
                    yield outcome

    def _begin(self, image: str) -> Dialogue:
        return Dialogue(
            image, self._prompt, self._max_tokens, language=self._language, checks=self._checks
        )

    def _answers(self, batch: Sequence[_Asked]) -> list[Reply | _Problem]:
        """Return an answer for each; a batch that fails is halved down to the picture at fault."""
        questions = [Question(asked.picture.pixels, asked.dialogue.request) for asked in batch]
        answer = self._try(questions)
        if not isinstance(answer, _Problem):
            return list(answer)
        if len(batch) > 1:
            half = len(batch) // 2
            if answer.memory and half < self._batch:
                self._batch = half
                log.warning(
                    "out of memory with %d pictures at once; going on with %d", *(len(batch), half)
                )
            return self._answers(batch[:half]) + self._answers(batch[half:])
        trial = self._try([self._probe])
        if isinstance(trial, _Problem):
            raise CaptionerUnavailable(
                f"the model has stopped answering, even for a small grey picture: {trial.detail}"
            )
        return [answer]

    def _try(self, questions: Sequence[Question]) -> list[Reply] | _Problem:
        """Ask the model; what it raises becomes a value, so that no traceback holds memory."""
        try:
            return self._model.answer(questions)
        # Processors and models raise all sorts of things; each is brought down to one picture.
        except Exception as error:  # noqa: BLE001
            problem = _Problem(_is_memory(error), _one_line(error))
        if problem.memory:
            _release_memory()
        return problem


def _probe(request: Request) -> Question:
    from PIL import Image

    return Question(Image.new("RGB", (64, 64), (128, 128, 128)), Request(request.prompt, 1))


def _failed(image: str, problem: _Problem) -> Failed:
    if problem.memory:
        return Failed(
            image,
            "out_of_memory",
            f"memory does not suffice for this picture alone: {problem.detail}; take a smaller "
            "model, a dtype of 16 bits or a quantization",
        )
    return Failed(image, "model_error", f"the model cannot take this picture: {problem.detail}")


def _is_memory(error: Exception) -> bool:
    import torch

    # On a CPU, and in CUDA's libraries, PyTorch says so with a plain RuntimeError.
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError)
        and any(words in str(error) for words in ("allocate memory", "ALLOC_FAILED"))
    )


def _one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__


def _release_memory() -> None:
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


__all__ = ["LocalCaptioner"]
