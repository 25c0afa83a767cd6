"""The mask over the next token: only a record can be written, whatever the model wants."""

import json
import random
import re

import pytest
from local_kit import short_texts, tiny_model

from trsllava.captioning.constrained import Constraint, Grammar
from trsllava.records import FIELDS, VARIANTS

__all__ = ["short_texts", "tiny_model"]  # fixtures

STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
PAD = 0
PROMPT = [[7, 7, 7], [PAD, 7, 7]]


@pytest.fixture
def tokenizer(tiny_model):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_model("gemma3"), local_files_only=True)


@pytest.fixture
def ends(tokenizer):
    return [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<end>")]


def write(constraint, wishes, ends, width, steps=3000):
    """Decode greedily, a score each step from ``wishes(row, step)``; return the rows' tokens."""
    import torch

    ids, done = torch.tensor(PROMPT), [False] * len(PROMPT)
    for step in range(steps):
        scores = torch.stack([wishes(row, step) for row in range(len(PROMPT))])
        masked = constraint(ids, scores)
        assert masked.shape == (len(PROMPT), width)
        best = masked.argmax(dim=1)
        for row, ended in enumerate(done):
            if ended:
                best[row] = PAD  # as generate does
            done[row] = done[row] or int(best[row]) in ends
        ids = torch.cat([ids, best[:, None]], dim=1)
        if all(done):
            break
    return ids[:, len(PROMPT[0]) :].tolist()


def text_of(tokenizer, tokens, ends):
    end = next(at for at, token in enumerate(tokens) if token in ends)
    assert set(tokens[end + 1 :]) <= {PAD}
    return tokenizer.decode(tokens[:end], skip_special_tokens=True)


def check_record(text):
    body = json.loads(text)
    assert list(body) == ["variants"]
    assert len(body["variants"]) == VARIANTS
    for variant in body["variants"]:
        assert list(variant) == list(FIELDS)
        assert all(1 <= len(value) <= 8 for value in variant.values())
    assert not re.search(r"\s", STRING.sub("", text)), "free white space"


@pytest.mark.parametrize("more", [0, 1, 45], ids=["as large", "one more", "much larger"])
def test_whatever_is_wished_for_a_compact_record_comes(tokenizer, ends, short_texts, more):
    import torch

    width = len(tokenizer) + more
    for seed in range(3):
        torch.manual_seed(seed)
        constraint = Constraint(Grammar(tokenizer, ends), 2, 3)
        rows = write(constraint, lambda *_: torch.randn(width), ends, width)
        for row in rows:
            check_record(text_of(tokenizer, row, ends))


def test_rows_end_on_their_own_and_the_padding_behind_them_is_not_read(
    tokenizer, ends, short_texts
):
    import torch

    quote, letter = tokenizer.convert_tokens_to_ids(['"', "a"])
    width = len(tokenizer)

    def wishes(row, _step):
        scores = torch.zeros(width)
        scores[letter if row else quote] = 1.0  # one ends every text as soon as it may
        return scores

    short, long = write(Constraint(Grammar(tokenizer, ends), 2, 3), wishes, ends, width)
    assert short.count(PAD) > 50
    assert long.count(PAD) == 0
    for row in (short, long):
        check_record(text_of(tokenizer, row, ends))


def test_a_model_that_only_wants_to_end_must_write_the_record_first(tokenizer, ends, short_texts):
    import torch

    wish = torch.zeros(len(tokenizer))
    wish[ends] = 1e6
    rows = write(Constraint(Grammar(tokenizer, ends), 2, 3), lambda *_: wish, ends, len(wish))
    for row in rows:
        check_record(text_of(tokenizer, row, ends))


def test_an_output_that_lacks_the_needed_tokens_ends_instead_of_failing(tokenizer, ends):
    import torch

    width = max(ends) + 1  # no brace among so few
    rows = write(
        Constraint(Grammar(tokenizer, ends), 2, 3), lambda *_: torch.zeros(width), ends, width
    )
    assert all(row[0] in ends for row in rows)


def test_a_slow_tokenizer_is_refused_by_name_of_its_kind(ends):
    with pytest.raises(ValueError, match="fast"):
        Grammar(object(), ends)


def test_random_choices_among_the_allowed_close_at_full_lengths(tokenizer, ends):
    import torch

    width = len(tokenizer)
    choose = random.Random(1)
    rows = write(
        Constraint(Grammar(tokenizer, ends), 2, 3),
        lambda *_: torch.tensor([choose.random() for _ in range(width)]),
        ends,
        width,
    )
    for row in rows:
        assert len(json.loads(text_of(tokenizer, row, ends))["variants"]) == VARIANTS
