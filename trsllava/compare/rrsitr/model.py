"""RRSITR on frozen features: global and local similarity, trained against wrong captions.

By arXiv 2603.28134 and what its authors' repository states, not by its code. What differs: the
towers stay frozen and heads are trained, cells and word pieces come from the backbone's own
features, and other captions of a picture are no negatives.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from trsllava.compare.batches import Batch, Pictures, Texts, Training
from trsllava.compare.contrast import pair_losses, triplet
from trsllava.compare.experiment import settings_of
from trsllava.compare.features import Shapes
from trsllava.compare.heads import Heads
from trsllava.compare.rrsitr.local import Local, local_similarity
from trsllava.compare.rrsitr.loss import Weights, kinds, robust_loss, thresholds
from trsllava.compare.system import Loss

_BLOCK = 512


@dataclass(frozen=True, slots=True)
class RrsitrSettings:
    """The table ``[system]``: the heads, the paper's constants, and its ablations.

    ``local``, ``self_paced``, ``robust_triplet`` and ``dynamic_margin`` take a part out when false.
    ``local_weight`` is alpha_2, that of the global similarity being 1 less it.
    """

    hidden: int = 1536
    drop: float = 0.3
    text_drop: float = 0.1
    ridge: float = 200.0
    width: int = 64
    scale: float = 20.0
    local_weight: float = 0.1
    clean: float = 5.0
    noisy: float = 18.0
    ambiguous_share: float = 0.8
    noisy_share: float = 0.9
    margin: float = 0.6
    local: bool = True
    self_paced: bool = True
    robust_triplet: bool = True
    dynamic_margin: bool = True


class Rrsitr(nn.Module):
    """Fits `trsllava.compare.system.System`."""

    def __init__(self, shapes: Shapes, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.settings = own = settings_of(RrsitrSettings, settings, "[system]")
        self.heads = Heads(shapes, own.hidden, own.drop, own.text_drop)
        self.weights = Weights(
            own.clean, own.noisy, own.ambiguous_share, own.noisy_share, own.margin
        )
        self.parts = Local(shapes, own.width) if own.local else None

    @property
    def local(self) -> bool:
        """Whether maps and word pieces are looked at."""
        return self.settings.local

    def prepare(self, training: Training) -> None:
        """Start from the closed forms."""
        self.heads.start(training, self.settings.ridge)
        if self.parts is not None:
            self.parts.start(training, self.settings.ridge)

    def groups(self) -> list[dict[str, Any]]:
        """Return the heads' groups and the local part's."""
        if self.parts is None:
            return self.heads.groups()
        return [*self.heads.groups(), {"params": list(self.parts.parameters())}]

    def loss(self, batch: Batch) -> Loss:
        """Return the weighted loss, and how many pairs of the batch are of each kind."""
        own = self.settings
        alike = self._pictures(batch.pictures) @ self._texts(batch.texts).T
        parts = [*pair_losses(own.scale * alike, batch.positive)]
        if self.parts is not None:
            near = local_similarity(
                self.parts.cells(batch.pictures.maps),
                self.parts.pieces(batch.texts),
                batch.texts.real,
            )
            parts += pair_losses(own.scale * near, batch.positive)
        each = torch.stack(parts).sum(0)
        limits = thresholds(self.weights, len(each), len(parts))
        total = robust_loss(
            each,
            triplet(alike, batch.positive, own.margin, own.dynamic_margin),
            self.weights,
            limits,
            self_paced=own.self_paced,
            robust=own.robust_triplet,
        )
        found = kinds(each.detach(), *limits)
        shares = {
            "clean": float(found.clean.float().mean()),
            "ambiguous": float(found.ambiguous.float().mean()),
            "noisy": float(found.noisy.float().mean()),
        }
        return Loss(total, shares)

    def scores(self, pictures: Pictures, texts: Texts) -> Tensor:
        """Return global and local similarity, weighted, (texts, pictures)."""
        alike = self._texts(texts) @ self._pictures(pictures).T
        if self.parts is None:
            return alike
        cells = self.parts.cells(pictures.maps)
        rows = []
        for first in range(0, len(alike), _BLOCK):
            block = slice(first, first + _BLOCK)
            part = Texts(texts.summary[block], texts.tokens[block], texts.real[block])
            rows.append(local_similarity(cells, self.parts.pieces(part), part.real).T)
        weight = self.settings.local_weight
        return (1 - weight) * alike + weight * torch.cat(rows)

    def _pictures(self, pictures: Pictures) -> Tensor:
        return normalize(self.heads.image(pictures.summary), dim=1)

    def _texts(self, texts: Texts) -> Tensor:
        return normalize(self.heads.text(texts.summary), dim=1)
