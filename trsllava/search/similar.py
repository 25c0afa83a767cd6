"""Images like one that is given, told by their texts and their pictures as far as there are any.

By texts: the cosine between the means of two images' text vectors. By pictures: that between the
pictures' vectors. How alike two images are by chance differs from image to image, so each part is
measured against a sample of the archive: its median is nothing special, and three of its
deviations above that are the limit of what chance explains (docs/scoring.md).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trsllava.embedding.pictures import PictureEmbedder, load_eye
from trsllava.errors import UsageError
from trsllava.index.generation import Generation
from trsllava.index.scoring import WEAK, Level
from trsllava.index.selector import Selector
from trsllava.search.filters import Filters
from trsllava.search.given import By, Given, find_given
from trsllava.search.query import Hit
from trsllava.search.searcher import Searcher

_LEVEL = Level(unrelated=0.0, limit=3.0)  # in deviations of what chance gives
_SAMPLE = 2_000  # images that chance is measured on
_MEDIAN_TO_DEVIATION = 1.4826  # of a normal distribution
_LEAST = 0.02  # a deviation in an archive too small or too uniform to measure anything on


@dataclass(frozen=True, slots=True)
class Alike:
    """The images most like one, and what told so: texts, pictures, or both (``fused``)."""

    image: str
    mode: By
    hits: tuple[Hit, ...]
    elapsed_ms: float
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the object that ``similar --json`` prints."""
        return {
            "image": self.image,
            "mode": self.mode,
            "hits": [hit.to_json() for hit in self.hits],
            "notes": list(self.notes),
            "elapsed_ms": round(self.elapsed_ms, 1),
        }


def find_similar(
    searcher: Searcher,
    image: str,
    top: int = 10,
    filters: Filters | None = None,
    eye: Callable[[], PictureEmbedder] = load_eye,
) -> Alike:
    """Return the images most like one, without that one.

    Parameters
    ----------
    searcher
        The archive.
    image
        An id of the archive, or any image file.
    top
        How many hits.
    filters
        What a hit must be.
    eye
        Loads what encodes a file's picture.

    Returns
    -------
    Alike
        Best first; the score is 0.2 where two images are alike as any two, and 0.5 where they
        are as much alike as chance hardly ever makes them.

    Raises
    ------
    InputError
        If the image is neither in the archive nor a file, or nothing can be told from it.
    IndexUnusable
        If a file is given and the index has no picture vectors, or those of another eye.
    UsageError
        If no hit is wanted.
    """
    started = time.perf_counter()
    if top < 1:
        raise UsageError(f"--top must be at least 1, not {top}")
    given = find_given(searcher, image, eye)
    generation = searcher.generation
    others = Selector(searcher.live.mask & (np.arange(len(generation.images)) != given.row))
    selector, notes = (filters or Filters()).select(generation.attributes, others)
    rows = _candidates(generation, given, top, selector)
    sample = others.rows()[:: max(1, -(-len(others) // _SAMPLE))]
    told = (_by_texts(generation, given), _by_picture(generation, given))
    raw = np.mean([_standard(part, sample, rows) for part in told if part is not None], axis=0)
    # Equal records must tie whatever the rounding of a matrix product.
    order = np.lexsort((rows, -np.round(raw, 5)))[:top]
    scores = _LEVEL.readable(raw)
    hits = tuple(
        _hit(searcher, given, rank, int(rows[at]), float(scores[at]))
        for rank, at in enumerate(order, start=1)
    )
    elapsed = 1000 * (time.perf_counter() - started)
    name = image if given.row is None else generation.images[given.row]
    return Alike(name, given.mode, hits, elapsed, (*searcher.notes, *notes))


_Part = Callable[[NDArray[np.int64]], NDArray[np.float32]]


def _by_texts(generation: Generation, given: Given) -> _Part | None:
    """Return what texts tell of rows: how near their mean is to that of the given ones."""
    mean = given.texts
    return None if mean is None else lambda rows: generation.vectors.mean_cosines(mean, rows)


def _by_picture(generation: Generation, given: Given) -> _Part | None:
    """Return what pictures tell of rows: their cosine with the given one."""
    pictures = generation.pictures
    if given.picture is None or pictures is None:
        return None
    seen = given.picture[None]
    return lambda rows: pictures.cosines(seen, rows)[0]


def _candidates(
    generation: Generation, given: Given, top: int, selector: Selector
) -> NDArray[np.int64]:
    """Return the rows to score: all, or those of an ivf index with the nearest pictures."""
    if given.texts is None:
        return selector.rows()
    rows = generation.index.candidates(given.texts, top, selector)
    by_picture = _by_picture(generation, given)
    if by_picture is not None and len(rows) < len(selector):
        every = selector.rows()
        best = np.argsort(-by_picture(every), kind="stable")[: max(1000, 10 * top)]
        rows = np.union1d(rows, every[best])
    return rows


def _standard(
    part: _Part, sample: NDArray[np.int64], rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Bring a part to deviations from what it is for any image of the archive."""
    if not len(sample):
        return np.zeros(len(rows))
    usual = part(sample).astype(np.float64)
    middle = np.median(usual)
    deviation = max(_MEDIAN_TO_DEVIATION * float(np.median(np.abs(usual - middle))), _LEAST)
    return np.asarray((part(rows) - middle) / deviation)


def _hit(searcher: Searcher, given: Given, rank: int, row: int, score: float) -> Hit:
    """Return a hit with the text of it that says best what the image shows."""
    generation = searcher.generation
    record = generation.record(row)
    texts = list(record.texts())
    found = generation.vectors.of(row)
    if given.texts is not None:
        found = found @ given.texts
    elif given.picture is not None and generation.pictures is not None:
        if searcher.seer is not searcher.embedder:
            found = np.asarray(searcher.seer.encode([text.text for text in texts]))
        found = generation.pictures.directions(found) @ given.picture
    best = texts[int(np.argmax(found))]
    return Hit(
        rank=rank,
        image=record.image,
        score=score,
        weak=score < WEAK,
        evidence=best.text,
        field=best.field,
        variant=best.variant,
        bbox=record.metadata.bbox,
        datetime=record.metadata.datetime,
    )
