"""Records whose texts do not fit their own picture, told by the light head.

Each text is held against its own picture and against a sample of the others. A text written from
the picture fits few of them better; one written from another picture fits as many better as
chance has it. The score of a record is 0.9 times the cube of twice the share of pictures that its
texts fit better, on average over the texts: nothing at 0, and all of it from one half on.
"""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from trsllava.audit.suspicions import LEAST, Suspicion
from trsllava.embedding import Embedder
from trsllava.embedding.pictures import PictureEmbedder, directions, look
from trsllava.images.source import Source
from trsllava.store.pictures import Pictures
from trsllava.store.view import Place

OTHERS = 200  # pictures that a record's own is compared with
LEAST_OTHERS = 10
_ROUNDING = 1e-6
_BATCH = 64  # records whose texts are encoded at a time


@dataclass(frozen=True, slots=True)
class Fit:
    """How a record fits its picture.

    ``better`` is the share of the ``others`` that its texts fit better, None where it cannot be
    told; ``missing`` is the word that says why the picture could not be looked at.
    """

    image: str
    better: float | None
    others: int = 0
    missing: str | None = None

    @property
    def score(self) -> float:
        """How suspicious that is, 0 to 1."""
        return 0.9 * min(1.0, 2 * (self.better or 0.0)) ** 3

    @property
    def reason(self) -> str:
        """The reason in words."""
        return (
            f"its texts fit {self.better:.0%} of {self.others} other pictures better than its own"
        )


def fits(pictures: Pictures, eye: PictureEmbedder, embedder: Embedder) -> Iterator[Fit]:
    """Hold every record against its picture; none is held for longer than that.

    Parameters
    ----------
    pictures
        The records, and where their pictures are.
    eye
        What encodes the pictures.
    embedder
        The text encoder in whose space it puts them.

    Yields
    ------
    Fit
        One a record, in no order.
    """
    sample = dict(look(eye, _sample(pictures)))
    seen = {image: vector for image, vector in sample.items() if not isinstance(vector, str)}
    images = np.array(list(seen))
    vectors = np.array(list(seen.values())).reshape(len(seen), eye.dimension)
    looked = look(eye, ((place, source) for place, source in _all(pictures)))
    while batch := list(islice(looked, _BATCH)):
        records = [pictures.view.record(place) for place, _ in batch]
        texts = [[text.text for text in record.texts()] for record in records]
        encoded = directions(embedder.encode([t for own in texts for t in own]), eye.text_mean)
        ends = np.cumsum([len(own) for own in texts])
        parts = np.split(encoded, ends[:-1])
        for (place, own), part in zip(batch, parts, strict=True):
            if isinstance(own, str):
                yield Fit(place.image, None, missing=own)
                continue
            others = vectors[images != place.image] if len(images) else vectors
            yield Fit(place.image, _better(part, own, others), len(others))


def _better(
    texts: NDArray[np.float32], own: NDArray[np.float32], others: NDArray[np.float32]
) -> float | None:
    """Return which share of the other pictures fits the texts better than their own."""
    texts = texts[texts.any(axis=1)]  # the encoder cannot read the rest
    if not len(texts) or len(others) < LEAST_OTHERS:
        return None
    lead = texts @ others.T - (texts @ own)[:, None]
    tied = np.abs(lead) < _ROUNDING  # a picture of equal bytes, for example
    return float(np.where(tied, 0.5, lead > 0).mean())


def _all(pictures: Pictures) -> Iterator[tuple[Place, Source | None]]:
    for segment in range(len(pictures.view.segments)):
        for row, image, source in pictures.of_segment(segment):
            yield Place(image, segment, row), source


def _sample(pictures: Pictures) -> list[tuple[str, Source | None]]:
    """Draw pictures at hand, each as likely as any other, and the same ones every time."""
    drawn: list[tuple[str, Source | None]] = []
    draw = random.Random(0)  # noqa: S311 - a sample, no secret
    at_hand = ((place.image, source) for place, source in _all(pictures) if source is not None)
    for number, found in enumerate(at_hand):
        if number < OTHERS:
            drawn.append(found)
        elif (at := draw.randrange(number + 1)) < OTHERS:
            drawn[at] = found
    return drawn


def add_fits(found: Iterable[Suspicion], told: Iterable[Fit]) -> list[Suspicion]:
    """Join what texts alone told with how records fit their pictures; worst first."""
    joined = {suspicion.image: suspicion for suspicion in found}
    for fit in told:
        if fit.score < LEAST:
            continue
        known = joined.get(fit.image, Suspicion(fit.image, 0.0, ()))
        score = round(1 - (1 - known.score) * (1 - fit.score), 4)
        joined[fit.image] = replace(known, score=score, reasons=(fit.reason, *known.reasons))
    return sorted(joined.values(), key=lambda suspicion: (-suspicion.score, suspicion.image))
