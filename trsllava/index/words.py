"""Words: BM25 over images, all texts of an image joined to one document."""

import json
import logging
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_WORD = re.compile(r"[^\W_]+")
# Scripts written without spaces: Han, kana, Thai, Lao, Myanmar, Khmer.
_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+"
)
_COUNT = "documents.json"


def tokenize(text: str) -> list[str]:
    """Return the words of a text: case-folded, NFKC, English stop words left out.

    Runs of a script written without spaces give their characters and pairs of characters.
    """
    from bm25s.stopwords import STOPWORDS_EN

    words: list[str] = []
    for match in _WORD.finditer(unicodedata.normalize("NFKC", text).casefold()):
        word = match.group()
        if word in STOPWORDS_EN:
            continue
        at = 0
        for run in _UNSPACED.finditer(word):
            if run.start() > at:
                words.append(word[at : run.start()])
            characters = run.group()
            words += characters
            words += [characters[i : i + 2] for i in range(len(characters) - 1)]
            at = run.end()
        if at < len(word):
            words.append(word[at:])
    return words


class Words:
    """BM25 (Lucene's variant, k1 1.5, b 0.75) of every image for a query's words."""

    def __init__(self, engine: Any, images: int) -> None:
        """Take a bm25s engine, or None where no document has a word.

        Parameters
        ----------
        engine
            A ``bm25s.BM25`` over ``images`` documents.
        images
            How many documents there are.
        """
        self._engine = engine
        self._vocabulary: dict[str, int] = {} if engine is None else engine.vocab_dict
        self.images = images

    @classmethod
    def build(cls, documents: Iterable[str]) -> "Words":
        """Index one document an image."""
        vocabulary: dict[str, int] = {}
        numbers = [
            [vocabulary.setdefault(word, len(vocabulary)) for word in tokenize(document)]
            for document in documents
        ]
        if not vocabulary:
            return cls(None, len(numbers))
        engine = _bm25s().BM25()
        engine.index((numbers, vocabulary), show_progress=False)
        return cls(engine, len(numbers))

    def scores(self, text: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return for every image BM25 and the share of the query's words that it has.

        Both are float32 (images,), and zero where no word of the query is known.
        """
        words = tokenize(text)
        numbers = [self._vocabulary[word] for word in words if word in self._vocabulary]
        share = np.zeros(self.images, dtype=np.float32)
        if not numbers:
            return share, share
        arrays = self._engine.scores
        for number in set(numbers):
            share[arrays["indices"][arrays["indptr"][number] : arrays["indptr"][number + 1]]] += 1
        bm25 = np.asarray(self._engine.get_scores_from_ids(numbers), dtype=np.float32)
        share /= len(set(words))
        return bm25, share

    def matrices(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return `scores` of several queries, each float32 (queries, images)."""
        bm25 = np.zeros((len(texts), self.images), dtype=np.float32)
        share = np.zeros_like(bm25)
        for row, text in enumerate(texts):
            bm25[row], share[row] = self.scores(text)
        return bm25, share

    def save(self, folder: Path) -> None:
        """Write the index into a folder, without pickle."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _COUNT).write_text(json.dumps({"images": self.images}))
        if self._engine is not None:
            self._engine.save(folder, show_progress=False)

    @classmethod
    def load(cls, folder: Path) -> "Words":
        """Read what `save` wrote; the arrays are memory-mapped."""
        images = json.loads((folder / _COUNT).read_text())["images"]
        if not (folder / "params.index.json").exists():
            return cls(None, images)
        return cls(_bm25s().BM25.load(folder, mmap=True), images)


def _bm25s() -> Any:
    """Import bm25s, which on import sets its own logger to say everything."""
    import bm25s

    logging.getLogger("bm25s").setLevel(logging.WARNING)
    return bm25s
