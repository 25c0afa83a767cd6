"""Importing records: all of a command's files in one commit, or nothing.

Lines are read once and journaled in sorted runs (`runs`); then the runs are
merged, so memory stays constant whatever the size of the files, and the lines
of one image meet wherever they stood. A killed import is finished by the same
command: it goes on after the last run in its journal.
"""

import hashlib
import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import groupby
from pathlib import Path

from trsllava.errors import ConflictError, InputError
from trsllava.interchange import assemble
from trsllava.records import canonical_json
from trsllava.store.files import publish
from trsllava.store.journal import Journal, checked_line
from trsllava.store.layout import IMPORTED, VERSION, Commit, SegmentRef
from trsllava.store.runs import Entry, Progress, entries, read_into
from trsllava.store.segments import RecordLine, write_segments
from trsllava.store.store import Store
from trsllava.store.view import View

log = logging.getLogger(__name__)

_NOTES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import did, in images; ``bad_lines`` are lines."""

    added: int
    updated: int
    unchanged: int
    quarantined: int
    bad_lines: int
    without_picture: int


def import_files(
    store: Store,
    files: Sequence[Path],
    *,
    images: Path | None = None,
    update: bool = False,
    skip_bad: bool = False,
) -> ImportResult:
    """Take the records of ``files`` into the store.

    Parameters
    ----------
    store
        Where the records go.
    files
        Record files of any form that `trsllava.interchange` reads.
    images
        The folder that holds the pictures, if they are at hand.
    update
        Whether a record may replace another one of the same image.
    skip_bad
        Whether a line that cannot be read is set aside with its reason.

    Returns
    -------
    ImportResult
        The counts.

    Raises
    ------
    InputError
        If a line is bad and ``skip_bad`` is off, no line holds a record, or an image has another
        record already and ``update`` is off (a `ConflictError`). Nothing has changed then.
    """
    if images is not None and not images.is_dir():
        raise InputError(f"--images {images} is not a folder")
    folder = images.resolve() if images is not None else None
    key = _key(files, folder, skip_bad)
    with store.writing("trsllava import") as view:
        path = store.layout.journals / f"import-{key}.journal"
        for other in store.layout.journals.glob("import-*.journal"):
            if other != path:  # its command never came back
                other.unlink()
        try:
            with Journal(path) as journal:
                progress = read_into(journal, files, folder, skip_bad)
            merging = _Merging(view, files, folder, update)
            segments = _merge(store, path, progress, merging)
            result = _commit(store, view, segments, merging, progress)
        except InputError:
            path.unlink(missing_ok=True)
            raise
        path.unlink()
    return result


def _key(files: Sequence[Path], images: Path | None, skip_bad: bool) -> str:
    """Return a digest of the command's input: another input must not resume this journal."""
    described: list[object] = [VERSION, str(images), skip_bad]
    for file in files:
        try:
            facts = file.stat()
        except OSError as error:
            raise InputError(f"{file} cannot be read: {error.strerror}") from error
        described.append([str(file.resolve()), facts.st_size, facts.st_mtime_ns])
    return hashlib.sha256(canonical_json(described)).hexdigest()[:32]


class _Merging:
    """Turns sorted entries into record lines and counts what happens to each image."""

    def __init__(
        self, view: View, files: Sequence[Path], images: Path | None, update: bool
    ) -> None:
        self.view, self.files, self.images, self.update = view, files, images, update
        self.counts: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()
        self.gone: list[str] = []
        self.sought = ""

    def lines(self, sorted_entries: Iterable[Entry]) -> Iterator[RecordLine]:
        """Yield the record of each image that is new or replaces another."""
        for image, group in groupby(sorted_entries, key=lambda entry: entry.image):
            line = self._line(image, list(group))
            if self.images is not None and not os.path.exists(self.images / image):
                self.counts["without_picture"] += 1
                self.sought = self.sought or image
            if self._is_news(line):
                yield line

    def _line(self, image: str, group: list[Entry]) -> RecordLine:
        if len(group) == 1:
            return RecordLine(image, group[0].thin, group[0].body)
        try:
            record, notes = assemble([entry.piece() for entry in group])
        except ConflictError as error:
            places = ", ".join(f"{self.files[e.file]} line {e.line}" for e in group[:3])
            raise ConflictError(f"{error} (see {places}). Nothing was imported") from error
        self.notes.update(notes)
        return RecordLine.of(record)

    def _is_news(self, line: RecordLine) -> bool:
        place = self.view.find(line.image)
        if place is not None and self.view.line(place) == line.line:
            self.counts["unchanged"] += 1
            return False
        if place is None or self.view.segments[place.segment].set != IMPORTED:
            # What was given overlays what any captioner said or would say.
            if place is not None or self.view.took_in(line.image):
                self.gone.append(line.image)
            self.counts["added"] += 1
            return True
        if not self.update:
            raise ConflictError(
                f"{line.image} has another record in the store already. Nothing was imported; "
                "replace the records of images that are there with --update"
            )
        self.counts["updated"] += 1
        self.gone.append(line.image)
        return True


