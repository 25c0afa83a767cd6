"""The light dual encoder: a cosine between two heads, and symmetric InfoNCE.

No paper's system: the plain method that the others are held against.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from trsllava.compare.batches import Batch, Pictures, Texts, Training
from trsllava.compare.contrast import symmetric
from trsllava.compare.experiment import settings_of
from trsllava.compare.features import Shapes
from trsllava.compare.heads import Heads
from trsllava.compare.system import Loss


@dataclass(frozen=True, slots=True)
class DualSettings:
    """The table ``[system]``; ``temperature`` is where the learnt one starts."""

    hidden: int = 1536
    drop: float = 0.3
    text_drop: float = 0.1
    temperature: float = 0.05
    ridge: float = 200.0


class DualEncoder(nn.Module):
    """Fits `trsllava.compare.system.System`."""

    local = False

    def __init__(self, shapes: Shapes, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.settings = settings_of(DualSettings, settings, "[system]")
        own = self.settings
        self.heads = Heads(shapes, own.hidden, own.drop, own.text_drop)
        self.scale = nn.Parameter(torch.tensor(1 / own.temperature).log())

    def prepare(self, training: Training) -> None:
        """Start from the closed form."""
        self.heads.start(training, self.settings.ridge)

    def groups(self) -> list[dict[str, Any]]:
        """Return the heads' groups and the temperature, which does not decay."""
        return [*self.heads.groups(), {"params": [self.scale], "weight_decay": 0.0}]

    def loss(self, batch: Batch) -> Loss:
        """Return symmetric InfoNCE; other captions of a picture are no negatives."""
        alike = self._pictures(batch.pictures) @ self._texts(batch.texts).T
        total = symmetric(alike * self.scale.exp(), batch.positive)
        return Loss(total, {"temperature": float((-self.scale.detach()).exp())})

    def scores(self, pictures: Pictures, texts: Texts) -> Tensor:
        """Return cosines (texts, pictures)."""
        return self._texts(texts) @ self._pictures(pictures).T

    def _pictures(self, pictures: Pictures) -> Tensor:
        return normalize(self.heads.image(pictures.summary), dim=1)

    def _texts(self, texts: Texts) -> Tensor:
        return normalize(self.heads.text(texts.summary), dim=1)
