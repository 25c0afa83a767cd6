"""Annotated datasets: who captioned which image how, one split at a time.

The order of the captions in the file carries no meaning here: ``owner`` says
which image each belongs to, and an image may have any number of them.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trsllava.errors import InputError
from trsllava.evaluation.annotations import Entry, read_entries
from trsllava.evaluation.cards import Card, card, described_by
from trsllava.records import image_id

DEFAULT_SPLIT = "test"
TRAIN = "train"


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """One split of an annotated dataset.

    ``owner`` (captions,) holds the index of each caption's image; ``caption_ids`` name the
    captions in TREC files; ``classes`` holds each image's class where its name carries one.
    ``empty`` captions were dropped; ``leaks`` captions stand verbatim in the train split of the
    same file.
    """

    name: str
    split: str
    images: tuple[str, ...]
    captions: tuple[str, ...]
    owner: NDArray[np.int64]
    caption_ids: tuple[str, ...]
    classes: tuple[str | None, ...]
    empty: int = 0
    leaks: int = 0
    warnings: tuple[str, ...] = ()


def read_dataset(name: str, path: Path, split: str | None = None) -> Dataset:
    """Read one split of an annotation file.

    Parameters
    ----------
    name
        A dataset that has a card, or ``own``.
    path
        Its annotation file as its makers publish it.
    split
        In any letter case; ``test`` if None.

    Returns
    -------
    Dataset
        With warnings where it is not what its card says.

    Raises
    ------
    InputError
        If the name or the split is unknown, or the file is not in its dataset's form.
    """
    known = card(name)
    entries, stated = read_entries(path, known.form if known else "karpathy")
    split, chosen = _select(entries, split, path)
    warnings: list[str] = []
    if known and stated and known.name.lower() not in stated.lower():
        warnings.append(f"{path} says that it is {stated!r}, not {known.name}")
    raw = sum(len(entry.captions) for entry in chosen)
    described = known or described_by(stated)
    if described:
        warnings += _compare(described, split, len(chosen), raw)

    rows: dict[str, int] = {}
    captions: list[str] = []
    ids: list[str | None] = []
    owner: list[int] = []
    classes: list[str | None] = []
    repeated = 0
    for entry in chosen:
        image = _image(entry, path)
        repeated += image in rows
        row = rows.setdefault(image, len(rows))
        if row == len(classes):
            classes.append(entry.category or class_of(image))
        for text, number in entry.captions:
            if text.strip():
                captions.append(text.strip())
                ids.append(number)
                owner.append(row)
    if repeated:
        warnings.append(f"{repeated} entries repeat a file name; their captions were put together")
    bare = len(rows) - len(set(owner))
    if bare:
        warnings.append(f"{bare} images have no caption: as image-to-text queries they are misses")
    if not captions:
        raise InputError(f"{path}: split {split!r} holds no caption that is not empty")
    return Dataset(
        name=known.name if known else (stated or path.stem),
        split=split,
        images=tuple(rows),
        captions=tuple(captions),
        owner=np.array(owner, np.int64),
        caption_ids=_caption_ids(ids),
        classes=tuple(classes),
        empty=raw - len(captions),
        leaks=_leaks(captions, entries, split),
        warnings=tuple(warnings),
    )


def class_of(image: str) -> str | None:
    """Return the class a file name carries (``airport_1.jpg``: airport), None for a number."""
    stem = image.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    match = re.fullmatch(r"([^\W\d][^\d]*?)[_\- ]?\d+", stem)
    return match[1].lower() if match else None


def shared(dataset: Dataset) -> tuple[int, int]:
    """Return how many strings stand at more than one image, and how many captions they are."""
    places: dict[str, set[int]] = {}
    for text, image in zip(dataset.captions, dataset.owner.tolist(), strict=True):
        places.setdefault(text, set()).add(image)
    strings = {text for text, images in places.items() if len(images) > 1}
    return len(strings), sum(text in strings for text in dataset.captions)


def _select(entries: list[Entry], split: str | None, path: Path) -> tuple[str, list[Entry]]:
    """Return the split in the file's own spelling, and its entries."""
    wanted = (DEFAULT_SPLIT if split is None else split).strip().lower()
    chosen = [entry for entry in entries if entry.split.strip().lower() == wanted]
    if chosen:
        return wanted, chosen
    images: Counter[str] = Counter()
    captions: Counter[str] = Counter()
    for entry in entries:
        images[entry.split] += 1
        captions[entry.split] += len(entry.captions)
    present = ", ".join(f"{s} ({n} images, {captions[s]} captions)" for s, n in images.items())
    asked = "no split was asked for and there is no 'test'" if split is None else f"no {split!r}"
    raise InputError(f"{path}: {asked}; the file has the splits {present or '(none)'}")


def _compare(known: Card, split: str, images: int, captions: int) -> list[str]:
    """Return a warning if a split is not of the size that its dataset has."""
    expected = known.splits.get(split)
    if expected is None:
        return [f"{known.name} has no official split {split!r}: figures compare with no other's"]
    if expected == (images, captions):
        return []
    return [
        f"{known.name} {split} has {expected.images:,} images and {expected.captions:,} captions, "
        f"this file {images:,} and {captions:,}: figures do not compare with published ones"
    ]


def _image(entry: Entry, path: Path) -> str:
    try:
        return image_id(entry.filename)
    except InputError as error:
        raise InputError(f"{path}: {entry.where}: {error}") from error


def _caption_ids(numbers: list[str | None]) -> tuple[str, ...]:
    """Return the file's own sentence ids if they tell all captions apart, else a running number."""
    given = [number for number in numbers if number is not None]
    if len(given) == len(numbers) == len(set(given)):
        return tuple(given)
    return tuple(str(row) for row in range(len(numbers)))


def _leaks(captions: list[str], entries: Iterable[Entry], split: str) -> int:
    if split == TRAIN:
        return 0
    train = {
        text.strip()
        for entry in entries
        if entry.split.strip().lower() == TRAIN
        for text, _ in entry.captions
    }
    return sum(text in train for text in captions)
