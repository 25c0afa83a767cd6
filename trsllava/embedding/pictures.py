"""The pictures stage: every picture of a segment as a vector in the space of the text encoder.

Published segment by segment, so a killed run goes on where it stopped. A picture that is not at
hand, or cannot be read, gets zeros, which are near nothing, and is looked for again when asked.
"""

import hashlib
import io
import logging
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from trsllava.embedding import Embedder, load_embedder
from trsllava.errors import StoreDamaged
from trsllava.images.prefetch import prefetch
from trsllava.images.prepare import identity as preparation
from trsllava.images.source import Reading, Source, Unreadable
from trsllava.records import canonical_json
from trsllava.store.files import publish, seal, sha256_of, unseal
from trsllava.store.layout import VERSION, Layout, SegmentRef
from trsllava.store.pictures import Pictures

if TYPE_CHECKING:
    from PIL.Image import Image

log = logging.getLogger(__name__)

NOT_AT_HAND = "not at hand"
_READING = Reading(side=512)  # scenes and windows come as their source says
_BATCH = 32
_FORMAT = "trsllava-picture-vectors"

Key = TypeVar("Key")


class PictureEmbedder(Protocol):
    """A frozen image encoder whose unit vectors lie in the space of a text encoder."""

    @property
    def dimension(self) -> int:
        """The length of a vector."""

    @property
    def text_mean(self) -> NDArray[np.float32]:
        """What is taken off a text's unit vector before it is compared with a picture's."""

    def identity(self) -> Mapping[str, str | int]:
        """Return all that changes a vector; ``encoder`` names the text encoder."""

    def vectors(self, pictures: "Sequence[Image]") -> NDArray[np.float32]:
        """Encode pictures of any size."""


@dataclass(frozen=True, slots=True)
class SegmentPictures:
    """The published picture vectors of one segment; ``missing`` gives images the reason word."""

    path: Path
    sha256: str
    missing: Mapping[str, str]


def eye_fingerprint(eye: PictureEmbedder) -> str:
    """Return the short digest of all that changes a picture's vector."""
    body = {"eye": dict(eye.identity()), "reading": preparation(_READING)}
    return hashlib.sha256(canonical_json(body)).hexdigest()[:16]


def seeing_encoder(eye: Mapping[str, Any], embedder: Embedder) -> Embedder:
    """Return the text encoder in whose space an eye's vectors lie, by the eye's identity.

    It is ``embedder`` itself if that has the name.
    """
    own = str(eye["encoder"])
    return embedder if embedder.identity()["name"] == own else load_embedder(own)


