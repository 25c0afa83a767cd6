"""A view: the store as it stood after one commit. It never changes and takes no lock."""

from collections import OrderedDict
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from trsllava.errors import StoreDamaged, UsageError
from trsllava.records import Record
from trsllava.store.files import sha256_of, unseal
from trsllava.store.layout import IMPORTED, VERSION, Commit, Layout, SegmentRef
from trsllava.store.segments import Offsets, parse_line, read_line, read_offsets

_SIDECARS_KEPT = 64


class Place(NamedTuple):
    """Where a live record stands."""

    image: str
    segment: int
    row: int


class View:
    """The records of a store after its commit ``number``."""

    def __init__(self, layout: Layout, history: tuple[Commit, ...], head: str | None) -> None:
        """Take what was done, and the digest of the newest commit.

        Parameters
        ----------
        layout
            Where the store lies.
        history
            The commits that are kept, oldest first; the last compaction and those after it make
            the state.
        head
            The sha256 of the newest commit's file; it names this state of the store.
        """
        folds = [n for n, commit in enumerate(history) if commit.kind == "compact"]
        commits = history[folds[-1] :] if folds else history
        self.layout = layout
        self.history = history
        self.commits = commits
        self.head = head
        self.segments: tuple[SegmentRef, ...] = tuple(r for c in commits for r in c.segments)
        self._born = [c.number for c in commits for _ in c.segments]
        self._sidecars: OrderedDict[int, Offsets] = OrderedDict()

    @property
    def number(self) -> int:
        """The number of the newest commit, 0 before the first."""
        return self.commits[-1].number if self.commits else 0

    @property
    def records(self) -> int:
        """How many images have a record."""
        return sum(r.records for r in self.segments) - sum(len(c.gone) for c in self.commits)

    @property
    def thin(self) -> int:
        """How many records hold fewer than fifteen texts."""
        return sum(r.thin for r in self.segments) - sum(c.gone_thin for c in self.commits)

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
    def quarantined(self) -> dict[str, str]:
        """The images without a record that came with a reason for it."""
        found: dict[str, str] = {}
        for commit in self.commits:
            found.update(commit.quarantined)
            for image in commit.gone:
                found.pop(image, None)
        return {
            image: why for image, why in sorted(found.items()) if why and self.find(image) is None
        }

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
        end = len(self.segments)
        for commit in reversed(self.commits):
            start = end - len(commit.segments)
            for segment in range(start, end):
                ref = self.segments[segment]
                if ref.first <= image <= ref.last:
                    row = self.sidecar(segment).row(image)
                    if row is not None:
                        return Place(image, segment, row)
            end = start
            if image in self._gone(commit):
                return None
        return None

    def _gone(self, commit: Commit) -> frozenset[str]:
        return self._gone_sets[commit.number]

    @cached_property
    def _gone_sets(self) -> dict[int, frozenset[str]]:
        return {commit.number: frozenset(commit.gone) for commit in self.commits}

    def live_rows(self, segment: int) -> list[int]:
        """Return the rows of a segment whose record counts."""
        later = [self._gone(c) for c in self.commits if c.gone and c.number > self._born[segment]]
        ids = self.sidecar(segment).ids
        if not later:
            return list(range(len(ids)))
        gone = frozenset().union(*later)
        return [row for row, image in enumerate(ids) if image not in gone]

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


def read_view(layout: Layout, records: str | None = None) -> View:
    """Read the newest state of a store.

    Raises `UsageError` if it has no record set of the name ``records``. `StoreDamaged` if a
    commit is damaged, or one is missing between others.
    """
    if records not in (None, IMPORTED):
        raise UsageError(f"no record set {records!r} in {layout.root}; it has: {IMPORTED}")
    commits: list[Commit] = []
    head: str | None = None
    for path in commit_files(layout):
        commit = Commit.from_json(unseal(path, VERSION))
        expected = commits[-1].number + 1 if commits else commit.number
        if path != layout.commit(commit.number) or commit.number != expected:
            raise StoreDamaged(f"{layout.log} lacks the commit before {path.name}; restore it")
        if commits and commit.previous != head:
            raise StoreDamaged(f"{path} does not follow the commit before it; restore both")
        head = sha256_of(path)
        commits.append(commit)
    # What prune leaves begins anywhere before a compaction, which stands for all before it.
    if commits and commits[0].number != 1 and all(c.kind != "compact" for c in commits):
        raise StoreDamaged(
            f"{layout.log} lacks the commits before {commits[0].number}; restore them"
        )
    return View(layout, tuple(commits), head)


def commit_files(layout: Layout) -> list[Path]:
    """Return the files of all commits, oldest first."""
    return sorted(layout.log.glob("[0-9]*.json"))
