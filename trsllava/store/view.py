"""A view: the store as it stood after one commit. It never changes and takes no lock."""

from bisect import bisect_left, bisect_right
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from trsllava.errors import StoreDamaged
from trsllava.records import Record
from trsllava.store.layout import (
    IMPORTED,
    Commit,
    IntakeRef,
    Layout,
    LotRef,
    SegmentRef,
)
from trsllava.store.lots import LotManifest, read_lot, read_rows
from trsllava.store.segments import Offsets, parse_line, read_line, read_offsets

_SIDECARS_KEPT = 64


class Place(NamedTuple):
    """Where a live record stands."""

    image: str
    segment: int
    row: int


class Lot(NamedTuple):
    """A lot of the view's record set, and what became of it if it is finished."""

    intake: IntakeRef
    ref: LotRef
    manifest: LotManifest | None


class View:
    """The records of a store after its commit ``number``, seen through one record set.

    Imported records overlay every set. ``records``, ``quarantined`` and ``pending`` add up to
    the images.
    """

    def __init__(
        self,
        layout: Layout,
        history: tuple[Commit, ...],
        head: str | None,
        set_name: str = IMPORTED,
    ) -> None:
        """Take what was done, and the digest of the newest commit.

        Parameters
        ----------
        layout
            Where the store lies.
        history
            The commits that are kept, oldest first; the last compaction and those after it make
            the state.
        head
            The sha256 of the newest commit's file; with the finished lots it names this state.
        set_name
            The record set.
        """
        folds = [n for n, commit in enumerate(history) if commit.kind == "compact"]
        commits = history[folds[-1] :] if folds else history
        self.layout = layout
        self.history = history
        self.commits = commits
        self.head = head
        self.set = set_name
        self.intakes: tuple[IntakeRef, ...] = tuple(i for c in commits for i in c.intakes)
        self._sidecars: OrderedDict[int, Offsets] = OrderedDict()

    @cached_property
    def lots(self) -> tuple[Lot, ...]:
        """The lots of the set, as they stand when this is first asked."""
        return tuple(
            Lot(intake, ref, read_lot(self.layout, self.set, ref.name))
            for intake, ref in self._lot_refs()
        )

    def lot(self, name: str) -> Lot:
        """Return one lot of the set without a look at the others."""
        for intake, ref in self._lot_refs():
            if ref.name == name:
                return Lot(intake, ref, read_lot(self.layout, self.set, name))
        raise StoreDamaged(f"{self.layout.root} has no lot {name} in record set {self.set}")

    def _lot_refs(self) -> Iterator[tuple[IntakeRef, LotRef]]:
        for intake in self.intakes:
            if intake.set == self.set:
                yield from ((intake, ref) for ref in intake.lots)

    @cached_property
    def _born_segments(self) -> list[tuple[int, SegmentRef]]:
        """The segments, each with the number of the commit that it counts from."""
        born = [(c.number, ref) for c in self.commits for ref in c.segments]
        for lot in self.lots:
            if lot.manifest is not None:
                born += [(lot.intake.number, ref) for ref in lot.manifest.segments]
        return sorted(born, key=lambda entry: entry[0])

    @cached_property
    def segments(self) -> tuple[SegmentRef, ...]:
        """The segments of the set and of the imports, oldest first."""
        return tuple(ref for _, ref in self._born_segments)

    @cached_property
    def _born(self) -> list[int]:
        return [number for number, _ in self._born_segments]

    @property
    def sets(self) -> tuple[str, ...]:
        """The names of all record sets, the imported records' among them."""
        return tuple(sorted({IMPORTED, *(intake.set for intake in self.intakes)}))

    @property
    def number(self) -> int:
        """The number of the newest commit, 0 before the first."""
        return self.commits[-1].number if self.commits else 0

    @cached_property
    def tombs(self) -> dict[str, int]:
        """The commit since which nothing said before about an image counts."""
        found: dict[str, int] = {}
        for commit in self.commits:
            found.update(commit.tombs)
            found.update(dict.fromkeys(commit.gone, commit.number))
        return found

    @cached_property
    def _tombs_sorted(self) -> list[str]:
        return sorted(self.tombs)

    def _buried(self, born: int, first: str, last: str) -> list[str]:
        """Return the images between two ids of which a commit after ``born`` says gone."""
        ids = self._tombs_sorted
        found = ids[bisect_left(ids, first) : bisect_right(ids, last)]
        return [image for image in found if self.tombs[image] > born]

    @cached_property
    def _dead(self) -> list[frozenset[int]]:
        """The rows of each segment whose record no longer counts."""
        dead = []
        for segment, (born, ref) in enumerate(zip(self._born, self.segments, strict=True)):
            buried = self._buried(born, ref.first, ref.last)
            rows = (self.sidecar(segment).row(image) for image in buried)
            dead.append(frozenset(row for row in rows if row is not None))
        return dead

    @property
    def records(self) -> int:
        """How many images have a record."""
        return sum(r.records for r in self.segments) - sum(map(len, self._dead))

    @property
    def thin(self) -> int:
        """How many records hold fewer than fifteen texts."""
        dead = (len(rows & self.sidecar(n).thin) for n, rows in enumerate(self._dead) if rows)
        return sum(r.thin for r in self.segments) - sum(dead)

    @property
    def bad_lines(self) -> int:
        """How many lines imports have set aside."""
        return sum(c.bad_lines for c in self.commits)

    @property
    def bad_files(self) -> dict[str, str]:
        """The files that keep those lines, with their sha256."""
        return {name: digest for c in self.commits for name, digest in c.bad_files.items()}

    @property
    def image_folders(self) -> tuple[Path, ...]:
        """The folders that hold the pictures, the last given first."""
        given = [folder for commit in reversed(self.commits) for folder in commit.images]
        return tuple(Path(folder) for folder in dict.fromkeys(given))

    @cached_property
    def lot_of(self) -> Mapping[str, Lot]:
        """The lots whose records stand in a segment, by the segment's sha256."""
        finished = ((lot, lot.manifest.segments) for lot in self.lots if lot.manifest is not None)
        return {ref.sha256: lot for lot, segments in finished for ref in segments}

    def rows(self, lot: Lot) -> list[dict[str, Any]]:
        """Return the images of a lot that still count, as the intake lists them."""
        rows = read_rows(self.layout, lot.intake, lot.ref)
        gone = set(self._buried(lot.intake.number, lot.ref.first, lot.ref.last))
        return [row for row in rows if row["image"] not in gone] if gone else rows

    def row(self, image: str) -> dict[str, Any] | None:
        """Return what the intake of the set lists for an image, or None."""
        for intake, ref in self._lot_refs():
            if not ref.first <= image <= ref.last or self.tombs.get(image, 0) > intake.number:
                continue
            if image in self._lot_ids(intake, ref):
                rows = read_rows(self.layout, intake, ref)
                return next(row for row in rows if row["image"] == image)
        return None

    def digest(self, image: str) -> str | None:
        """Return the sha256 of what a captioned image's record was made from, or None."""
        for lot in self.lots:
            live = self.tombs.get(image, 0) <= lot.intake.number
            if live and lot.manifest is not None and image in lot.manifest.digests:
                return lot.manifest.digests[image]
        return None

    def images_of(self, sha256: str) -> Iterator[str]:
        """Yield the captioned images whose record was made from these bytes."""
        for lot in self.lots:
            for image, digest in lot.manifest.digests.items() if lot.manifest else ():
                if digest == sha256 and self.tombs.get(image, 0) <= lot.intake.number:
                    yield image

    @cached_property
    def pending(self) -> int:
        """How many images of the set wait for a captioner."""
        waiting = 0
        for lot in self.lots:
            if lot.manifest is None:
                buried = self._buried(lot.intake.number, lot.ref.first, lot.ref.last)
                waiting += len(self.rows(lot)) if buried else lot.ref.images
        return waiting

    @cached_property
    def refused(self) -> dict[str, str]:
        """The images that an import named without a record, and why."""
        found: dict[str, str] = {}
        for commit in self.commits:
            for image in commit.gone:
                found.pop(image, None)
            found.update(commit.quarantined)
        return {image: why for image, why in sorted(found.items()) if self.find(image) is None}

    @cached_property
    def quarantined(self) -> dict[str, str]:
        """The images that have no record, and why."""
        found = dict(self.refused)
        for lot in self.lots:
            for image, why in lot.manifest.quarantined.items() if lot.manifest else ():
                if self.tombs.get(image, 0) <= lot.intake.number:
                    found[image] = why
        return dict(sorted(found.items()))

    @property
    def skipped(self) -> Mapping[str, int]:
        """How many things were no images where the set's images came from, by reason."""
        newest = {i.paths: i.skipped for i in self.intakes if i.set == self.set}
        return sum((Counter(counts) for counts in newest.values()), Counter())

    @property
    def notes(self) -> tuple[str, ...]:
        """What was said about how the set's images are read."""
        said = (note for i in self.intakes if i.set == self.set for note in i.notes)
        return tuple(dict.fromkeys(said))

    def took_in(self, image: str) -> bool:
        """Whether any record set took the image in and it still counts there."""
        for intake in self.intakes:
            if self.tombs.get(image, 0) > intake.number:
                continue
            for ref in intake.lots:
                if ref.first <= image <= ref.last and image in self._lot_ids(intake, ref):
                    return True
        return False

    def _lot_ids(self, intake: IntakeRef, ref: LotRef) -> frozenset[str]:
        kept = self._ids.get(ref.name)
        if kept is None:
            kept = frozenset(row["image"] for row in read_rows(self.layout, intake, ref))
            self._ids[ref.name] = kept
            if len(self._ids) > _SIDECARS_KEPT:
                self._ids.popitem(last=False)
        return kept

    @cached_property
    def _ids(self) -> OrderedDict[str, frozenset[str]]:
        return OrderedDict()

    def gone_since(self, number: int, head: str | None) -> frozenset[str] | None:
        """Return the images whose record was removed or replaced after a commit.

        None says that this store never had a commit ``number`` with the digest ``head``, or
        that those after it are no longer there.
        """
        later = [c for c in self.history if c.number > number]
        if later and later[0].number > number + 1:
            return None
        if (later[0].previous if later else self.head) != head:
            return None
        return frozenset(image for commit in later for image in commit.gone)

    def sidecar(self, segment: int) -> Offsets:
        """Return the ids and offsets of a segment."""
        kept = self._sidecars.get(segment)
        if kept is None:
            kept = self._sidecars[segment] = read_offsets(self.layout, self.segments[segment])
            if len(self._sidecars) > _SIDECARS_KEPT:
                self._sidecars.popitem(last=False)
        else:
            self._sidecars.move_to_end(segment)
        return kept

    def find(self, image: str) -> Place | None:
        """Return where the record of an image stands, or None."""
        tomb = self.tombs.get(image, 0)
        for segment in range(len(self.segments) - 1, -1, -1):
            if self._born[segment] < tomb:
                return None
            ref = self.segments[segment]
            if ref.first <= image <= ref.last:
                row = self.sidecar(segment).row(image)
                if row is not None:
                    return Place(image, segment, row)
        return None

    def live_rows(self, segment: int) -> list[int]:
        """Return the rows of a segment whose record counts."""
        dead = self._dead[segment]
        return [row for row in range(self.segments[segment].records) if row not in dead]

    def places(self) -> list[Place]:
        """Return every live record's place, sorted by image id."""
        found = [
            Place(ids[row], segment, row)
            for segment in range(len(self.segments))
            for ids in (self.sidecar(segment).ids,)
            for row in self.live_rows(segment)
        ]
        found.sort()
        return found

    def line(self, place: Place) -> bytes:
        """Return a record as its canonical line."""
        starts = self.sidecar(place.segment).starts
        path = self.layout.segment(self.segments[place.segment])
        return read_line(path, starts[place.row], starts[place.row + 1])

    def record(self, place: Place) -> Record:
        """Return the record at a place.

        Raises `StoreDamaged` if another image's record stands there.
        """
        path = self.layout.segment(self.segments[place.segment])
        record = parse_line(path, self.line(place))
        if record.image != place.image:
            raise StoreDamaged(f"{path} holds {record.image} where {place.image} should be")
        return record

    def __iter__(self) -> Iterator[Record]:
        """Yield every record, sorted by image id."""
        return (self.record(place) for place in self.places())