def _merge(
    store: Store, path: Path, progress: Progress, merging: _Merging
) -> tuple[SegmentRef, ...]:
    """Write the merged runs as segments, which no commit names yet."""
    if not progress.end:
        return ()
    with path.open("rb") as journal:
        runs = [entries(path, journal, run) for run in progress.runs]
        return tuple(write_segments(store.layout, IMPORTED, merging.lines(merge(*runs))))


def _commit(
    store: Store,
    view: View,
    segments: tuple[SegmentRef, ...],
    merging: _Merging,
    progress: Progress,
) -> ImportResult:
    """Publish what the import found, if it found anything new."""
    counts, images = merging.counts, merging.images
    taken = counts["added"] + counts["updated"] + counts["unchanged"]
    names = ", ".join(str(file) for file in merging.files)
    if not taken and not progress.set_aside:
        raise InputError(f"{names}: no records in it. Nothing was imported")
    if images is not None and taken and counts["without_picture"] == taken:
        raise InputError(
            f"--images {images} holds none of the {taken} images, for example "
            f"{images / merging.sought}. Nothing was imported; name the folder that the ids "
            "are relative to"
        )
    aside = b"".join(
        checked_line(canonical_json({**entry._asdict(), "file": str(merging.files[entry.file])}))
        for entry in progress.set_aside
    )
    digest = hashlib.sha256(aside).hexdigest()
    quarantined = _quarantined(view, segments, store, merging, progress)
    bad_lines = sum(entry.image not in quarantined for entry in progress.set_aside)
    new_aside = bool(aside) and digest not in view.bad_files.values()
    new_folder = images is not None and images not in view.image_folders[:1]
    if segments or new_folder or new_aside or quarantined.keys() - view.quarantined.keys():
        bad_file = f"{view.number + 1:08d}.jsonl"
        if new_aside:
            publish(store.layout.bad_lines / bad_file, aside)
        commit = Commit(
            number=view.number + 1,
            kind="import",
            previous=view.head,
            segments=segments,
            gone=(*merging.gone, *filter(view.took_in, quarantined)),
            images=() if images is None else (str(images),),
            quarantined=quarantined,
            bad_lines=bad_lines if new_aside else 0,
            bad_files={bad_file: digest} if new_aside else {},
        )
        store.commit(view, commit)
    for note, count in merging.notes.most_common(_NOTES_SHOWN):
        log.warning("%s%s", note, f" ({count} times)" if count > 1 else "")
    return ImportResult(
        added=counts["added"],
        updated=counts["updated"],
        unchanged=counts["unchanged"],
        quarantined=len(quarantined),
        bad_lines=bad_lines,
        without_picture=counts["without_picture"],
    )


def _quarantined(
    view: View,
    segments: tuple[SegmentRef, ...],
    store: Store,
    merging: _Merging,
    progress: Progress,
) -> dict[str, str]:
    """Return why each image came without a record, for those that have none now."""
    reasons = {
        entry.image: f"{merging.files[entry.file].name}, line {entry.line}: {entry.reason}"
        for entry in progress.set_aside
        if entry.image is not None
    }
    if not reasons:
        return {}
    new = View(store.layout, (Commit(1, "import", None, segments=segments),), None)
    return {
        image: reason
        for image, reason in sorted(reasons.items())
        if view.find(image) is None and new.find(image) is None
    }
