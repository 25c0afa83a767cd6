"""The scale of an archive, measured on the banks of queries that ship."""

import numpy as np
from numpy.typing import NDArray

from trsllava import resources
from trsllava.embedding import Embedder
from trsllava.index.dense import TextVectors
from trsllava.index.pictures import PictureVectors
from trsllava.index.scoring import MODES, Parts, Scale, measure_scale
from trsllava.index.words import Words

_SAMPLE = 20_000  # images that the scale is measured on
_BANKS = ("query_bank.txt", "offtopic_bank.txt")


def measure(
    embedder: Embedder,
    images: int,
    vectors: TextVectors,
    words: Words,
    pictures: PictureVectors | None,
) -> Scale:
    """Ask an archive the ordinary queries, and those that no overhead image answers."""
    rows = np.arange(0, images, max(1, -(-images // _SAMPLE)))
    banks = [_bank_parts(name, embedder, vectors, words, pictures, rows) for name in _BANKS]
    modes = [mode for mode in MODES if mode != "fused" or pictures is not None]
    return measure_scale(banks[0], banks[1], modes)


def _bank_parts(
    name: str,
    embedder: Embedder,
    vectors: TextVectors,
    words: Words,
    pictures: PictureVectors | None,
    rows: NDArray[np.int64],
) -> Parts:
    """Return the parts of a bank of queries for some images."""
    lines = resources.find(f"datasets/{name}").read_text(encoding="utf-8").splitlines()
    queries = [line for line in lines if line and not line.startswith("#")]
    asked = embedder.encode_queries(queries)
    dense = vectors.scores(asked, rows)
    bm25, share = words.matrices(queries)[:, :, rows]
    picture = np.zeros_like(dense) if pictures is None else pictures.scores(asked, rows)
    return Parts(dense, bm25, share, picture)
