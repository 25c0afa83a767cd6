"""Records as a few vectors: one for each variant's texts and one for the picture.

Text vectors that an index has published are read; others are encoded where there is an encoder.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trsllava.embedding import Embedder
from trsllava.embedding.pictures import (
    NOT_AT_HAND,
    PictureEmbedder,
    directions,
    look,
    read_pictures,
)
from trsllava.embedding.vectors import read_vectors
from trsllava.images.source import Source
from trsllava.store.layout import SegmentRef
from trsllava.store.pictures import Pictures
from trsllava.store.view import Place, View

_BATCH = 64  # records whose texts are encoded at a time
_KEPT = 16  # segments whose files are open

_Floats = NDArray[np.float32]


class Entry(NamedTuple):
    """A record, and where its picture is if that is to be looked at and at hand."""

    place: Place
    source: Source | None


@dataclass(frozen=True, slots=True)
class Gist:
    """A record as unit vectors, texts and picture in one space.

    ``variants`` (n, dimension) has one for each variant that the encoder can read, ``numbers`` says
    which these are. ``picture`` (dimension,) is None where no picture was looked at; where that
    was tried ``missing`` is the word that says why.
    """

    image: str
    numbers: tuple[int, ...]
    variants: _Floats
    picture: _Floats | None = None
    missing: str | None = None

    @property
    def centre(self) -> _Floats:
        """The direction of all variants together."""
        return unit(self.variants.sum(axis=0))


@dataclass(frozen=True, slots=True)
class Seeing:
    """Looks at the pictures themselves."""

    eye: PictureEmbedder
    pictures: Pictures


@dataclass(slots=True)
class Vectors:
    """Where the vectors of a view's records come from.

    ``fingerprint`` is the text encoder's, ``encoder`` the encoder itself if texts without
    published vectors are to be encoded. ``text_mean`` is taken off a text's unit vector. Pictures
    are looked at, or ``pictures`` is the fingerprint of published vectors, or there are none.
    """

    view: View
    fingerprint: str
    encoder: Embedder | None = None
    text_mean: _Floats | None = None
    pictures: Seeing | str | None = None
    _open: OrderedDict[tuple[str, int], tuple[_Floats, NDArray[np.int64]] | None] = field(
        default_factory=OrderedDict, init=False
    )

    def entries(self) -> Iterator[Entry]:
        """Yield the records, segment by segment."""
        for segment in range(len(self.view.segments)):
            if isinstance(self.pictures, Seeing):
                for row, image, source in self.pictures.pictures.of_segment(segment):
                    yield Entry(Place(image, segment, row), source)
            else:
                ids = self.view.sidecar(segment).ids
                for row in self.view.live_rows(segment):
                    yield Entry(Place(ids[row], segment, row), None)

    def gists(self, entries: Iterable[Entry]) -> Iterator[Gist]:
        """Read or make the vectors of records; none is held for longer than a batch."""
        looked = self._look(entries)
        while batch := list(islice(looked, _BATCH)):
            texts = self._texts([place for place, _ in batch])
            for (place, picture), (numbers, vectors) in zip(batch, texts, strict=True):
                yield self._gist(place.image, numbers, vectors, picture)

    def mean_of(self, entries: Sequence[Entry]) -> _Floats:
        """Return the mean (dimension,) of the text vectors of some records."""
        total, count = np.zeros(1, np.float32), 0
        for begin in range(0, len(entries), _BATCH):
            for _, vectors in self._texts([e.place for e in entries[begin : begin + _BATCH]]):
                if len(vectors):
                    total, count = total + vectors.sum(axis=0), count + len(vectors)
        return np.asarray(total / max(count, 1), np.float32)

    def _gist(
        self, image: str, numbers: NDArray[np.int64], texts: _Floats, picture: _Floats | str | None
    ) -> Gist:
        missing = picture if isinstance(picture, str) else None
        seen = None if isinstance(picture, str) else picture
        if not len(texts):  # no words, or no vectors
            return Gist(image, (), texts, seen, missing)
        mean = self.text_mean if self.text_mean is not None else np.zeros_like(texts[0])
        placed = directions(texts, mean)
        which = np.unique(numbers)
        variants = unit(np.stack([placed[numbers == n].sum(axis=0) for n in which]))
        told = variants.any(axis=1)
        return Gist(image, tuple(which[told].tolist()), variants[told], seen, missing)

    def _look(self, entries: Iterable[Entry]) -> Iterator[tuple[Place, _Floats | str | None]]:
        if isinstance(self.pictures, Seeing):
            yield from look(self.pictures.eye, entries)
            return
        for place, _ in entries:
            yield place, self._published_picture(place)

    def _published_picture(self, place: Place) -> _Floats | str | None:
        if self.pictures is None:
            return None
        found = self._file("pictures", place.segment)
        if found is None or not found[0][place.row].any():
            return NOT_AT_HAND
        return unit(found[0][place.row].astype(np.float32))

    def _texts(self, places: Sequence[Place]) -> list[tuple[NDArray[np.int64], _Floats]]:
        """Return for each record the variant of each of its texts, and their vectors."""
        records = [self.view.record(place) for place in places]
        texts = [list(record.texts()) for record in records]
        found: list[_Floats | None] = []
        for place in places:
            stored = self._file("texts", place.segment)
            rows = None if stored is None else slice(*stored[1][place.row : place.row + 2])
            found.append(None if stored is None else stored[0][rows].astype(np.float32))
        new = [n for n, vectors in enumerate(found) if vectors is None]
        if self.encoder is not None and new:
            encoded = self.encoder.encode([text.text for n in new for text in texts[n]])
            ends = np.cumsum([len(texts[n]) for n in new], dtype=np.int64)
            for n, vectors in zip(new, np.split(encoded, ends[:-1]), strict=True):
                found[n] = vectors
        none = np.zeros((0, 0), np.float32)
        return [
            (np.array([text.variant for text in own], np.int64), vectors)
            if vectors is not None
            else (np.zeros(0, np.int64), none)
            for own, vectors in zip(texts, found, strict=True)
        ]

    def _file(self, kind: str, segment: int) -> tuple[_Floats, NDArray[np.int64]] | None:
        """Return published vectors of a segment and where each record's begin, or None."""
        key = (kind, segment)
        if key not in self._open:
            ref = self.view.segments[segment]
            self._open[key] = self._text_file(ref) if kind == "texts" else self._picture_file(ref)
            if len(self._open) > _KEPT:
                self._open.popitem(last=False)
        return self._open[key]

    def _text_file(self, ref: SegmentRef) -> tuple[_Floats, NDArray[np.int64]] | None:
        layout = self.view.layout
        path = layout.segment_vectors(self.fingerprint, ref)
        if not (path.exists() and path.with_suffix(".json").exists()):
            return None
        published = read_vectors(layout, ref, self.fingerprint)
        starts = np.concatenate([[0], np.cumsum(published.counts)]).astype(np.int64)
        return np.load(path, mmap_mode="r", allow_pickle=False), starts

    def _picture_file(self, ref: SegmentRef) -> tuple[_Floats, NDArray[np.int64]] | None:
        layout, key = self.view.layout, str(self.pictures)
        if not layout.picture_manifest(key, ref).exists():
            return None
        path = read_pictures(layout, ref, key).path
        if not path.exists():
            return None
        return np.load(path, mmap_mode="r", allow_pickle=False), np.arange(ref.records + 1)


def unit(vectors: _Floats) -> _Floats:
    """Return vectors (..., dimension) of unit length; zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.float32(1e-12)), np.float32)
