"""Vectors of texts, memory-mapped segment by segment, and the faiss index for many of them."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from trsllava.errors import StoreDamaged
from trsllava.index.scoring import log_mean_exp
from trsllava.index.selector import Selector

FLAT_TEXTS = 1_000_000  # above this many texts an index is quantised unless told otherwise
EXACT_ROWS = 50_000  # so few images are scored exactly, whatever the kind of index
_BLOCK = 16_384  # texts converted to float32 at a time
_HELD = 200_000  # so few texts are held as float32 (300 MB) once a second query comes
_TRAINING = 64  # training vectors a cluster
_LEAST_CLUSTERS = 8


class Block(NamedTuple):
    """Some images' texts: ``rows`` of the images, where their texts ``starts``, the vectors."""

    rows: NDArray[np.int64]
    starts: NDArray[np.int64]
    vectors: NDArray[np.float32]


class TextVectors:
    """The vectors of every text of a generation.

    ``segment``, ``start`` and ``count`` (each int64 (images,)) say where the texts of an image
    stand: in which file, from which vector on, how many.
    """

    def __init__(
        self,
        files: Sequence[NDArray[np.float16]],
        segment: NDArray[np.int64],
        start: NDArray[np.int64],
        count: NDArray[np.int64],
    ) -> None:
        """Take the memory-mapped files and the places of the images.

        Parameters
        ----------
        files
            One (texts, dimension) array a segment.
        segment
            The file of each image.
        start
            The first vector of each image.
        count
            The number of vectors of each image.
        """
        self._files: Sequence[NDArray[Any]] = files
        self._segment, self._start, self._count = segment, start, count
        self._asked = 0

    def blocks(self, rows: NDArray[np.int64]) -> Iterator[Block]:
        """Yield the vectors of the images in ``rows``, as float32, in blocks of bounded size."""
        order = rows[np.lexsort((self._start[rows], self._segment[rows]))]
        for segment in np.unique(self._segment[order]):
            mine = order[self._segment[order] == segment]
            counts = self._count[mine]
            ends = np.cumsum(counts)
            cuts = np.searchsorted(ends, np.arange(_BLOCK, int(ends[-1]), _BLOCK))
            for part in np.split(np.arange(len(mine)), cuts):
                if len(part):
                    yield self._block(int(segment), mine[part])

    def _block(self, segment: int, rows: NDArray[np.int64]) -> Block:
        starts, counts = self._start[rows], self._count[rows]
        offsets = np.concatenate(([0], np.cumsum(counts)[:-1])).astype(np.int64)
        first, last = int(starts[0]), int(starts[-1] + counts[-1])
        file = self._files[segment]
        if last - first == counts.sum():
            vectors = file[first:last]
        else:
            within = np.arange(counts.sum()) - np.repeat(offsets, counts)
            vectors = file[np.repeat(starts, counts) + within]
        return Block(rows, offsets, vectors.astype(np.float32, copy=False))

    def scores(self, queries: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return how well images answer queries.

        Parameters
        ----------
        queries
            Unit vectors, (queries, dimension).
        rows
            The images, ascending.

        Returns
        -------
        NDArray[np.float32]
            Log-mean-exp of the cosines of each image's texts, (queries, len(rows)).
        """
        if len(queries) == 1:  # many at once are worth the conversion
            self._hold()
        found = np.empty((len(queries), len(rows)), dtype=np.float32)
        for block in self.blocks(rows):
            at = np.searchsorted(rows, block.rows)
            for first in range(0, len(queries), 256):
                part = slice(first, first + 256)
                cosines = block.vectors @ queries[part].T
                found[part, at] = log_mean_exp(cosines, block.starts).T
        return found

    def _hold(self) -> None:
        """Keep a small archive's vectors as float32 from the second query on.

        Converting them takes most of a query; a process that asks once needs the memory no more.
        """
        self._asked += 1
        if self._asked == 2 and sum(map(len, self._files)) <= _HELD:
            self._files = [np.asarray(file, np.float32) for file in self._files]

    def mean_cosines(
        self, direction: NDArray[np.float32], rows: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Return how near the means of images' texts are to a direction.

        Parameters
        ----------
        direction
            A unit vector, (dimension,).
        rows
            The images, ascending.

        Returns
        -------
        NDArray[np.float32]
            Cosines, (len(rows),); 0 for an image whose texts the encoder cannot read.
        """
        found = np.empty(len(rows), dtype=np.float32)
        for block in self.blocks(rows):
            sums = np.add.reduceat(block.vectors, block.starts, axis=0)
            lengths = np.maximum(np.linalg.norm(sums, axis=1), np.float32(1e-12))
            found[np.searchsorted(rows, block.rows)] = sums @ direction / lengths
        return found

    def first_twins(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return for each of ``rows`` the place in it of the first image with equal vectors."""
        seen: dict[bytes, int] = {}
        twins = []
        for place, row in enumerate(rows):
            start = self._start[row]
            vectors = self._files[self._segment[row]][start : start + self._count[row]]
            digest = hashlib.sha256(vectors.tobytes()).digest()
            twins.append(seen.setdefault(digest, place))
        return np.array(twins, dtype=np.int64)

    def of(self, row: int) -> NDArray[np.float32]:
        """Return the vectors of one image, in the record's order."""
        (block,) = self.blocks(np.array([row]))
        return block.vectors

    def cosines(self, query: NDArray[np.float32], row: int) -> NDArray[np.float32]:
        """Return the cosine of a query with each text of one image, in the record's order."""
        return np.asarray(self.of(row) @ query, dtype=np.float32)


class VectorIndex(Protocol):
    """Names the images worth scoring exactly."""

    def candidates(
        self, query: NDArray[np.float32], wanted: int, selector: Selector
    ) -> NDArray[np.int64]:
        """Return selected rows, ascending, among them those whose texts are nearest."""
        ...


class FlatIndex:
    """Every selected image is worth scoring."""

    def candidates(
        self, query: NDArray[np.float32], wanted: int, selector: Selector
    ) -> NDArray[np.int64]:
        """Return every selected row."""
        return selector.rows()


class IvfIndex:
    """A faiss IVF index with RaBitQ codes over texts; an image's id stands at each of its texts."""

    def __init__(self, index: Any, probes: int | None = None) -> None:
        """Take a trained and filled faiss index.

        Parameters
        ----------
        index
            A ``faiss.IndexIVF`` for inner products.
        probes
            How many clusters a query visits; an eighth of them unless told.
        """
        self._index = index
        self._probes = probes or max(8, index.nlist // 8)

    @classmethod
    def build(
        cls, vectors: TextVectors, images: int, texts: int, dimension: int
    ) -> "IvfIndex | None":
        """Train and fill an index, or return None when there are too few texts to train on."""
        import faiss

        clusters = min(int(4 * texts**0.5), texts // _TRAINING)
        if clusters < _LEAST_CLUSTERS:
            return None
        index = faiss.index_factory(dimension, f"IVF{clusters},RaBitQ", faiss.METRIC_INNER_PRODUCT)
        step = max(1, texts // (clusters * _TRAINING))
        rows = np.arange(images)
        index.train(np.concatenate([b.vectors for b in vectors.blocks(rows[::step])]))
        for block in vectors.blocks(rows):
            counts = np.diff(block.starts, append=len(block.vectors))
            index.add_with_ids(block.vectors, np.repeat(block.rows, counts))
        return cls(index)

    def save(self, path: Path) -> None:
        """Write the index to a file."""
        import faiss

        faiss.write_index(self._index, str(path))

    @classmethod
    def load(cls, path: Path) -> "IvfIndex":
        """Read what `save` wrote.

        Raises `StoreDamaged` if faiss cannot read it.
        """
        import faiss

        try:
            return cls(faiss.read_index(str(path), faiss.IO_FLAG_MMAP))
        except RuntimeError as error:
            raise StoreDamaged(f"{path} cannot be read ({error}); run: trsllava index") from error

    def candidates(
        self, query: NDArray[np.float32], wanted: int, selector: Selector
    ) -> NDArray[np.int64]:
        """Return every selected row if these are few, else those of the nearest texts."""
        import faiss

        if len(selector) <= EXACT_ROWS:
            return selector.rows()
        chosen = faiss.IDSelectorBatch(selector.rows())
        parameters: Any = faiss.SearchParametersIVF()
        parameters.nprobe, parameters.sel = self._probes, chosen
        texts = max(2_000, 60 * wanted)
        _, found = self._index.search(query[None], texts, params=parameters)
        rows = np.unique(found[found >= 0])
        # The visited clusters may hold too few of a selection: never fewer hits than there are.
        return rows if len(rows) >= wanted else selector.rows()
