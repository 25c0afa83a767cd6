"""A loaded vision-language model that answers questions about pictures, a batch at a time."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from trsllava.captioning.captioner import Usage
from trsllava.captioning.constrained import Constraint, grammar_for
from trsllava.captioning.dialogue import Reply, Request
from trsllava.captioning.local_loading import Loaded
from trsllava.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image


class Question(NamedTuple):
    """A picture and what to ask about it."""

    pixels: "Image"
    request: Request


class LocalModel:
    """Greedy decoding with left padding; held to the record's form where its tokenizer allows.

    Settings for decoding that came with the model (temperature, penalties) are set aside, so that
    a reply depends on the picture, the prompt and the weights alone.
    """

    def __init__(self, loaded: Loaded) -> None:
        """Take a loaded model; `MissingExtra` if llguidance is not installed."""
        self._processor, self._model = loaded.processor, loaded.model
        self._tokenizer = loaded.processor.tokenizer
        self._tokenizer.padding_side = "left"
        self._ends = _ends(self._model, self._tokenizer)
        if self._tokenizer.pad_token_id is None:
            self._tokenizer.pad_token = self._tokenizer.convert_ids_to_tokens(self._ends[0])
        named = (getattr(self._processor, name, None) for name in ("image_token", "boi_token"))
        self._marks = {*self._tokenizer.all_special_tokens, *filter(None, named)}
        self._settings = _settings(self._ends, self._tokenizer.pad_token_id)
        self._grammar = grammar_for(self._tokenizer, self._ends)

    @property
    def constrained(self) -> bool:
        """Whether replies are held to the form of a record."""
        return self._grammar is not None

    @property
    def dtype(self) -> str:
        """What the model computes in, such as ``bfloat16``."""
        return str(self._model.dtype).removeprefix("torch.")

    def answer(self, questions: Sequence[Question]) -> list[Reply]:
        """Return the reply to each question, in order.

        Whatever processor or model raise comes through.
        """
        import torch

        inputs = self._inputs(questions)
        mask = inputs["attention_mask"]
        length = mask.shape[1]
        limits = [self._limit(question.request.max_tokens, length) for question in questions]
        processors = [Constraint(self._grammar, len(questions), length)] if self._grammar else []
        with torch.inference_mode():
            output = self._model.generate(
                **inputs,
                **self._settings,
                max_new_tokens=max(limits),
                logits_processor=processors,
                stopping_criteria=[_stop_at(limits, length)],
            )
        taken = mask.sum(dim=1).tolist()
        new = output[:, length:].tolist()
        return [self._reply(*row) for row in zip(new, taken, limits, strict=True)]

    def _inputs(self, questions: Sequence[Question]) -> Any:
        """Return what the model takes: padded tokens and pixels, where and as it wants them."""
        texts = [self._text(question.request.prompt) for question in questions]
        bos = self._tokenizer.bos_token
        # A template that begins with this token has written it; a second one would be no text.
        more = {"add_special_tokens": False} if bos and texts[0].startswith(bos) else {}
        inputs = self._processor(
            text=texts,
            images=[[question.pixels] for question in questions],
            padding=True,
            return_tensors="pt",
            **more,
        )
        inputs.pop("labels", None)  # some processors prepare for training, too
        return inputs.to(self._model.device, self._model.dtype)

    def _text(self, prompt: str) -> str:
        """Return the prompt as the family wants it, with the place of the picture in front.

        A repair prompt can quote a reply; a mark of a picture in it would ask for a second one.
        """
        for mark in self._marks:
            prompt = prompt.replace(mark, "")
        if not getattr(self._processor, "chat_template", None):
            # A family without chats, such as PaliGemma.
            return f"{self._processor.image_token}{prompt}"
        content = [{"type": "image"}, {"type": "text", "text": prompt}]
        text: str = self._processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
        )
        return text

    def _limit(self, wanted: int, length: int) -> int:
        """Return how many tokens a reply may have, at most what the context leaves."""
        config = self._model.config.get_text_config()
        context = getattr(config, "max_position_embeddings", None)
        room = context - length if context else wanted
        if room < 1:
            raise InputError(
                f"prompt and picture take {length} tokens, the model's context has {context}: "
                "give a shorter prompt"
            )
        return min(wanted, room)

    def _reply(self, tokens: Sequence[int], taken: int, limit: int) -> Reply:
        """Read the new tokens of one row up to its end or its limit."""
        kept = list(tokens[:limit])
        end = next((at for at, token in enumerate(kept) if token in self._ends), None)
        count = len(kept) if end is None else end + 1
        text = self._tokenizer.decode(
            kept[:end], skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return Reply(text, cut=end is None, usage=Usage(taken, count, 1))


def _ends(model: Any, tokenizer: Any) -> tuple[int, ...]:
    """Return the tokens that end a reply: chats often end with another one than texts do."""
    ends = model.generation_config.eos_token_id
    if ends is None:
        ends = tokenizer.eos_token_id
    if ends is None:
        raise InputError("the model names no token that ends a reply (eos_token_id)")
    return tuple(ends) if isinstance(ends, list) else (int(ends),)


def _settings(ends: Sequence[int], pad: int) -> dict[str, Any]:
    """Return the options of plain greedy decoding."""
    return {
        "do_sample": False,
        "num_beams": 1,
        "temperature": None,
        "top_p": None,
        "top_k": None,
        "repetition_penalty": 1.0,
        "no_repeat_ngram_size": 0,
        "bad_words_ids": None,
        "eos_token_id": list(ends),
        "pad_token_id": pad,
    }


def _stop_at(limits: Sequence[int], length: int) -> Callable[..., Any]:
    """Return a criterion that ends each row at its own limit."""
    import torch

    def reached(input_ids: Any, _scores: Any, **_: Any) -> Any:
        new = input_ids.shape[1] - length
        return torch.tensor([new >= limit for limit in limits], device=input_ids.device)

    return reached


__all__ = ["LocalModel", "Question"]
