"""MSA on frozen features: pictures at several scales, aligned with texts at each while trained.

By arXiv 2405.18959 and the formulas of its authors' repository, not by its code. What differs: the
towers stay frozen and heads are trained, the deepest scale is the backbone's global vector, other
captions of a picture are no negatives, and padding is not attended to.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import normalize

from trsllava.compare.batches import Batch, Pictures, Texts, Training
from trsllava.compare.contrast import triplet
from trsllava.compare.experiment import settings_of
from trsllava.compare.features import Shapes
from trsllava.compare.heads import Heads, decaying
from trsllava.compare.msa.loss import alignment, consistency, weighted
from trsllava.compare.msa.matching import Matching
from trsllava.compare.msa.picture import PictureVector, Scales
from trsllava.compare.system import Loss
from trsllava.errors import InputError

_PIECES = 31  # of a text that are attended to


@dataclass(frozen=True, slots=True)
class MsaSettings:
    """The table ``[system]``: the heads, the sizes of the matching, the paper's margin.

    Without ``multi_scale`` both losses of the matching are left out and the matching with them; the
    picture's vector and the triplet loss stay. That is what the paper's idea is held against.
    """

    hidden: int = 1536
    drop: float = 0.3
    text_drop: float = 0.1
    ridge: float = 200.0
    width: int = 128
    attention_heads: int = 4
    margin: float = 0.5
    multi_scale: bool = True


class Msa(nn.Module):
    """Fits `trsllava.compare.system.System`."""

    local = True

    def __init__(self, shapes: Shapes, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.settings = own = _checked(settings)
        self.heads = Heads(shapes, own.hidden, own.drop, own.text_drop)
        self.scales = Scales(shapes, own.width, own.drop)
        self.vector = PictureVector(shapes.text, shapes.depths - 1, own.width)
        self.matching = None
        # Drawn last, so that both ways have the same heads from the same seed.
        if own.multi_scale:
            sizes = [own.width] * (shapes.depths - 1) + [shapes.text]
            self.matching = Matching(sizes, shapes, own.width, own.attention_heads)

    def prepare(self, training: Training) -> None:
        """Start from the closed form, and set the scales' means and spreads."""
        self.heads.start(training, self.settings.ridge)
        self.scales.start(training)

    def groups(self) -> list[dict[str, Any]]:
        """Return all parameters: matrices decay, biases do not."""
        return decaying(self)

    def loss(self, batch: Batch) -> Loss:
        """Return the triplet loss and, with ``multi_scale``, the losses of the matching."""
        found = self._scales(batch.pictures)
        whole = self._texts(batch.texts)
        alike = self.vector(found[-1], found[:-1]) @ whole.T
        hardest = triplet(alike, batch.positive, self.settings.margin, False).mean()
        if self.matching is None:
            return Loss(hardest, {})
        pieces, real = batch.texts.tokens[:, :_PIECES], batch.texts.real[:, :_PIECES]
        matches = self.matching(found, pieces, real, whole)
        aligned, consistent = alignment(matches, batch.positive), consistency(matches)
        figures = {"triplet": hardest, "alignment": aligned, "consistency": consistent}
        return Loss(
            weighted(hardest, aligned, consistent, len(alike)),
            {name: float(value.detach()) for name, value in figures.items()},
        )

    def scores(self, pictures: Pictures, texts: Texts) -> Tensor:
        """Return cosines of the global vectors (texts, pictures): nothing is matched any more."""
        found = self._scales(pictures)
        vectors: Tensor = self.vector(found[-1], found[:-1])
        return self._texts(texts) @ vectors.T

    def _scales(self, pictures: Pictures) -> list[Tensor]:
        """Return x_1, x_2, ... (n, width), and last the head's output (n, text)."""
        return [*self.scales(pictures.maps), self.heads.image(pictures.summary)]

    def _texts(self, texts: Texts) -> Tensor:
        return normalize(self.heads.text(texts.summary), dim=1)


def _checked(table: Mapping[str, Any]) -> MsaSettings:
    """Return the settings; raises `InputError` if the heads do not divide the width."""
    own = settings_of(MsaSettings, table, "[system]")
    if own.attention_heads < 1 or own.width % own.attention_heads:
        raise InputError(
            f"[system]: width = {own.width} must be a multiple of attention_heads = "
            f"{own.attention_heads}"
        )
    return own
