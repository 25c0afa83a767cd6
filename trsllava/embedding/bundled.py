"""The encoders that ship: all-MiniLM-L6-v2, as it is and adapted, on onnxruntime and tokenizers.

A batch holds texts of one length in word pieces, so there is no padding, and
activations are scaled row by row: a text's vector does not depend on its batch.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trsllava import resources
from trsllava.embedding.shipped import intact, read_manifest, session
from trsllava.errors import InputError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Ids = NDArray[np.int32]
Vectors = NDArray[np.float32]

BATCH_TOKENS = 512  # activations of 3 MB: what a core's second-level cache holds
CHUNK = 2048  # texts tokenised at a time; a tokenizer's output is a hundred times its ids
_UNKNOWN, _START, _END = 100, 101, 102  # [UNK], [CLS], [SEP]


class BundledEmbedder:
    """all-MiniLM-L6-v2 in int8: English, 384 dimensions, a window of 256 word pieces.

    A longer text is split at word boundaries; its vector is the mean of its
    windows' vectors, weighted by their word pieces.

    Parameters
    ----------
    threads
        Batches encoded at a time; by default as many as cores that this process may use.
    model
        ``minilm``, or ``adapted`` to captions of overhead images (docs/adapted.md).
    """

    def __init__(self, threads: int | None = None, model: str = "minilm") -> None:
        if threads is not None and threads < 1:
            raise InputError(f"an encoder needs at least one thread, not {threads}")
        self._folder = resources.find(f"models/{model}")
        self._manifest = read_manifest(self._folder)
        self._threads = threads or usable_cores()
        self._pieces = int(self._manifest["window"]) - 2

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        return int(self._manifest["dimension"])

    def identity(self) -> Mapping[str, str | int]:
        """Return all that changes a vector."""
        return {
            "name": str(self._manifest["name"]),
            "revision": self._manifest["sha256"]["model.onnx"],
            "tokenizer": self._manifest["sha256"]["tokenizer.json"],
            "window": int(self._manifest["window"]),
            "long_texts": "mean of windows",
            "unknown_texts": "zero, and other scripts",
        }

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Encode documents in their order, each distinct text once.

        A text of which the model knows less than half, or whose letters are mostly of another
        script than Latin, gets zeros: such vectors would be alike, and mean nothing.
        """
        place: dict[str, int] = {}
        rows = [place.setdefault(text, len(place)) for text in texts]
        if not place:
            return np.zeros((0, self.dimension), np.float32)
        windows: list[Ids] = []
        starts: list[int] = []
        for pieces in self._tokenise(list(place)):
            starts.append(len(windows))
            windows += pieces
        found = unit(self._run(windows))
        vectors = found if len(found) == len(place) else found[starts]
        spans = pairwise([*starts, len(windows)])
        for owner, (text, (start, end)) in enumerate(zip(place, spans, strict=True)):
            if end - start > 1:
                sizes = np.array([len(w) for w in windows[start:end]], np.float32)
                vectors[owner] = unit((sizes @ found[start:end])[None])[0]
            ids = np.concatenate(windows[start:end])
            if 2 * np.count_nonzero(ids == _UNKNOWN) > len(ids) or is_foreign(text):
                vectors[owner] = 0
        return vectors if len(place) == len(rows) else vectors[rows]

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encode queries one by one; this model has no prompts."""
        found = [self.encode([text]) for text in texts]
        return np.concatenate(found) if found else np.zeros((0, self.dimension), np.float32)

    def too_long(self, texts: Sequence[str]) -> list[int]:
        """Return the positions of the texts that were split into windows."""
        # A word piece has at least one character, so most texts need no tokenising.
        suspects = [n for n, text in enumerate(texts) if len(text) > self._pieces]
        tokenised = self._tokenise([texts[n] for n in suspects])
        return [n for n, pieces in zip(suspects, tokenised, strict=True) if len(pieces) > 1]

    def _tokenise(self, texts: Sequence[str]) -> Iterator[list[Ids]]:
        """Yield the windows of each text as word piece ids, without the special tokens."""
        for start in range(0, len(texts), CHUNK):
            # A lone surrogate is no text; it becomes "?", as everywhere else in Python.
            clean = [t.encode("utf-8", "replace").decode() for t in texts[start : start + CHUNK]]
            if len(clean) == 1:  # a query starts no second pool of threads
                encodings = [self._tokenizer.encode(clean[0], add_special_tokens=False)]
            else:
                encodings = self._tokenizer.encode_batch(clean, add_special_tokens=False)
            for encoding in encodings:
                ids = np.array(encoding.ids, np.int32)
                if len(ids) <= self._pieces:
                    yield [ids]
                else:
                    bounds = window_bounds(encoding.word_ids, self._pieces)
                    yield [ids[a:b] for a, b in pairwise(bounds)]

    def _run(self, windows: Sequence[Ids]) -> Vectors:
        """Encode windows in batches of one length and at most `BATCH_TOKENS`, a core a batch."""
        out = np.empty((len(windows), self.dimension), np.float32)

        def run(batch: NDArray[np.int64]) -> None:
            length = len(windows[batch[0]]) + 2
            ids = np.full((len(batch), length), _END, np.int64)
            ids[:, 0] = _START
            ids[:, 1:-1] = [windows[n] for n in batch]
            out[batch] = self._session.run(None, {"ids": ids})[0]

        batches = list(_batches(np.array([len(window) for window in windows])))
        if self._threads == 1 or len(batches) == 1:
            for batch in batches:
                run(batch)
        else:
            with ThreadPoolExecutor(self._threads) as pool:
                for done in [pool.submit(run, batch) for batch in batches]:
                    done.result()
        return out

    @cached_property
    def _tokenizer(self) -> "Tokenizer":
        from tokenizers import Tokenizer

        return Tokenizer.from_file(str(intact(self._folder, "tokenizer.json")))

    @cached_property
    def _session(self) -> Any:
        # Batches run side by side, which beats two cores on one batch; and a vector
        # cannot depend on how a product was shared between threads.
        return session(self._folder, "model.onnx")


def adapted(threads: int | None = None) -> BundledEmbedder:
    """Load the encoder that was adapted to captions of overhead images."""
    return BundledEmbedder(threads, model="adapted")


def is_foreign(text: str) -> bool:
    """Whether most letters of a text are of another script than Latin, which the models know."""
    if text.isascii():
        return False
    letters = [ord(char) for char in text if char.isalpha()]
    latin = sum(code < 0x250 or 0x1E00 <= code < 0x1F00 for code in letters)  # Unicode's blocks
    return 2 * latin < len(letters)


def _batches(lengths: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Yield the places of texts of one length, at most `BATCH_TOKENS` with the special tokens."""
    order = np.argsort(lengths, kind="stable")
    edges = np.flatnonzero(np.diff(lengths[order])) + 1
    for group in np.split(order, edges):
        size = max(1, BATCH_TOKENS // (int(lengths[group[0]]) + 2))
        yield from np.split(group, range(size, len(group), size))


def unit(vectors: Vectors) -> Vectors:
    """Scale every row to unit length."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.float32(1e-12)), np.float32)


def window_bounds(words: Sequence[int | None], size: int) -> list[int]:
    """Cut ``len(words)`` pieces into windows of at most ``size``, between words where possible."""
    bounds = [0]
    while len(words) - bounds[-1] > size:
        cut = bounds[-1] + size
        while cut > bounds[-1] and words[cut] is not None and words[cut] == words[cut - 1]:
            cut -= 1
        bounds.append(cut if cut > bounds[-1] else bounds[-1] + size)
    return [*bounds, len(words)]


def usable_cores() -> int:
    """Return how many cores this process may use, which a container or Slurm may limit."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1
