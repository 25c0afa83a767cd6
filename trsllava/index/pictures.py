"""The picture vectors of a generation: how well pictures answer texts, and one another."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trsllava.embedding.pictures import directions
from trsllava.errors import StoreDamaged
from trsllava.index.dense import TextVectors
from trsllava.index.manifest import PictureFacts
from trsllava.store.layout import Layout, SegmentRef


class PictureVectors:
    """One vector an image, zeros for an image whose picture could not be looked at."""

    def __init__(
        self,
        files: Sequence[NDArray[np.float16]],
        segment: NDArray[np.int64],
        row: NDArray[np.int64],
        text_mean: NDArray[np.float32],
        centre: NDArray[np.float32],
    ) -> None:
        """Take the memory-mapped files and the places of the images.

        Parameters
        ----------
        files
            One (records, dimension) array a segment.
        segment
            The file of each image.
        row
            The vector of each image.
        text_mean
            What is taken off a text's unit vector, (dimension,).
        centre
            The mean of the vectors that are there, (dimension,).
        """
        self._vectors = TextVectors(files, segment, row, np.ones_like(row))
        self._text_mean, self._centre = text_mean, centre

    def directions(self, texts: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return where the pictures of texts lie (`trsllava.embedding.pictures.directions`)."""
        return directions(texts, self._text_mean)

    def scores(self, texts: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return how well pictures answer texts.

        Parameters
        ----------
        texts
            Unit vectors of the text encoder, or zeros, (texts, dimension).
        rows
            The images, ascending.

        Returns
        -------
        NDArray[np.float32]
            Cosines, (texts, len(rows)). An image without a vector gets the mean of all that have
            one, so that its texts alone decide.
        """
        return self.cosines(self.directions(texts), rows)

    def cosines(
        self, directions: NDArray[np.float32], rows: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Return what `scores` does, for vectors that lie in the pictures' space already."""
        found = np.empty((len(directions), len(rows)), dtype=np.float32)
        typical = directions @ self._centre
        for block in self._vectors.blocks(rows):
            at = np.searchsorted(rows, block.rows)
            found[:, at] = directions @ block.vectors.T
            found[:, at[~block.vectors.any(axis=1)]] = typical[:, None]
        return found

    def vector(self, row: int) -> NDArray[np.float32] | None:
        """Return the vector of one image, or None if it has none."""
        (vector,) = self._vectors.of(row)
        return vector if vector.any() else None

    def first_twins(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return for each of ``rows`` the place in it of the first image with an equal vector."""
        return self._vectors.first_twins(rows)


def open_pictures(
    layout: Layout,
    facts: PictureFacts,
    segments: Sequence[SegmentRef],
    segment: NDArray[np.int64],
    row: NDArray[np.int64],
) -> PictureVectors:
    """Memory-map the picture vectors of a generation.

    Parameters
    ----------
    layout
        Where the store lies.
    facts
        Which vectors.
    segments
        The segments of the generation.
    segment
        The number of each image's segment.
    row
        Each image's row in it.

    Returns
    -------
    PictureVectors
        Of the images, in their order.

    Raises
    ------
    StoreDamaged
        If a file is missing or has another shape than its segment needs.
    """
    files = []
    for ref, digest in zip(segments, facts.vectors, strict=True):
        path = layout.picture_vectors(facts.fingerprint, ref, digest)
        try:
            file = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise StoreDamaged(
                f"{path} cannot be read ({error}); run: trsllava index --images"
            ) from error
        if file.dtype != np.float16 or file.shape != (ref.records, len(facts.text_mean)):
            raise StoreDamaged(
                f"{path} is {file.dtype} {file.shape}, float16 ({ref.records}, "
                f"{len(facts.text_mean)}) expected; run: trsllava index --images"
            )
        files.append(file)
    mean, centre = (np.array(v, dtype=np.float32) for v in (facts.text_mean, facts.centre))
    return PictureVectors(files, segment, row, mean, centre)
