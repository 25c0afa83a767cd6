"""What the text encoder is adapted on: people's captions and our records, without leaks.

A caption that also stands in a split that figures are reported on is never learnt from, whichever
dataset's train split it comes from: the encoder would know it by heart.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trsllava.records import FIELDS

_RUN = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Scene:
    """One train image: its distinct captions by people, and the texts of our record by field.

    ``record`` is empty where there is no record; otherwise a list of texts for each field.
    """

    captions: tuple[str, ...]
    record: tuple[tuple[str, ...], ...] = ()


@dataclass(slots=True)
class Dropped:
    """How many captions stood where, and how many of them were left out."""

    captions: int = 0
    empty: int = 0
    kept_out: dict[str, int] = field(default_factory=dict)
    kept: int = 0


def normal(text: str) -> str:
    """Return a caption as leaks are looked for: letters and digits in lower case, single spaces."""
    return _RUN.sub(" ", text.lower()).strip()


def digest(text: str) -> str:
    """Return the sha256 of the normal form."""
    return hashlib.sha256(normal(text).encode()).hexdigest()


def read_scenes(data: Path) -> tuple[list[Scene], dict[str, Dropped]]:
    """Read the train splits of RSICD and RSITMD.

    Parameters
    ----------
    data
        The folder that holds ``rsicd/dataset_rsicd_trainval.json``, ``rsicd/rsrt_train.jsonl``,
        ``rsicd/test_caption_sha256.txt`` (the digests of RSICD's test captions) and
        ``rsitmd/dataset_RSITMD.json``.

    Returns
    -------
    tuple[list[Scene], dict[str, Dropped]]
        The images of which anything can be learnt, RSICD's first, and what was left out by
        dataset.
    """
    rsicd = _images(data / "rsicd/dataset_rsicd_trainval.json")
    rsitmd = _images(data / "rsitmd/dataset_RSITMD.json")
    digests = (data / "rsicd/test_caption_sha256.txt").read_text(encoding="utf-8").split()
    held_out = {
        "RSICD val": {digest(text) for text in _captions(rsicd, "val")},
        "RSICD test": set(digests),
        "RSITMD test": {digest(text) for text in _captions(rsitmd, "test")},
    }
    records = dict(_records(data / "rsicd/rsrt_train.jsonl"))
    scenes, dropped = [], {}
    for name, images in (("RSICD train", rsicd), ("RSITMD train", rsitmd)):
        counts = dropped[name] = Dropped(kept_out=dict.fromkeys(held_out, 0))
        for image in images:
            if image["split"] != "train":
                continue
            captions = _clean(_sentences(image), held_out, counts)
            record = records.get(image["filename"], ()) if images is rsicd else ()
            if captions and (record or len(captions) > 1):
                scenes.append(Scene(captions, record))
    return scenes, dropped


def _images(path: Path) -> list[dict[str, Any]]:
    images: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["images"]
    return images


def _sentences(image: dict[str, Any]) -> list[str]:
    return [sentence["raw"].strip() for sentence in image["sentences"]]


def _captions(images: list[dict[str, Any]], split: str) -> Iterator[str]:
    for image in images:
        if image["split"] == split:
            yield from _sentences(image)


def _records(path: Path) -> Iterator[tuple[str, tuple[tuple[str, ...], ...]]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            body = json.loads(line)
            yield (
                body["image"],
                tuple(tuple(variant[name] for variant in body["variants"]) for name in FIELDS),
            )


def _clean(captions: list[str], held_out: dict[str, set[str]], counts: Dropped) -> tuple[str, ...]:
    """Return the distinct captions that stand in no held-out split, and count the others."""
    kept: dict[str, str] = {}
    for text in captions:
        counts.captions += 1
        if not text:
            counts.empty += 1
            continue
        found = [name for name, digests in held_out.items() if digest(text) in digests]
        for name in found:
            counts.kept_out[name] += 1
        if not found:
            counts.kept += 1
            kept.setdefault(normal(text), text)
    return tuple(kept.values())
