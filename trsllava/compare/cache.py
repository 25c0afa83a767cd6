"""Features on disk: each picture is seen once in each view, each text read once.

A folder per set of pictures (their names and bytes), view and backbone, named by the digest of all
three, holds one file a part; a part appears whole, so a killed run goes on behind the last one. The
files are npz, whose CRC is checked whenever they are read.
"""

import hashlib
import logging
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trsllava.compare.backbone import Backbone
from trsllava.compare.features import Read, Seen, joined_pictures, joined_texts, ragged
from trsllava.errors import InputError, StoreDamaged
from trsllava.records import canonical_json
from trsllava.store.files import publishing

if TYPE_CHECKING:
    from PIL.Image import Image

log = logging.getLogger(__name__)

# As it is, mirrored, turned, both: any side of a photograph from above is up.
VIEWS = (0, 4, 1, 5)
_FORMAT = 2
_SIDE = 512  # pixels; JPEGs that are much larger are decoded at a smaller scale
_PICTURES, _TEXTS = 256, 2048  # of a part
_EVERY = 60.0  # seconds between two lines about progress


def seen(
    backbone: Backbone,
    folder: Path,
    names: Sequence[str],
    view: int,
    features: Path,
    *,
    maps: bool = True,
) -> Seen:
    """Return what a backbone sees in pictures, computing what is not on disk yet.

    Parameters
    ----------
    backbone
        What looks.
    folder
        Where the pictures are.
    names
        Their ids, paths relative to ``folder``.
    view
        Quarter turns counter-clockwise, 0 to 3; from 4 on mirrored too.
    features
        Where features are kept.
    maps
        Whether maps are wanted; without, they have no columns.

    Returns
    -------
    Seen
        In the order of ``names``.

    Raises
    ------
    InputError
        If a picture is missing or cannot be read.
    StoreDamaged
        If a part is not what was written.
    """
    try:
        digests = [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names]
    except OSError as error:
        raise InputError(
            f"{error.filename} cannot be read ({error.strerror}); --images must be the folder "
            "that holds every picture of the annotations' split"
        ) from error
    about = {"view": view, "pictures": [list(pair) for pair in zip(names, digests, strict=True)]}
    place = _place(features, backbone, about)
    started, told, done = time.monotonic(), time.monotonic(), 0
    parts = []
    for first in range(0, len(names), _PICTURES):
        own = names[first : first + _PICTURES]
        path = place / f"pictures-{first:07d}.npz"
        if not path.exists():
            found = backbone.see([_turned(_open(folder / name), view) for name in own])
            with publishing(path) as file:
                np.savez(file, summary=found.summary, maps=found.maps)
            done += len(own)
        if done and time.monotonic() - told > _EVERY:
            told = time.monotonic()
            log.info(
                "%d of %d pictures seen in view %d, %.1f/s",
                *(first + len(own), len(names), view, done / (told - started)),
            )
        body = _load(path, ("summary", "maps") if maps else ("summary",), len(own))
        parts.append(Seen(body["summary"], body.get("maps", _nothing(len(own), 0, 0, 0))))
    return joined_pictures(parts)


def read(backbone: Backbone, texts: Sequence[str], features: Path, *, tokens: bool = True) -> Read:
    """Return what a backbone reads in texts, computing what is not on disk yet.

    Without ``tokens`` every text has no word piece.

    Raises `StoreDamaged` if a part is not what was written.
    """
    digest = hashlib.sha256(canonical_json(list(texts))).hexdigest()
    place = _place(features, backbone, {"texts": digest})
    parts = []
    for first in range(0, len(texts), _TEXTS):
        own = texts[first : first + _TEXTS]
        path = place / f"texts-{first:07d}.npz"
        if not path.exists():
            found = backbone.read(own)
            with publishing(path) as file:
                np.savez(file, summary=found.summary, tokens=found.tokens, starts=found.starts)
        if tokens:
            body = _load(path, ("summary", "tokens", "starts"), len(own))
            parts.append(Read(body["summary"], body["tokens"], body["starts"]))
        else:
            body = _load(path, ("summary",), len(own))
            parts.append(ragged(body["summary"], [_nothing(0, 0)] * len(own)))
    return joined_texts(parts)


def _place(features: Path, backbone: Backbone, about: dict[str, Any]) -> Path:
    body = {"format": _FORMAT, "backbone": dict(backbone.identity()), **about}
    return features / hashlib.sha256(canonical_json(body)).hexdigest()[:16]


def _nothing(*shape: int) -> NDArray[np.float16]:
    return np.zeros(shape, np.float16)


def _load(path: Path, names: Sequence[str], count: int) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as file:
            body = {name: file[name] for name in names}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise StoreDamaged(f"{path} is damaged ({error}); delete it and run again") from error
    if len(body["summary"]) != count:
        raise StoreDamaged(f"{path} is damaged: not of {count} items; delete it and run again")
    return body


def _open(path: Path) -> "Image":
    from trsllava.images.decode import decode
    from trsllava.images.source import Unreadable

    try:
        return decode(path.read_bytes(), _SIDE)[0]
    except Unreadable as error:
        raise InputError(f"{path}: {error}; mend it or take it out of the annotations") from error


def _turned(picture: "Image", view: int) -> "Image":
    from PIL.Image import Transpose

    turns = {1: Transpose.ROTATE_90, 2: Transpose.ROTATE_180, 3: Transpose.ROTATE_270}
    if view % 4:
        picture = picture.transpose(turns[view % 4])
    return picture.transpose(Transpose.FLIP_LEFT_RIGHT) if view >= 4 else picture
