"""A generation: everything that answers queries, opened together and checked.

::

    manifest.json      what it was built from, sealed (see `trsllava.index.manifest`)
    ids.json           the image ids, ascending; an image's place here is its row
    places.npy         int64 (images, 6): segment, row in it, first text and number of texts
                       in the segment's vectors, first and last byte of its line
    boxes.npy, spans.npy, properties.json    see `trsllava.index.attributes`
    words/             see `trsllava.index.words`
    ivf.faiss          where there are many texts

The vectors of the texts and of the pictures stay where their stages published them.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trsllava.errors import IndexUnusable, StoreDamaged
from trsllava.index.attributes import Attributes
from trsllava.index.dense import FlatIndex, IvfIndex, TextVectors, VectorIndex
from trsllava.index.manifest import Manifest, current_folder, indexed_images, read_manifest
from trsllava.index.pictures import PictureVectors, open_pictures
from trsllava.index.scoring import Scale
from trsllava.index.words import Words
from trsllava.records import Record
from trsllava.store.files import sha256_of
from trsllava.store.layout import Layout
from trsllava.store.segments import parse_line, read_line

_CHECKED_BYTES = 64 << 20  # what is larger is left to `trsllava verify`
SEGMENT, ROW, TEXT, TEXTS, BYTE, END = range(6)


@dataclass(frozen=True, slots=True)
class Generation:
    """An opened generation; a row is an image, in the order of ``images``.

    ``pictures`` is None where the index was made without them.
    """

    layout: Layout
    manifest: Manifest
    images: tuple[str, ...]
    places: NDArray[np.int64]
    attributes: Attributes
    words: Words
    vectors: TextVectors
    pictures: PictureVectors | None
    index: VectorIndex
    scale: Scale

    def record(self, row: int) -> Record:
        """Return the record of an image as it was indexed, in one read.

        Raises `StoreDamaged` if another image's record stands there.
        """
        place = self.places[row]
        path = self.layout.segment(self.manifest.segments[place[SEGMENT]])
        record = parse_line(path, read_line(path, int(place[BYTE]), int(place[END])))
        if record.image != self.images[row]:
            raise StoreDamaged(
                f"{path} holds {record.image!r} where {self.images[row]!r} should be"
            )
        return record


def open_generation(layout: Layout, records: str) -> Generation:
    """Open the generation that answers for a record set.

    Raises `IndexUnusable` if there is none yet.
    """
    folder = current_folder(layout, records)
    if folder is None:
        raise IndexUnusable(
            f"{layout.root} has no index of the record set {records} yet; make it with: "
            f"trsllava index --store {layout.root} --records {records} (and --images to search "
            "by pictures too)"
        )
    return load_generation(layout, folder)


def load_generation(layout: Layout, folder: Path) -> Generation:
    """Open the generation in ``folder`` and check that its parts belong together.

    Raises `StoreDamaged` if a part is missing or of another size than the manifest says.
    """
    manifest = read_manifest(folder)
    for name, digest in manifest.files.items():
        path = folder / name
        sound = path.is_file() and (
            path.stat().st_size > _CHECKED_BYTES or sha256_of(path) == digest
        )
        if not sound:
            raise StoreDamaged(f"{path} is damaged; run: trsllava index")
    try:
        images = indexed_images(folder)
        places = np.load(folder / "places.npy", mmap_mode="r", allow_pickle=False)
        attributes = Attributes.load(folder)
        words = Words.load(folder / "words")
        vectors = open_vectors(layout, manifest, places)
        pictures = None
        if manifest.pictures is not None:
            pictures = open_pictures(
                layout, manifest.pictures, manifest.segments, places[:, SEGMENT], places[:, ROW]
            )
        index = IvfIndex.load(folder / "ivf.faiss") if manifest.kind == "ivf" else FlatIndex()
        scale = Scale.from_json(manifest.scale)
    except (OSError, ValueError, KeyError) as error:
        raise StoreDamaged(f"{folder} is damaged ({error}); run: trsllava index") from error
    sizes = (len(images), len(places), len(attributes.spans), len(attributes.boxes), words.images)
    if set(sizes) != {manifest.images} or int(places[:, TEXTS].sum()) != manifest.texts:
        raise StoreDamaged(f"{folder} is a mix of two builds; run: trsllava index")
    return Generation(
        layout=layout,
        manifest=manifest,
        images=images,
        places=places,
        attributes=attributes,
        words=words,
        vectors=vectors,
        pictures=pictures,
        index=index,
        scale=scale,
    )


def open_vectors(layout: Layout, manifest: Manifest, places: NDArray[np.int64]) -> TextVectors:
    """Memory-map the vectors of a generation.

    Raises `StoreDamaged` if a file has another shape than its segment needs.
    """
    files = []
    for number, ref in enumerate(manifest.segments):
        path = layout.segment_vectors(manifest.fingerprint, ref)
        try:
            file = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise StoreDamaged(f"{path} cannot be read ({error}); run: trsllava index") from error
        mine = places[places[:, SEGMENT] == number]
        needed = int((mine[:, TEXT] + mine[:, TEXTS]).max(initial=0))
        if file.dtype != np.float16 or file.ndim != 2:
            raise StoreDamaged(f"{path} holds no vectors of texts; run: trsllava verify")
        if file.shape[1] != manifest.dimension or len(file) < needed:
            raise StoreDamaged(
                f"{path} is {file.shape}, at least ({needed}, {manifest.dimension}) expected; "
                "delete it and run: trsllava index"
            )
        files.append(file)
    return TextVectors(files, places[:, SEGMENT], places[:, TEXT], places[:, TEXTS])
