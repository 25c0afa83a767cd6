"""Decoding that can only write a record: the JSON schema as a mask over the next token.

The grammar is llguidance's. It allows no free white space and, as every text has an upper limit,
a model that does not know when to end is made to.
"""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from trsllava.captioning.schema import record_schema
from trsllava.errors import MissingExtra

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)


class Grammar:
    """The record's schema in the tokens of one tokenizer; made once a model."""

    def __init__(self, tokenizer: Any, ends: Sequence[int]) -> None:
        """Compile the schema.

        Parameters
        ----------
        tokenizer
            A fast tokenizer of transformers.
        ends
            The tokens that end a reply.

        Raises
        ------
        MissingExtra
            If llguidance is not installed.
        ValueError
            If the tokenizer or the schema is of a kind that llguidance does not know.
        """
        try:
            from llguidance import LLMatcher
            from llguidance.hf import from_tokenizer
        except ImportError as error:
            raise MissingExtra("constrained decoding", "vlm") from error
        self.tokenizer = from_tokenizer(tokenizer, eos_token=list(ends))
        self.ends = tuple(ends)
        grammar = LLMatcher.grammar_from_json_schema(
            record_schema(), overrides={"whitespace_flexible": False}
        )
        self._first = LLMatcher(self.tokenizer, grammar, log_level=0)
        if self._first.is_error():
            raise ValueError(self._first.get_error())

    def matchers(self, count: int) -> list[Any]:
        """Return fresh matchers, each at the beginning of a record."""
        return [self._first.deep_copy() for _ in range(count)]


def grammar_for(tokenizer: Any, ends: Sequence[int]) -> Grammar | None:
    """Return the grammar, or None, said once, where a tokenizer cannot be used with it.

    Raises `MissingExtra` if llguidance is not installed.
    """
    try:
        return Grammar(tokenizer, ends)
    except (ValueError, RuntimeError) as error:
        log.warning(
            "replies are not held to the form of a record, since llguidance cannot use this "
            "tokenizer: %s",
            str(error).splitlines()[0] if str(error) else type(error).__name__,
        )
        return None


class Constraint:
    """A logits processor of transformers for one batch; each row follows its own matcher.

    A row whose record is complete may only end; what is put behind its end is not looked at.
    """

    def __init__(self, grammar: Grammar, rows: int, prompt_length: int) -> None:
        """Begin a batch.

        Parameters
        ----------
        grammar
            What the rows must follow.
        rows
            The number of replies that are written together.
        prompt_length
            The number of tokens, padding included, in front of each reply.
        """
        from llguidance.numpy import allocate_token_bitmask

        self._ends = grammar.ends
        self._matchers = grammar.matchers(rows)
        self._ended = [False] * rows
        self._read = prompt_length
        self._bits = allocate_token_bitmask(rows, grammar.tokenizer.vocab_size)

    def __call__(self, input_ids: "Tensor", scores: "Tensor") -> "Tensor":
        """Return the scores with minus infinity for each token that may not come next.

        Shapes: ``input_ids`` (rows, length so far), ``scores`` (rows, size of the model's output,
        which may be larger or smaller than the tokenizer).
        """
        import torch

        for row, new in enumerate(input_ids[:, self._read :].tolist()):
            self._consume(row, new)
        self._read = input_ids.shape[1]
        allowed = torch.from_numpy(self._allowed(scores.shape[1])).to(scores.device)
        return scores.masked_fill(~allowed, float("-inf"))

    def _consume(self, row: int, tokens: Sequence[int]) -> None:
        for token in tokens:
            if not self._ended[row]:
                self._ended[row] = token in self._ends or not self._matchers[row].consume_token(
                    token
                )

    def _allowed(self, width: int) -> Any:
        """Return a boolean array (rows, width): which tokens may come next."""
        import numpy as np
        from llguidance.numpy import fill_next_token_bitmask

        for row, matcher in enumerate(self._matchers):
            if not self._ended[row] and not matcher.is_stopped():
                fill_next_token_bitmask(matcher, self._bits, row)
        bits = np.unpackbits(self._bits.view(np.uint8), axis=1, bitorder="little")
        allowed = np.zeros((len(self._matchers), width), np.bool_)
        known = min(width, bits.shape[1])
        allowed[:, :known] = bits[:, :known]
        for row, matcher in enumerate(self._matchers):
            # Also where the model's output lacks every token that the grammar asks for.
            if self._ended[row] or matcher.is_stopped() or not allowed[row].any():
                allowed[row] = False
                allowed[row, list(self._ends)] = True
        return allowed
