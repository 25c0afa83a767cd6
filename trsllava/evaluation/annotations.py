"""The two forms in which captions of overhead images are published.

``karpathy``: ``{"images": [{"filename", "split", "sentences": [{"raw", "sentid"}]}]}``, used by
RSICD, RSITMD, UCM-Captions and Sydney-Captions. ``nwpu``: ``{class: [{"filename", "split", "raw",
"raw_1", ..., "raw_4"}]}``, used by NWPU-Captions.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trsllava.errors import InputError


@dataclass(frozen=True, slots=True)
class Entry:
    """One image of an annotation file, with each caption's text and its id in the file."""

    where: str
    filename: str
    split: str
    captions: tuple[tuple[str, str | None], ...]
    category: str | None = None


def read_entries(path: Path, form: Literal["karpathy", "nwpu"]) -> tuple[list[Entry], str | None]:
    """Return all images of an annotation file, and the dataset's name if the file states it.

    Raises `InputError` if the file cannot be read, is not JSON, or an entry lacks what it needs.
    """
    try:
        # utf-8-sig: some of these files were saved with a byte order mark.
        body = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not a JSON file in UTF-8: {error}") from error
    if not isinstance(body, dict):
        raise InputError(f"{path} must hold a JSON object, not a {type(body).__name__}")
    stated = body.get("dataset")
    if form == "nwpu" and "images" not in body:
        return list(_nwpu(body, path)), None
    return list(_karpathy(body, path)), stated if isinstance(stated, str) else None


def _karpathy(body: dict[str, Any], path: Path) -> Iterator[Entry]:
    images = body.get("images")
    if not isinstance(images, list):
        raise InputError(
            f"{path} has no list 'images'; expected is the form of RSICD's dataset_rsicd.json"
        )
    for number, image in enumerate(images):
        where = _where(f"images[{number}]", image, path)
        sentences = image.get("sentences")
        if not isinstance(sentences, list):
            raise InputError(f"{path}: {where} has no list 'sentences'")
        captions = tuple(_sentence(path, where, n, s) for n, s in enumerate(sentences))
        yield Entry(where, image["filename"], _split(image, where, path), captions)


def _sentence(path: Path, where: str, number: int, sentence: Any) -> tuple[str, str | None]:
    if not isinstance(sentence, dict) or not isinstance(sentence.get("raw"), str):
        raise InputError(f"{path}: {where}: sentences[{number}] has no text 'raw'")
    return _text(sentence["raw"]), _identity(sentence.get("sentid"))


def _nwpu(body: dict[str, Any], path: Path) -> Iterator[Entry]:
    for category, images in body.items():
        if not isinstance(images, list):
            raise InputError(
                f"{path}: {category!r} must hold a list of images, as in dataset_nwpu.json"
            )
        for number, image in enumerate(images):
            where = _where(f"{category}[{number}]", image, path)
            captions = []
            for key in (key for key in image if key == "raw" or key.startswith("raw_")):
                if not isinstance(image[key], str):
                    raise InputError(f"{path}: {where}: {key!r} is not a text")
                sentid = image.get("sentids" + key.removeprefix("raw"))
                captions.append((_text(image[key]), _identity(sentid)))
            if not captions:
                raise InputError(f"{path}: {where} has no caption 'raw', 'raw_1', ...")
            split = _split(image, where, path)
            yield Entry(where, image["filename"], split, tuple(captions), category)


def _where(place: str, image: Any, path: Path) -> str:
    """Return the place with the file name in it, once it is sure that there is one."""
    if not isinstance(image, dict):
        raise InputError(f"{path}: {place} must be an object, not {image!r:.60}")
    if not isinstance(image.get("filename"), str):
        raise InputError(f"{path}: {place} has no text 'filename'")
    return f"{place} ({image['filename']!r})"


def _split(image: dict[str, Any], where: str, path: Path) -> str:
    split = image.get("split")
    if not isinstance(split, str) or not split.strip():
        raise InputError(
            f"{path}: {where} has no 'split'; each image must say whether it is train, val or test"
        )
    return split


def _text(raw: str) -> str:
    """Return the caption without what no encoder and no file could take."""
    return raw.encode("utf-8", "replace").decode().replace("\0", " ")


def _identity(value: Any) -> str | None:
    """Return a sentence id as text; some files keep it in a list of one."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None
