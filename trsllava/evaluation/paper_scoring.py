"""The scoring of "Beyond Pixels" (arXiv 2512.10596), the rows every table is compared with.

Each variant's three texts are joined into one string and embedded as one vector; an image scores
by the best cosine of its variants with the raw caption. In the other direction the paper searches
with one description of the image, written with a prompt of its own. A record holds none of that
prompt; the caption of its first variant stands for it in a row of its own.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trsllava.records import Record, Variant

METHOD = "paper: joined fields, best of the variants"
ONE_TEXT = "one description: the caption of the first variant"
_LABELS = ("ONE_SENTENCE", "FEATURE", "CAPTION")
_BLOCK = 512


class Encoder(Protocol):
    """What turns texts into unit vectors of shape (texts, dimension), float32."""

    def encode(self, texts: list[str]) -> NDArray[np.float32]:
        """Return the vectors of texts that are searched."""

    def encode_queries(self, texts: list[str]) -> NDArray[np.float32]:
        """Return the vectors of texts that search."""


def joined(variant: Variant) -> str:
    """Return a variant as the one string that the paper embeds; missing texts leave no line."""
    return "\n".join(
        f"{label}: {text}" for label, text in zip(_LABELS, variant.texts(), strict=True) if text
    )


def variants_joined(record: Record) -> list[str]:
    """Return a record as the strings that the paper embeds."""
    return [text for variant in record.variants if (text := joined(variant))]


def one_description(record: Record) -> list[str]:
    """Return the one text that describes an image, the last of its first variant that is there."""
    return [text for text in record.variants[0].texts() if text][-1:]


def paper_scores(
    captions: Sequence[str],
    records: Sequence[Record | None],
    encoder: Encoder,
    texts_of: Callable[[Record], list[str]] = variants_joined,
) -> NDArray[np.float32]:
    """Return every caption's best cosine with the strings of every image.

    Equal texts are embedded once and compared once, so images with equal records get exactly
    equal scores, whatever the rounding of batches and matrix products.

    Parameters
    ----------
    captions
        The queries.
    records
        One for each image, None where there is none.
    encoder
        Any text encoder.
    texts_of
        Which strings of a record count: `variants_joined` (the paper's) or `one_description`.

    Returns
    -------
    NDArray[np.float32]
        Of shape (captions, images); -inf for an image without a record.
    """
    queries: dict[str, int] = {}
    query_of = np.array([queries.setdefault(text, len(queries)) for text in captions], np.int64)
    documents: dict[str, int] = {}
    document_of: list[int] = []
    starts: list[int] = []
    columns: list[int] = []
    for column, record in enumerate(records):
        texts = texts_of(record) if record else []
        if texts:
            columns.append(column)
            starts.append(len(document_of))
            document_of += [documents.setdefault(text, len(documents)) for text in texts]
    scores = np.full((len(captions), len(records)), -np.inf, np.float32)
    if not columns or not queries:
        return scores
    query_vectors = encoder.encode_queries(list(queries))
    document_vectors = encoder.encode(list(documents)).T
    best = np.empty((len(queries), len(columns)), np.float32)
    for start in range(0, len(queries), _BLOCK):
        cosines = query_vectors[start : start + _BLOCK] @ document_vectors
        best[start : start + _BLOCK] = np.maximum.reduceat(cosines[:, document_of], starts, axis=1)
    scores[:, columns] = best[query_of]
    return scores
