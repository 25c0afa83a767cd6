"""Training the writer: each word from the words before it and the picture."""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from captioner_training.corpus import Corpus
from captioner_training.head import DIMENSION, Head
from captioner_training.pictures import Pictures, Seen
from captioner_training.writer import SLOTS, Writer
from trsllava.light.vocabulary import END
from trsllava.records import FIELDS

_PADDING = -1


@dataclass(frozen=True, slots=True)
class WriterConfig:
    """How large the writer is and how it is trained."""

    width: int = 256
    heads: int = 8
    layers: int = 3
    drop: float = 0.15
    epochs: int = 9
    pictures: int = 48
    each: int = 3
    rate: float = 8e-4
    decay: float = 0.05
    smoothing: float = 0.05
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """Pictures and what is said of them, as many texts (``said``) for each."""

    rows: list[int]
    said: list[list[int]]  # a slot, then the words


def new_writer(corpus: Corpus, seen: Seen, config: WriterConfig) -> Writer:
    """Return an untrained writer that knows the scales of what the backbone sees."""
    torch.manual_seed(config.seed)
    words = len(corpus.vocabulary)
    writer = Writer(words, DIMENSION, config.width, config.heads, config.layers, config.drop)
    memory = writer.memory
    some = torch.arange(0, len(seen.summary[0]), 7)
    tokens, summary = seen.tokens[0][some].float(), seen.summary[0][some]
    memory.token_mean.copy_(tokens.mean((0, 1)))
    memory.token_spread.copy_(tokens.std((0, 1)) + 1e-3)
    memory.summary_mean.copy_(summary.mean(0))
    memory.summary_spread.copy_(summary.std(0) + 1e-3)
    return writer


def train_writer(
    writer: Writer,
    corpus: Corpus,
    pictures: Pictures,
    seen: Seen,
    head: Head,
    config: WriterConfig,
    checkpoint: Path,
) -> list[dict[str, float]]:
    """Train the writer, going on from ``checkpoint`` if it is there; return the curve."""
    painted = {n for n, split in enumerate(pictures.splits) if split.startswith("painted")}
    optimiser = torch.optim.AdamW(writer.parameters(), lr=config.rate, weight_decay=config.decay)
    steps = config.epochs * sum(1 for _ in _batches(corpus, config, 0))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, config.rate, total_steps=steps + config.epochs, pct_start=0.08
    )
    curve: list[dict[str, float]] = []
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        writer.load_state_dict(state["writer"])
        optimiser.load_state_dict(state["optimiser"])
        schedule.load_state_dict(state["schedule"])
        curve = state["curve"]
    held = list(_held_out(corpus, pictures))
    for epoch in range(len(curve), config.epochs):
        torch.manual_seed(config.seed * 1000 + epoch)
        started, losses = time.time(), []
        writer.train()
        for batch in _batches(corpus, config, epoch):
            loss = _loss(writer, batch, seen, head, painted, config.smoothing)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(writer.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
        writer.eval()
        with torch.no_grad():
            measured = np.mean([_loss(writer, b, seen, head, None, 0.0).item() for b in held])
        curve.append({"epoch": epoch + 1, "train": float(np.mean(losses)), "val": float(measured)})
        curve[-1]["seconds"] = round(time.time() - started, 1)
        print(curve[-1], flush=True)
        partial = checkpoint.with_suffix(".part")
        torch.save(
            {
                "writer": writer.state_dict(),
                "optimiser": optimiser.state_dict(),
                "schedule": schedule.state_dict(),
                "curve": curve,
            },
            partial,
        )
        partial.replace(checkpoint)
    writer.eval()
    return curve


def _batches(corpus: Corpus, config: WriterConfig, epoch: int) -> Iterator[Batch]:
    """Yield an epoch's batches in random order."""
    rng = random.Random(config.seed * 1000 + epoch)  # noqa: S311 (no secret)
    lessons: list[Batch] = []
    for field in range(len(FIELDS)):
        lessons += _lessons(corpus, corpus.recorded, field, config, rng)
    lessons += _lessons(corpus, corpus.captioned, None, config, rng)
    rng.shuffle(lessons)
    yield from lessons


def _lessons(
    corpus: Corpus, rows: list[int], field: int | None, config: WriterConfig, rng: random.Random
) -> Iterator[Batch]:
    """Choose texts of a field for every picture, one of any field if None; batch like lengths."""
    each = 1 if field is None else config.each
    chosen: list[tuple[int, list[list[int]]]] = []
    for row in rows:
        slots = [s for s in corpus.texts[row] if field is None or s % len(FIELDS) == field]
        if slots:
            some = rng.sample(slots, min(each, len(slots)))
            some += rng.choices(slots, k=each - len(some))
            chosen.append((row, [[slot, *rng.choice(corpus.texts[row][slot])] for slot in some]))
    rng.shuffle(chosen)
    chosen.sort(key=lambda lesson: max(map(len, lesson[1])))
    size = config.pictures * config.each // each
    for n in range(0, len(chosen), size):
        part = chosen[n : n + size]
        yield Batch([row for row, _ in part], [text for _, texts in part for text in texts])


def _held_out(corpus: Corpus, pictures: Pictures) -> Iterator[Batch]:
    """Yield all texts of the records of the validation split, some pictures a batch."""
    for row in pictures.rows("val").tolist()[::4]:
        said = [[slot, *texts[0]] for slot, texts in corpus.texts[row].items()]
        if said:
            yield Batch([row], said)


def _loss(
    writer: Writer,
    batch: Batch,
    seen: Seen,
    head: Head,
    painted: set[int] | None,
    smoothing: float,
) -> Tensor:
    """Return the mean loss a word; pictures but painted ones are shown from any side."""
    view = 0 if painted is None else int(torch.randint(len(seen.tokens), ()))
    views = [0 if painted is not None and row in painted else view for row in batch.rows]
    tokens = torch.stack([seen.tokens[v][r] for v, r in zip(views, batch.rows, strict=True)])
    summary = torch.stack([seen.summary[v][r] for v, r in zip(views, batch.rows, strict=True)])
    with torch.no_grad():
        vector = functional.normalize(head(summary), dim=1)
    said, wanted = _padded(batch.said, writer.count)
    states = writer(writer.memory(tokens.float(), summary, vector), said)
    real = wanted != _PADDING
    return functional.cross_entropy(
        writer.scores(states[real]), wanted[real], label_smoothing=smoothing
    )


def _padded(said: list[list[int]], words: int) -> tuple[Tensor, Tensor]:
    """Return what is read and what is to follow, (n, length) each."""
    length = max(map(len, said))
    read = torch.zeros(len(said), length, dtype=torch.long)
    wanted = torch.full((len(said), length), _PADDING)
    for n, (slot, *text) in enumerate(said):
        if not 0 <= slot < SLOTS:
            raise ValueError(f"slot {slot} is none of {SLOTS}")
        read[n, : len(text) + 1] = torch.tensor([words + slot, *text])
        wanted[n, : len(text) + 1] = torch.tensor([*text, END])
    return read, wanted
