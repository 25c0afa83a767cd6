"""Which items are relevant to which query, for both directions and for judgements of one's own."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trsllava.errors import InputError
from trsllava.evaluation.datasets import Dataset
from trsllava.interchange.trec import Judgement, unescape


@dataclass(frozen=True, slots=True, eq=False)
class Judgements:
    """The relevant items of each query, as pairs sorted by query.

    ``query`` and ``item`` have the shape (pairs,); a query without a pair has no relevant item
    and is a miss, never dropped.
    """

    queries: int
    items: int
    query: NDArray[np.int64]
    item: NDArray[np.int64]

    @classmethod
    def of(
        cls, queries: int, items: int, query: Iterable[int], item: Iterable[int]
    ) -> "Judgements":
        """Make judgements from pairs in any order; a pair given twice counts once."""
        pairs = np.stack([np.fromiter(query, np.int64), np.fromiter(item, np.int64)], axis=1)
        pairs = np.unique(pairs, axis=0)
        return cls(queries, items, pairs[:, 0], pairs[:, 1])

    def turned(self) -> "Judgements":
        """Return the same pairs with items as queries."""
        order = np.lexsort((self.query, self.item))
        return Judgements(self.items, self.queries, self.item[order], self.query[order])


def by_image(dataset: Dataset) -> Judgements:
    """Return the headline's judgements: a caption's own image is the one relevant to it."""
    captions = len(dataset.captions)
    return Judgements(captions, len(dataset.images), np.arange(captions), dataset.owner)


def merged(dataset: Dataset, covered: NDArray[np.bool_]) -> Judgements:
    """Return judgements in which a caption is relevant to every image that has the same string.

    A caption whose own image has no record stays a miss: ``covered`` (images,) says which have.
    """
    places: dict[str, set[int]] = {}
    for text, image in zip(dataset.captions, dataset.owner.tolist(), strict=True):
        places.setdefault(text, set()).add(image)
    query: list[int] = []
    item: list[int] = []
    for row, (text, image) in enumerate(zip(dataset.captions, dataset.owner.tolist(), strict=True)):
        images = places[text] if covered[image] else {image}
        query += [row] * len(images)
        item += images
    return Judgements.of(len(dataset.captions), len(dataset.images), query, item)


def revision(dataset: Dataset, judged: Judgements) -> str:
    """Return a digest (SHA-256) of all that figures depend on beside the scores.

    Equal digests mean the same images, captions and judgements in the same order, so that the
    queries of two evaluations can be held against each other one by one.
    """
    known = [dataset.images, dataset.caption_ids, dataset.captions, dataset.owner.tolist()]
    body = json.dumps([*known, judged.query.tolist(), judged.item.tolist()])
    return hashlib.sha256(body.encode()).hexdigest()


def from_qrels(dataset: Dataset, rows: Iterable[Judgement]) -> Judgements:
    """Return judgements read from a qrels file, in place of the annotations' own.

    Queries are named by the dataset's caption ids, items by image ids.

    Raises `InputError` if a line names what the dataset does not have, or no pair is relevant.
    """
    captions = {name: row for row, name in enumerate(dataset.caption_ids)}
    images = {name: row for row, name in enumerate(dataset.images)}
    query: list[int] = []
    item: list[int] = []
    for judgement in rows:
        if judgement.query not in captions:
            raise InputError(
                f"{judgement.where}: no caption of {dataset.name} {dataset.split} has the id "
                f"{judgement.query!r}; they look like {dataset.caption_ids[0]!r}"
            )
        image = unescape(judgement.item)
        if image not in images:
            raise InputError(
                f"{judgement.where}: {dataset.name} {dataset.split} has no image {image!r}; "
                f"they look like {dataset.images[0]!r}"
            )
        if judgement.relevance > 0:
            query.append(captions[judgement.query])
            item.append(images[image])
    if not query:
        raise InputError("the qrels hold no relevant pair, so every figure would be 0")
    return Judgements.of(len(captions), len(images), query, item)
