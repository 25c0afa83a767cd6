"""CHNR's first phase: the discriminator learns what belongs together from trusted pairs.

A trusted picture (`pairs.trusted`) with a caption of a picture of another class is a wrong pair.
The hash networks are trained on the same batches, every pair counting as 1.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trsllava.compare.batches import Batch, Training
from trsllava.compare.chnr.loss import judge_loss
from trsllava.compare.chnr.networks import Discriminator
from trsllava.compare.pairs import trusted
from trsllava.errors import InputError

_BETAS, _DECAY = (0.5, 0.9), 1e-3  # of the discriminator's AdamW


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how fast: ``rate`` is the discriminator's, ``hash_rate`` the hash networks'."""

    epochs: int
    batch: int
    rate: float
    hash_rate: float
    hash_decay: float
    penalty: float


@dataclass(frozen=True, slots=True, eq=False)
class Clean:
    """Trusted pairs whose picture has a class, and each picture's class, int64 (images,)."""

    training: Training
    classes: Tensor

    @classmethod
    def of(cls, training: Training) -> "Clean":
        """Take them out of all pairs.

        Raises `InputError` if they are of less than two classes.
        """
        pairs = training.pairs
        names = sorted({name for name in pairs.classes if name is not None})
        number = {name: n for n, name in enumerate(names)}
        classes = np.array([-1 if c is None else number[c] for c in pairs.classes], np.int64)
        rows = np.flatnonzero(trusted(pairs) & (classes[pairs.image] >= 0))
        if len(np.unique(classes[pairs.image[rows]])) < 2:
            raise InputError(
                "chnr needs trusted pictures of at least two classes; a class is read from a file "
                "name such as airport_1.jpg"
            )
        own = replace(pairs, image=pairs.image[rows], text=pairs.text[rows])
        return cls(replace(training, pairs=own), torch.from_numpy(classes))

    def wrong(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return pairs of a batch (n,), and for each one of another class, drawn at random (n,)."""
        own = self.classes[batch.image]
        other = own[:, None] != own[None, :]
        rows = torch.nonzero(other.any(1)).squeeze(1)
        if not len(rows):
            return rows, rows
        return rows, torch.multinomial(other[rows].float(), 1).squeeze(1)


def meta_phase(
    judge: Discriminator,
    joined: Callable[[Batch], tuple[Tensor, Tensor]],
    hash_loss: Callable[[Batch], Tensor],
    hashing: list[nn.Parameter],
    clean: Clean,
    plan: Plan,
) -> Tensor:
    """Train the discriminator and, beside it, the hash networks.

    Everything random follows from torch's seed.

    Parameters
    ----------
    judge
        The discriminator.
    joined
        Gives standardised vectors of a batch's pictures and texts.
    hash_loss
        Gives the loss of the hash networks.
    hashing
        Their parameters.
    clean
        What is learnt from.
    plan
        How.

    Returns
    -------
    Tensor
        A scalar: the middle between how sure it ends of right and of wrong pairs, on average.
    """
    seed = torch.initial_seed()
    torch.manual_seed(seed)  # whatever was drawn since, the phase is the same
    judging: Any = torch.optim.AdamW(
        judge.parameters(), lr=plan.rate, betas=_BETAS, weight_decay=_DECAY
    )
    coding: Any = torch.optim.AdamW(hashing, lr=plan.hash_rate, weight_decay=plan.hash_decay)
    for epoch in range(plan.epochs):
        for batch in clean.training.batches(plan.batch, epoch, seed):
            coding.zero_grad()
            loss: Any = hash_loss(batch)
            loss.backward()
            coding.step()
            real, fake = _both(clean, batch, joined)
            if len(real):
                judging.zero_grad()
                between = torch.rand_like(real)
                told: Any = judge_loss(judge, real, fake, between, plan.penalty)
                told.backward()
                judging.step()
    judging.zero_grad()  # nothing stays behind
    coding.zero_grad()
    judge.eval()
    with torch.no_grad():
        found = [
            (torch.sigmoid(judge(real)).mean() + torch.sigmoid(judge(fake)).mean()) / 2
            for real, fake in (
                _both(clean, batch, joined)
                for batch in clean.training.batches(plan.batch, plan.epochs, seed)
            )
            if len(real)
        ]
    judge.train()
    return torch.stack(found).mean() if found else torch.tensor(0.5)


def _both(
    clean: Clean, batch: Batch, joined: Callable[[Batch], tuple[Tensor, Tensor]]
) -> tuple[Tensor, Tensor]:
    """Return right pairs (n, width) and wrong ones with the same pictures."""
    images, texts = joined(batch)
    rows, others = clean.wrong(batch)
    real = torch.cat([images[rows], texts[rows]], 1)
    return real, torch.cat([images[rows], texts[others]], 1)
