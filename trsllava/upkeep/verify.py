"""Verifying: every file of a store is hashed again and held against what names it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from trsllava.embedding.pictures import vectors_file
from trsllava.errors import StoreError
from trsllava.index.manifest import Manifest, picture_files, read_all_current, read_manifest
from trsllava.store.files import TEMPORARY, sha256_of, unseal
from trsllava.store.history import commit_files
from trsllava.store.journal import payload_of
from trsllava.store.layout import RECORDS_KEPT, VERSION, Layout
from trsllava.store.segments import read_offsets
from trsllava.store.store import Store
from trsllava.store.view import View

_REPAIR = "run: trsllava index"


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify` found: how many files are sound, what is damaged, what is left over."""

    files: int
    damaged: tuple[str, ...]
    notes: tuple[str, ...]


def verify(store: Store) -> Verification:
    """Hash every file of the store but locks, and hold it against what names it."""
    checking = _Checking(store.layout)
    checking.check(store.layout.marker, lambda path: bool(unseal(path, VERSION)))
    for path in commit_files(store.layout):
        checking.check(path, lambda path: bool(unseal(path, VERSION)))
    if checking.damaged:
        return checking.result()  # nothing else can be told from a damaged log
    try:
        views = [store.view(name) for name in store.view().sets]
        answering = read_all_current(store.layout)
    except StoreError as error:
        checking.damaged.append(str(error))
        return checking.result()
    _check_intakes(checking, views[0])
    if checking.damaged:
        return checking.result()  # nor from damaged lots
    _check_records(checking, views, answering)
    _check_bad_lines(checking, views[0])
    for path in sorted(store.layout.journals.rglob("*.journal")):
        _check_journal(checking, path)
    digests = _check_vectors(checking)
    _check_generations(checking, views[0], answering, digests)
    checking.note_strays()
    return checking.result()


