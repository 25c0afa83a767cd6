"""Intakes and lots: which images a record set took in, and what became of each.

An intake's file lists its images sorted by lot; a lot is published with one
manifest, by hard link: of two workers that finish the same lot the first wins.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from trsllava.errors import StoreDamaged
from trsllava.records import canonical_json
from trsllava.store.files import publish, seal, unseal
from trsllava.store.layout import VERSION, IntakeRef, Layout, LotRef, SegmentRef
from trsllava.store.segments import read_line

LOT_IMAGES = 256

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LotManifest:
    """What became of a lot: its records, its quarantined images and why, all bytes' digests."""

    set: str
    lot: str
    segments: tuple[SegmentRef, ...]
    quarantined: Mapping[str, str]
    digests: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return the body of the manifest's file."""
        return {"format": "trsllava-lot", "version": VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        values = {key: body[key] for key in cls.__slots__}
        values["segments"] = tuple(SegmentRef(**ref) for ref in body["segments"])
        return cls(**values)


def read_lot(layout: Layout, set_name: str, lot: str) -> LotManifest | None:
    """Return the manifest of a lot, or None while it is not finished.

    Raises `StoreDamaged` if it is not that lot's.
    """
    path = layout.lot(set_name, lot)
    if not path.exists():
        return None
    manifest = LotManifest.from_json(unseal(path, VERSION))
    if (manifest.set, manifest.lot) != (set_name, lot):
        raise StoreDamaged(f"{path} belongs to lot {manifest.lot} of set {manifest.set}")
    return manifest


def write_intake(
    layout: Layout,
    set_name: str,
    number: int,
    groups: Iterable[Sequence[Row]],
    paths: tuple[str, ...],
    skipped: Mapping[str, int],
    notes: tuple[str, ...] = (),
) -> IntakeRef:
    """Publish the images that a set takes in and cut them in lots.

    Parameters
    ----------
    layout
        Where the store lies.
    set_name
        The record set.
    number
        The number of the commit that will name the intake.
    groups
        Rows (each with its ``image``), those of equal bytes in one group, which no lot divides.
    paths
        What was listed.
    skipped
        What is no image there, counted by reason.
    notes
        What was said about how the images are read.

    Returns
    -------
    IntakeRef
        What the commit names.
    """
    header = {"format": "trsllava-intake", "set": set_name, "number": number, "version": VERSION}
    data = bytearray(canonical_json(header) + b"\n")
    lots: list[LotRef] = []
    ids: list[str] = []
    start = len(data)

    def close_lot() -> None:
        nonlocal ids, start
        digest = hashlib.sha256("\n".join(ids).encode()).hexdigest()
        name = f"{number:08d}-{digest[:16]}"
        lots.append(LotRef(name, len(ids), min(ids), max(ids), start, len(data)))
        ids, start = [], len(data)

    for group in groups:
        for row in group:
            data += canonical_json(row) + b"\n"
            ids.append(row["image"])
        if len(ids) >= LOT_IMAGES:
            close_lot()
    if ids:
        close_lot()
    ref = IntakeRef(
        set=set_name,
        number=number,
        sha256=hashlib.sha256(data).hexdigest(),
        images=sum(lot.images for lot in lots),
        lots=tuple(lots),
        paths=paths,
        skipped=dict(sorted(skipped.items())),
        notes=notes,
    )
    publish(layout.intake(ref), bytes(data))
    return ref


def read_rows(layout: Layout, intake: IntakeRef, lot: LotRef) -> list[dict[str, Any]]:
    """Return the images of a lot as the intake lists them.

    Raises `StoreDamaged` if the list is not what the commit says.
    """
    path = layout.intake(intake)
    lines = read_line(path, lot.start, lot.end).split(b"\n")
    try:
        rows = [json.loads(line) for line in lines]
    except ValueError as error:
        raise StoreDamaged(f"{path} is damaged: {error}; run: trsllava verify") from error
    digest = hashlib.sha256("\n".join(row["image"] for row in rows).encode()).hexdigest()
    if lot.name != f"{intake.number:08d}-{digest[:16]}":
        raise StoreDamaged(f"{path} does not hold the images of lot {lot.name}")
    return rows


def publish_lot(layout: Layout, manifest: LotManifest, *, overwrite: bool = False) -> bool:
    """Publish what became of a lot; False if another worker was first."""
    path = layout.lot(manifest.set, manifest.lot)
    try:
        publish(path, seal(manifest.to_json()), overwrite=overwrite)
    except FileExistsError:
        return False
    return True


def declare_set(layout: Layout, set_name: str, identity: Mapping[str, Any]) -> None:
    """Say once what the fingerprint of a record set stands for."""
    path = layout.set_file(set_name)
    if not path.exists():
        body = {"format": "trsllava-set", "version": VERSION, "identity": dict(identity)}
        publish(path, seal(body))


def identity_of(layout: Layout, set_name: str) -> dict[str, Any]:
    """Return what the fingerprint of a record set stands for."""
    return dict(unseal(layout.set_file(set_name), VERSION)["identity"])