def directions(texts: NDArray[np.float32], text_mean: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return where the pictures of texts lie.

    Parameters
    ----------
    texts
        Unit vectors (texts, dimension) of the text encoder; zeros for one that it cannot read.
    text_mean
        That of the eye, (dimension,).

    Returns
    -------
    NDArray[np.float32]
        Unit vectors, or zeros, of the same shape.
    """
    moved = np.where(texts.any(axis=1, keepdims=True), texts - text_mean, 0)
    lengths = np.linalg.norm(moved, axis=1, keepdims=True)
    return np.asarray(moved / np.maximum(lengths, np.float32(1e-12)), dtype=np.float32)


def look(
    eye: PictureEmbedder, found: Iterable[tuple[Key, Source | None]]
) -> Iterator[tuple[Key, NDArray[np.float32] | str]]:
    """Look at pictures, while a thread decodes the next ones.

    Parameters
    ----------
    eye
        What encodes them.
    found
        Pictures, or None for one that is not at hand.

    Yields
    ------
    tuple[Key, NDArray[np.float32] | str]
        Each one's vector, or the word that says why there is none; in order.
    """
    with closing(prefetch(((key, _open(source)) for key, source in found), 2 * _BATCH)) as opened:
        while batch := list(islice(opened, _BATCH)):
            pixels = [picture for _, picture in batch if not isinstance(picture, str)]
            vectors = iter(eye.vectors(pixels) if pixels else ())
            for key, picture in batch:
                yield key, picture if isinstance(picture, str) else next(vectors)


def _open(source: Source | None) -> "Image | str":
    from trsllava.images.opening import open_source

    if source is None:
        return NOT_AT_HAND
    try:
        return open_source(source, _READING).pixels
    except Unreadable as error:
        return error.reason
    except OSError:
        return "unreadable"


def embed_pictures(
    pictures: Pictures, segment: int, eye: PictureEmbedder, *, retry: bool = False
) -> SegmentPictures:
    """Return the picture vectors of a segment's records, looking at the pictures if need be.

    Parameters
    ----------
    pictures
        Where they are.
    segment
        The segment's number in the view.
    eye
        What encodes them.
    retry
        Whether those that have no vector yet are looked for again.

    Returns
    -------
    SegmentPictures
        As published; a file that another index names is never written over.
    """
    layout, ref = pictures.view.layout, pictures.view.segments[segment]
    key = eye_fingerprint(eye)
    vectors = np.zeros((ref.records, eye.dimension), np.float16)
    known = _published(layout, ref, key)
    if known is not None:
        if not (retry and known.missing):
            return known
        vectors = np.load(known.path, allow_pickle=False)
    started = time.monotonic()
    wanted = (
        ((row, image), source)
        for row, image, source in pictures.of_segment(segment)
        if known is None or image in known.missing
    )
    missing: dict[str, str] = {}
    looked = 0
    for (row, image), vector in look(eye, wanted):
        if isinstance(vector, str):
            missing[image] = vector
        else:
            vectors[row] = vector
            looked += 1
    rate = looked / max(time.monotonic() - started, 1e-6)
    log.info("%d pictures of %d records looked at (%.0f a second)", looked, ref.records, rate)
    return _publish(layout, ref, key, vectors, missing)


def _published(layout: Layout, ref: SegmentRef, key: str) -> SegmentPictures | None:
    """Return what is published and whole of a segment's picture vectors, or None."""
    if not layout.picture_manifest(key, ref).exists():
        return None
    known = read_pictures(layout, ref, key)
    whole = known.path.exists() and sha256_of(known.path) == known.sha256
    return known if whole else None


def _publish(
    layout: Layout,
    ref: SegmentRef,
    key: str,
    vectors: NDArray[np.float16],
    missing: Mapping[str, str],
) -> SegmentPictures:
    data = io.BytesIO()
    np.save(data, vectors, allow_pickle=False)
    digest = hashlib.sha256(data.getvalue()).hexdigest()
    publish(layout.picture_vectors(key, ref, digest), data.getvalue())
    body = {
        "format": _FORMAT,
        "version": VERSION,
        "eye": key,
        "segment": ref.sha256,
        "missing": dict(missing),
        "sha256": digest,
    }
    publish(layout.picture_manifest(key, ref), seal(body))
    return read_pictures(layout, ref, key)


def read_pictures(layout: Layout, ref: SegmentRef, key: str) -> SegmentPictures:
    """Return the newest published picture vectors of a segment.

    Raises `StoreDamaged` if their manifest belongs to another segment or eye.
    """
    manifest = layout.picture_manifest(key, ref)
    body = unseal(manifest, VERSION)
    if (body.get("segment"), body.get("eye")) != (ref.sha256, key):
        raise StoreDamaged(
            f"{manifest} belongs to another segment or light head; delete it and run: "
            "trsllava index --images"
        )
    path = layout.picture_vectors(key, ref, body["sha256"])
    return SegmentPictures(path, body["sha256"], body["missing"])


def vectors_file(manifest: Path, body: Mapping[str, Any]) -> Path:
    """Return the file that a manifest of vectors speaks of, whether of texts or of pictures."""
    pictures = body.get("format") == _FORMAT
    return manifest.with_suffix(f".{body['sha256'][:16]}.npy" if pictures else ".npy")


def say_missing(missing: Mapping[str, str]) -> str:
    """Say how many pictures have no vector, and why: ``missing`` gives images the reason word."""
    reasons = ", ".join(f"{n} {why}" for why, n in Counter(missing.values()).most_common())
    return f"{len(missing)} pictures could not be looked at ({reasons}), such as {min(missing)}"


def load_eye() -> PictureEmbedder:
    """Load the light head that ships."""
    from trsllava.light.eye import Eye

    return Eye()