class _Checking:
    """Collects verdicts, and which files have been looked at."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.seen: set[Path] = {layout.lock, layout.index / "lock"}
        self.damaged: list[str] = []
        self.notes: list[str] = []
        self.files = 0

    def check(self, path: Path, sound: Callable[[Path], bool]) -> bool:
        """Count a file as sound, or say that it is damaged."""
        self.seen.add(path)
        try:
            if sound(path):
                self.files += 1
                return True
            self.damaged.append(f"{path}: its content is not what it was")
        except (StoreError, OSError) as error:
            text = str(error)
            self.damaged.append(text if str(path) in text else f"{path}: {text}")
        return False

    def check_sha256(self, path: Path, digest: str) -> bool:
        """Check a file against its digest."""
        return self.check(path, lambda path: sha256_of(path) == digest)

    def note_strays(self) -> None:
        """Say which files nothing names."""
        own = (self.layout.leases, self.layout.side)  # these vary between runs
        files = (
            path
            for path in sorted(self.layout.root.rglob("*"))
            if path.is_file() and not any(folder in path.parents for folder in own)
        )
        strays = [path for path in files if path not in self.seen]
        for path in strays:
            if path.name.endswith(TEMPORARY) or ".building-" in str(path):
                self.notes.append(f"{path}: left by a killed writer; the next one removes it")
            else:
                self.notes.append(f"{path}: nothing names it; trsllava prune may remove it")

    def result(self) -> Verification:
        """Return what was found."""
        return Verification(self.files, tuple(self.damaged), tuple(self.notes))


def _check_intakes(checking: _Checking, view: View) -> None:
    layout = checking.layout
    for intake in view.intakes:
        checking.check_sha256(layout.intake(intake), intake.sha256)
        set_file = layout.set_file(intake.set)
        if set_file not in checking.seen:
            checking.check(set_file, lambda path: bool(unseal(path, VERSION)))
        for lot in intake.lots:
            manifest = layout.lot(intake.set, lot.name)
            if manifest.exists():
                checking.check(manifest, lambda path: bool(unseal(path, VERSION)))


def _check_records(
    checking: _Checking, views: Sequence[View], answering: Sequence[Manifest]
) -> None:
    layout = checking.layout
    named = {ref.name for commit in views[0].history for ref in commit.segments}
    named |= {ref.name for manifest in answering for ref in manifest.segments}
    for view in views:
        for number, ref in enumerate(view.segments):
            named.add(ref.name)
            if layout.offsets(ref) in checking.seen:
                continue
            if checking.check_sha256(layout.offsets(ref), ref.offsets_sha256):
                checking.check_sha256(layout.segment(ref), ref.sha256)
                checking.check(layout.offsets(ref), lambda _, v=view, n=number: _agrees(v, n))  # type: ignore[misc]
    for path in sorted(path for path in layout.records.glob("*/*") if path.is_file()):
        if path in checking.seen or path.name.endswith(TEMPORARY):
            continue
        stem, _, suffix = path.name.partition(".")
        if suffix == "jsonl":
            checking.check(path, lambda path, stem=stem: sha256_of(path)[:32] == stem)  # type: ignore[misc]
        else:
            checking.check(path, lambda path: bool(unseal(path, VERSION)))
        if stem not in named:
            checking.notes.append(
                f"{path}: neither a commit nor the index names it; trsllava prune removes it"
            )


def _agrees(view: View, segment: int) -> bool:
    """Whether each line of a segment is the record that its sidecar names."""
    ref = view.segments[segment]
    offsets = read_offsets(view.layout, ref)
    ids = offsets.ids
    in_order = all(left < right for left, right in pairwise(ids))
    size = view.layout.segment(ref).stat().st_size
    return in_order and (ids[0], ids[-1], offsets.starts[-1]) == (ref.first, ref.last, size)


def _check_bad_lines(checking: _Checking, view: View) -> None:
    for name, digest in view.bad_files.items():
        checking.check_sha256(checking.layout.bad_lines / name, digest)
    for path in sorted(checking.layout.bad_lines.glob("*.jsonl")):
        if path not in checking.seen:
            if not path.name.endswith(RECORDS_KEPT):
                _check_journal(checking, path)
            checking.seen.add(path)
            checking.notes.append(f"{path}: no commit names it; trsllava prune removes it")


def _check_journal(checking: _Checking, path: Path) -> None:
    """Check each line; a line cut off at the end is what a crash leaves and no damage."""

    def sound(path: Path) -> bool:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if payload_of(line) is not None:
                    continue
                complete = payload_of(line[:-1] + b"\n") is not None
                if line.endswith(b"\n") or complete:
                    checking.damaged.append(f"{path}: line {number} is damaged")
                    return True
                checking.notes.append(
                    f"{path}: ends in a torn line; its command, run again, goes on"
                )
        return True

    checking.check(path, sound)


def _check_vectors(checking: _Checking) -> dict[Path, str]:
    """Check every file of vectors and return what their manifests say it is."""
    digests: dict[Path, str] = {}
    for path in sorted(checking.layout.vectors.glob("*/*.json")):
        if checking.check(path, lambda path: bool(unseal(path, VERSION))):
            body = unseal(path, VERSION)
            vectors = vectors_file(path, body)
            digests[vectors] = str(body["sha256"])
            checking.check_sha256(vectors, digests[vectors])
    return digests


def _check_generations(
    checking: _Checking, view: View, answering: Sequence[Manifest], digests: Mapping[Path, str]
) -> None:
    for pointer in sorted(checking.layout.index.glob("current-*")):
        checking.check(pointer, lambda path: bool(unseal(path, VERSION)))
    folders = sorted(checking.layout.index.glob("[0-9]*"))
    for folder in folders:
        if checking.check(folder / "manifest.json", lambda path: bool(unseal(path, VERSION))):
            for path, digest in _generation_files(folder):
                checking.check_sha256(path, digest)
    if not answering:
        checking.notes += [f"{folder}: does not answer yet; {_REPAIR}" for folder in folders[-1:]]
    for current in answering:
        for ref, digest in zip(current.segments, current.vectors, strict=True):
            path = checking.layout.segment_vectors(current.fingerprint, ref)
            if digests.get(path) != digest:
                checking.damaged.append(
                    f"{path}: not what index {current.name} was built from; {_REPAIR}"
                )
        for path, digest in picture_files(checking.layout, current):
            if path not in digests:  # older than the newest try, which another index may name
                checking.check_sha256(path, digest)
        if view.gone_since(current.commit, current.head) is None:
            checking.damaged.append(
                f"{checking.layout.log}: lacks commit {current.commit} of index {current.name}; "
                f"restore it from a backup, or {_REPAIR}"
            )


def _generation_files(folder: Path) -> Iterator[tuple[Path, str]]:
    for name, digest in read_manifest(folder).files.items():
        yield folder / name, digest
