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

    def scores(self, text: str) -> NDArray[np.float32]:
        """Return for every image BM25 and the share of the query's words that it has.

        Float32 (2, images); zero where no word of the query is known.
        """
        words = tokenize(text)
        numbers = [self._vocabulary[word] for word in words if word in self._vocabulary]
        if not numbers:
            return np.zeros((2, self.images), dtype=np.float32)
        arrays = self._engine.scores
        starts = arrays["indptr"]
        having = [arrays["indices"][starts[n] : starts[n + 1]] for n in set(numbers)]
        share = np.bincount(np.concatenate(having), minlength=self.images) / len(set(words))
        return np.stack([self._engine.get_scores_from_ids(numbers), share.astype(np.float32)])

    def matrices(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return `scores` of several queries, float32 (2, queries, images)."""
        found = np.zeros((2, len(texts), self.images), dtype=np.float32)
        for row, text in enumerate(texts):
            found[:, row] = self.scores(text)
        return found

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
        engine = _bm25s().BM25.load(folder, mmap=True)
        for name in ("data", "indices", "indptr"):
            # Still mapped, but without what numpy.memmap does anew for every slice.
            engine.scores[name] = np.asarray(engine.scores[name])
        return cls(engine, images)


def _bm25s() -> Any:
    """Import bm25s, which on import sets its own logger to say everything."""
    import bm25s

    logging.getLogger("bm25s").setLevel(logging.WARNING)
    return bm25s
