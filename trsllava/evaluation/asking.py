"""An encoder for an evaluation, which asks the same captions of every method that it measures."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from trsllava.embedding import Embedder
from trsllava.search.searcher import Searcher


class QueriesOnce:
    """An encoder that keeps the vectors of its queries, so that each is encoded once."""

    def __init__(self, encoder: Embedder) -> None:
        """Wrap an encoder; documents go to it as they come."""
        self._encoder = encoder
        self._known: dict[str, NDArray[np.float32]] = {}

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        return self._encoder.dimension

    def identity(self) -> Mapping[str, str | int]:
        """Return the encoder's own."""
        return self._encoder.identity()

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode documents."""
        return self._encoder.encode(texts)

    def encode_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode the queries that are new, and return all."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        self._known.update(zip(new, self._encoder.encode_queries(new), strict=True))
        found = [self._known[text] for text in texts]
        return np.stack(found) if found else self._encoder.encode_queries([])

    def too_long(self, texts: Sequence[str]) -> list[int]:
        """Return the positions of the texts that exceed the model's window."""
        return self._encoder.too_long(texts)


def asking_once(searcher: Searcher) -> Searcher:
    """Return the same searcher with an encoder that encodes each query once."""
    once = QueriesOnce(searcher.embedder)
    seer = once if searcher.seer is searcher.embedder else searcher.seer
    return replace(searcher, embedder=once, seer=seer)
