"""How the encoder is adapted: a caption is to find the other texts of its own image.

In every step captions are held against the texts of all images of a batch, scored as a search
scores them (log-mean-exp of cosines), and softmax cross-entropy is taken in both directions
(InfoNCE, van den Oord et al. 2018). An image that has the same caption is no negative.
"""

import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from encoder_training.batches import AdaptConfig, Batches
from trsllava.errors import InputError
from trsllava.index.scoring import BETA

_EVERY = 100  # steps between checkpoints
_TOKENS = 2048  # encoded at a time: what fits a processor's cache


def adapt(
    model: Any, tokenizer: Any, batches: Batches, config: AdaptConfig, checkpoint: Path
) -> list[dict[str, float]]:
    """Train a BERT encoder in place; a killed run goes on from its checkpoint.

    Parameters
    ----------
    model
        A ``transformers.BertModel`` without pooler.
    tokenizer
        A ``tokenizers.Tokenizer`` without padding.
    batches
        What is learnt from.
    config
        The run's constants.
    checkpoint
        Weights, optimiser and curve, written every `_EVERY` steps.

    Returns
    -------
    list[dict[str, float]]
        Every 20 steps the mean loss of the steps since the last entry, with seconds.

    Raises
    ------
    InputError
        If the checkpoint is of a run with other settings.
    """
    optimiser = torch.optim.AdamW(model.parameters(), config.rate, weight_decay=config.decay)
    curve: list[dict[str, float]] = []
    first = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        if json.loads(state["config"]) != asdict(config):
            raise InputError(f"{checkpoint} is of a run with other settings; give another --work")
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        first, curve = state["step"], json.loads(state["curve"])
    model.train()
    started, losses = time.perf_counter(), []
    for step in range(first, config.steps):
        torch.manual_seed(config.seed + step)  # of dropout: a resumed run is the same run
        for group in optimiser.param_groups:
            group["lr"] = config.rate * _schedule(step, config)
        loss = _loss(model, tokenizer, *batches.draw(step), config)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        losses.append(float(loss.detach()))
        if (step + 1) % 20 == 0:
            seconds = time.perf_counter() - started
            curve.append({"step": step + 1, "loss": float(np.mean(losses)), "seconds": seconds})
            print(json.dumps(curve[-1]), flush=True)
            started, losses = time.perf_counter(), []
        if (step + 1) % _EVERY == 0 or step + 1 == config.steps:
            _save(checkpoint, model, optimiser, step + 1, curve, config)
    model.eval()
    return curve


def _schedule(step: int, config: AdaptConfig) -> float:
    """Warm up in a line, then fall as a half cosine."""
    if step < config.warmup:
        return (step + 1) / config.warmup
    return 0.5 + 0.5 * math.cos(math.pi * (step - config.warmup) / (config.steps - config.warmup))


def _save(
    path: Path,
    model: Any,
    optimiser: Any,
    step: int,
    curve: list[dict[str, float]],
    config: AdaptConfig,
) -> None:
    state = {
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
        "step": step,
        "curve": json.dumps(curve),
        "config": json.dumps(asdict(config)),
    }
    torch.save(state, path.with_suffix(".part"))
    path.with_suffix(".part").replace(path)


def _loss(
    model: Any,
    tokenizer: Any,
    asked: list[str],
    texts: list[list[str]],
    fits: NDArray[np.bool_],
    config: AdaptConfig,
) -> Tensor:
    flat = [text for own in texts for text in own]
    vectors = encode(model, tokenizer, [*asked, *flat], config.longest)
    cosines = vectors[: len(asked)] @ vectors[len(asked) :].T
    owner = torch.tensor([n for n, own in enumerate(texts) for _ in own])
    return contrast(image_scores(cosines, owner, len(texts)), torch.from_numpy(fits), config)


def image_scores(cosines: Tensor, owner: Tensor, images: int) -> Tensor:
    """Aggregate cosines (captions, texts) to scores (captions, images), as a search does."""
    sums = torch.zeros(len(cosines), images).index_add(1, owner, torch.exp(BETA * (cosines - 1)))
    counts = torch.bincount(owner, minlength=images)
    return torch.log(sums / counts) / BETA + 1


def contrast(scores: Tensor, fits: Tensor, config: AdaptConfig) -> Tensor:
    """Return the mean cross-entropy of both directions.

    Parameters
    ----------
    scores
        (captions, images); caption n was written of image n.
    fits
        Bool of the same shape: whether an image has that very caption. Such images other than
        the caption's own are taken out of the softmax.
    config
        The run's constants.

    Returns
    -------
    Tensor
        A scalar.
    """
    own = torch.eye(len(scores), dtype=torch.bool)
    logits = (scores / config.temperature).masked_fill(fits & ~own, -1e4)
    right = torch.arange(len(scores))
    cross_entropy = torch.nn.functional.cross_entropy
    return (cross_entropy(logits, right) + cross_entropy(logits.T, right)) / 2


def encode(model: Any, tokenizer: Any, texts: Sequence[str], longest: int) -> Tensor:
    """Return unit vectors (texts, dimension) of the mean over word pieces, in batches of a size."""
    pieces = [encoding.ids[: longest - 1] for encoding in tokenizer.encode_batch(list(texts))]
    end = tokenizer.token_to_id("[SEP]")
    pieces = [[*ids, end] if ids[-1] != end else ids for ids in pieces]
    order = sorted(range(len(pieces)), key=lambda n: len(pieces[n]))
    found = [_encode(model, [pieces[n] for n in batch]) for batch in _sized(order, pieces)]
    back = torch.empty(len(order), dtype=torch.long)
    back[torch.tensor(order)] = torch.arange(len(order))
    return torch.nn.functional.normalize(torch.cat(found)[back], dim=1)


def _sized(order: list[int], pieces: list[list[int]]) -> Iterator[list[int]]:
    """Cut ascending lengths into batches of at most `_TOKENS` with padding."""
    batch: list[int] = []
    for n in order:
        if batch and (len(batch) + 1) * len(pieces[n]) > _TOKENS:
            yield batch
            batch = []
        batch.append(n)
    yield batch


def _encode(model: Any, pieces: list[list[int]]) -> Tensor:
    width = max(map(len, pieces))
    ids = torch.tensor([own + [0] * (width - len(own)) for own in pieces])
    mask = torch.tensor([[1] * len(own) + [0] * (width - len(own)) for own in pieces])
    with torch.autocast("cpu", torch.bfloat16):
        states = model(input_ids=ids, attention_mask=mask).last_hidden_state
    weights = mask[:, :, None].float()
    return torch.as_tensor((states.float() * weights).sum(1) / weights.sum(1))
