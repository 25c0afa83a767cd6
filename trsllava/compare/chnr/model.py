"""CHNR on frozen features: hash codes, and wrong pairs that a discriminator weighs down.

By arXiv 2202.13117 and what its authors' repository states, not by its code. What differs: other
features, narrower networks, one view of a picture and one caption a step, other captions of a
picture are no negatives, and the signs that codes are drawn to are taken anew in every batch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trsllava.compare.batches import Batch, Pictures, Texts, Training
from trsllava.compare.chnr.loss import WEIGHTINGS, contrastive, quantisation, weigh
from trsllava.compare.chnr.meta import Clean, Plan, meta_phase
from trsllava.compare.chnr.networks import Discriminator, HashNetwork, Standard
from trsllava.compare.experiment import settings_of
from trsllava.compare.features import Shapes
from trsllava.compare.system import Loss
from trsllava.errors import InputError


@dataclass(frozen=True, slots=True)
class ChnrSettings:
    """The table ``[system]``.

    ``weighting`` is one of `WEIGHTINGS`, ``ones`` being the baseline. ``hidden`` is of the hash
    networks, ``judge_hidden`` and ``drop`` of the discriminator; ``meta_...`` say how the phase
    before the epochs goes, ``penalty`` is that of its gradients and ``hash_decay`` the weight decay
    of its hash networks.
    """

    bits: int = 64
    weighting: str = "nw"
    hidden: int = 512
    judge_hidden: int = 256
    drop: float = 0.2
    temperature: float = 1.0
    quantisation: float = 0.001
    penalty: float = 10.0
    meta_epochs: int = 12
    meta_batch: int = 256
    meta_rate: float = 1e-4
    meta_hash_rate: float = 1e-4
    hash_decay: float = 5e-4


class Chnr(nn.Module):
    """Fits `trsllava.compare.system.System`."""

    local = False
    threshold: Tensor
    ready: Tensor

    def __init__(self, shapes: Shapes, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.settings = own = settings_of(ChnrSettings, settings, "[system]")
        if own.weighting not in WEIGHTINGS:
            raise InputError(
                f"[system]: no weighting is called {own.weighting!r}; known are "
                f"{', '.join(WEIGHTINGS)}"
            )
        if own.bits % 8 or own.bits < 8:
            raise InputError(f"[system]: bits = {own.bits} must be whole bytes: 8, 16, ...")
        self.judge = Discriminator(shapes.image + shapes.text, own.judge_hidden, own.drop)
        self.seen, self.read = Standard(), Standard()
        self.image = HashNetwork(shapes.image, own.hidden, own.bits)
        self.text = HashNetwork(shapes.text, own.hidden, own.bits)
        self.register_buffer("threshold", torch.tensor(0.5))
        self.register_buffer("ready", torch.tensor(False))

    def prepare(self, training: Training) -> None:
        """Go through the first phase, unless the state that was loaded has been through it.

        It learns from trusted pairs alone: noise that leaves them as they are and the weighting
        change nothing of it.

        Raises `InputError` if they are of less than two classes.
        """
        if self.ready:
            return
        own, clean = self.settings, Clean.of(training)
        pairs = clean.training.pairs
        self.seen.fit(torch.from_numpy(training.views[0].summary[np.unique(pairs.image)]))
        self.read.fit(torch.from_numpy(training.texts.summary[np.unique(pairs.text)]))
        plan = Plan(
            own.meta_epochs,
            own.meta_batch,
            own.meta_rate,
            own.meta_hash_rate,
            own.hash_decay,
            own.penalty,
        )
        self.train()
        found = meta_phase(self.judge, self._standard, self._equal, self._hashing(), clean, plan)
        self.threshold.copy_(found)
        self.ready.fill_(True)

    def groups(self) -> list[dict[str, Any]]:
        """Return the hash networks' parameters: the discriminator is frozen from here on."""
        return [{"params": self._hashing()}]

    def loss(self, batch: Batch) -> Loss:
        """Return the weighted loss, the mean weight, and how near codes are to signs."""
        seen, read = self._standard(batch)
        weights = weigh(self.settings.weighting, self.sure(seen, read), self.threshold)
        images, texts = self.image(seen), self.text(read)
        figures = {
            "weight": float(weights.mean()),
            "size of a bit": float((images.abs().mean() + texts.abs().mean()).detach() / 2),
        }
        return Loss(self._loss(images, texts, batch, weights), figures)

    def scores(self, pictures: Pictures, texts: Texts) -> Tensor:
        """Return minus the Hamming distances of the codes (texts, pictures), as float32."""
        images, words = self.image_codes(pictures), self.text_codes(texts)
        return (words @ images.T - self.settings.bits) / 2

    def image_codes(self, pictures: Pictures) -> Tensor:
        """Return codes (n, bits) of -1 and 1, as float32; in evaluation mode."""
        return _signs(self.image(self.seen(pictures.summary)))

    def text_codes(self, texts: Texts) -> Tensor:
        """Return codes (n, bits) of -1 and 1, as float32; in evaluation mode."""
        return _signs(self.text(self.read(texts.summary)))

    def sure(self, images: Tensor, texts: Tensor) -> Tensor:
        """Return how sure the discriminator is of pairs of standardised vectors, (n,), detached."""
        self.judge.eval()  # its dropout is over, whatever mode the rest is in
        with torch.no_grad():
            return torch.sigmoid(self.judge(torch.cat([images, texts], 1)))

    def _standard(self, batch: Batch) -> tuple[Tensor, Tensor]:
        return self.seen(batch.pictures.summary), self.read(batch.texts.summary)

    def _hashing(self) -> list[nn.Parameter]:
        return [*self.image.parameters(), *self.text.parameters()]

    def _equal(self, batch: Batch) -> Tensor:
        """Return the loss with every pair counting as 1."""
        seen, read = self._standard(batch)
        return self._loss(self.image(seen), self.text(read), batch, torch.ones(len(seen)))

    def _loss(self, images: Tensor, texts: Tensor, batch: Batch, weights: Tensor) -> Tensor:
        own = self.settings
        told = contrastive(images, texts, batch.positive, weights, own.temperature)
        # A sum by the paper; divided by the batch, the same step of AdamW at any batch.
        return (told + own.quantisation * quantisation(images, texts)) / len(images)


def _signs(codes: Tensor) -> Tensor:
    return torch.where(codes >= 0, 1.0, -1.0)
