"""The manifest of an index generation, and which generation answers."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

from trsllava.errors import StoreDamaged
from trsllava.store.files import publish, seal, sha256_of, unseal
from trsllava.store.layout import VERSION, Layout, SegmentRef

Kind = Literal["flat", "ivf"]
_CURRENT = "current-"


@dataclass(frozen=True, slots=True)
class PictureFacts:
    """Which picture vectors a generation answers with.

    ``vectors`` is the sha256 of those of each segment, ``images`` counts the images that have
    one, ``text_mean`` is taken off a text's unit vector before it is compared with them,
    ``centre`` their mean, by which an image without a vector scores.
    """

    fingerprint: str
    eye: Mapping[str, Any]
    vectors: tuple[str, ...]
    images: int
    text_mean: tuple[float, ...]
    centre: tuple[float, ...]

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` made."""
        lists = {key: tuple(body[key]) for key in ("vectors", "text_mean", "centre")}
        return cls(**{**body, **lists})


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a generation was built from and what its files must be.

    ``records`` is the record set, ``commit`` and ``head`` name the state of the store,
    ``vectors`` the sha256 of the vectors of each of ``segments``, ``canary`` is the vector of a
    fixed text as this machine computed it. ``pictures`` is None where the index was made without.
    """

    name: str
    records: str
    kind: Kind
    commit: int
    head: str | None
    embedder: Mapping[str, Any]
    fingerprint: str
    dimension: int
    images: int
    texts: int
    thin: int
    too_long: Mapping[str, int]
    segments: tuple[SegmentRef, ...]
    vectors: tuple[str, ...]
    scale: Mapping[str, Any]
    canary: tuple[float, ...]
    files: Mapping[str, str]
    pictures: PictureFacts | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the body of the manifest's file."""
        return {"format": "trsllava-index", "version": VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        values = {key: body[key] for key in cls.__slots__ if key != "pictures"}
        values["segments"] = tuple(SegmentRef(**ref) for ref in body["segments"])
        values["vectors"] = tuple(body["vectors"])
        values["canary"] = tuple(body["canary"])
        if body.get("pictures"):
            values["pictures"] = PictureFacts.from_json(body["pictures"])
        return cls(**values)


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of the generation in ``folder``."""
    return Manifest.from_json(unseal(folder / "manifest.json", VERSION))


def current_folder(layout: Layout, records: str) -> Path | None:
    """Return the folder of the generation that answers for a record set, or None.

    Raises `StoreDamaged` if that generation is not the one that was made current.
    """
    pointer = _pointer(layout, records)
    if not pointer.exists():
        return None
    body = unseal(pointer, VERSION)
    folder = layout.index / str(body["name"])
    manifest = folder / "manifest.json"
    if not manifest.is_file() or sha256_of(manifest) != body["manifest_sha256"]:
        raise StoreDamaged(f"{folder} is not the generation made current; run: trsllava index")
    return folder


def read_current(layout: Layout, records: str) -> Manifest | None:
    """Return the manifest of the generation that answers for a record set, or None."""
    folder = current_folder(layout, records)
    return None if folder is None else read_manifest(folder)


def read_all_current(layout: Layout) -> list[Manifest]:
    """Return the manifests of all generations that answer for some record set."""
    pointers = sorted(layout.index.glob(f"{_CURRENT}*"))
    found = [read_current(layout, path.name.removeprefix(_CURRENT)) for path in pointers]
    return [manifest for manifest in found if manifest is not None]


def picture_files(layout: Layout, manifest: Manifest) -> Iterator[tuple[Path, str]]:
    """Yield the files of the picture vectors that a generation answers with, and their sha256."""
    facts = manifest.pictures
    if facts is not None:
        for ref, digest in zip(manifest.segments, facts.vectors, strict=True):
            yield layout.picture_vectors(facts.fingerprint, ref, digest), digest


def _pointer(layout: Layout, records: str) -> Path:
    return layout.index / f"{_CURRENT}{records}"


def indexed_images(folder: Path) -> tuple[str, ...]:
    """Return the ids of the images in a generation, ascending.

    Raises `StoreDamaged` if their file cannot be read.
    """
    path = folder / "ids.json"
    try:
        return tuple(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise StoreDamaged(f"{path} is damaged ({error}); run: trsllava index") from error


def make_current(layout: Layout, folder: Path, records: str) -> None:
    """Let the generation in ``folder`` answer for a record set from now on: one rename."""
    body = {
        "format": "trsllava-current",
        "version": VERSION,
        "name": folder.name,
        "manifest_sha256": sha256_of(folder / "manifest.json"),
    }
    publish(_pointer(layout, records), seal(body))
