"""What an eye saw of a view's pictures, on its way into a generation."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trsllava.embedding.pictures import (
    PictureEmbedder,
    SegmentPictures,
    embed_pictures,
    eye_fingerprint,
    say_missing,
)
from trsllava.index.manifest import Manifest, PictureFacts
from trsllava.store.pictures import Pictures
from trsllava.store.view import View

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Seen:
    """The picture vectors of each segment of a view, and the eye that they come from."""

    eye: PictureEmbedder
    parts: tuple[SegmentPictures, ...]

    @property
    def named(self) -> tuple[str, tuple[str, ...]]:
        """What a generation must name to answer with these vectors."""
        return eye_fingerprint(self.eye), tuple(part.sha256 for part in self.parts)

    def facts(self, segment: NDArray[np.int64], row: NDArray[np.int64]) -> PictureFacts:
        """Return what the manifest says of them.

        Parameters
        ----------
        segment
            The number of the segment of each image that is indexed.
        row
            Each image's row in it.

        Returns
        -------
        PictureFacts
            With the number of these images that have a vector, and their mean.
        """
        images, total = 0, np.zeros(self.eye.dimension)
        for number, part in enumerate(self.parts):
            file = np.load(part.path, mmap_mode="r", allow_pickle=False)
            vectors = file[row[segment == number]].astype(np.float32)
            images += int(np.count_nonzero(vectors.any(axis=1)))
            total += vectors.sum(axis=0)
        fingerprint, digests = self.named
        return PictureFacts(
            fingerprint=fingerprint,
            eye=dict(self.eye.identity()),
            vectors=digests,
            images=images,
            text_mean=tuple(float(x) for x in self.eye.text_mean),
            centre=tuple(float(x) for x in total / max(images, 1)),
        )


def look_at_all(view: View, eye: PictureEmbedder, *, again: bool) -> Seen:
    """Bring the picture vectors of a view up to date, and say which pictures have none.

    ``again`` says whether these are looked for once more.
    """
    pictures = Pictures(view)
    segments = range(len(view.segments))
    seen = Seen(eye, tuple(embed_pictures(pictures, n, eye, retry=again) for n in segments))
    if missing := _missing(view, seen):
        log.warning(
            "%s; they score by their texts alone, look again with: trsllava index --images",
            say_missing(missing),
        )
    return seen


def _missing(view: View, seen: Seen) -> Mapping[str, str]:
    """Return why images of the view have no vector; others that once had a record do not count."""
    found: dict[str, str] = {}
    for segment, part in enumerate(seen.parts):
        if part.missing:
            ids = view.sidecar(segment).ids
            live = (ids[row] for row in view.live_rows(segment))
            found |= {image: part.missing[image] for image in live if image in part.missing}
    return found


def same_pictures(manifest: Manifest, seen: Seen | None) -> bool:
    """Whether a generation answers with just these picture vectors, or as wanted with none."""
    facts = manifest.pictures
    named = None if facts is None else (facts.fingerprint, facts.vectors)
    return named == (None if seen is None else seen.named)
