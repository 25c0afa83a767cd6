"""Importing records: all of a command's files in one commit, or nothing.

Lines are read once and journaled in sorted runs (`runs`); then the runs are
merged, so memory stays constant whatever the size of the files, and the lines
of one image meet wherever they stood. A killed import is finished by the same
command: it goes on after the last run in its journal.

Answers of a service that was asked about pictures (`openai_batch`) must be about
images that the store took in, if it took in any: one about another image is a
bad line. An image of which they say that it got no record is quarantined.
"""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import merge
from pathlib import Path

from trsllava.errors import InputError
from trsllava.records import canonical_json
from trsllava.store.files import publish
from trsllava.store.journal import Journal, checked_line
from trsllava.store.layout import IMPORTED, VERSION, Commit, SegmentRef
from trsllava.store.merging import Merging
from trsllava.store.runs import Progress, SetAside, entries, read_into
from trsllava.store.segments import write_segments
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
        If a line cannot be read and ``skip_bad`` is off, no line holds a record, or an image has
        another record already and ``update`` is off (a `ConflictError`). Nothing has changed then.
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
            merging = Merging(view, files, folder, update)
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


def _merge(
    store: Store, path: Path, progress: Progress, merging: Merging
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
    merging: Merging,
    progress: Progress,
) -> ImportResult:
    """Publish what the import found, if it found anything new."""
    counts, images, files = merging.counts, merging.images, merging.files
    taken = counts["added"] + counts["updated"] + counts["unchanged"]
    names = ", ".join(map(str, files))
    set_aside = merging.set_aside(progress.set_aside)
    if not taken and not set_aside:
        raise InputError(f"{names}: no records in it. Nothing was imported")
    if images is not None and taken and counts["without_picture"] == taken:
        raise InputError(
            f"--images {images} holds none of the {taken} images, for example "
            f"{images / merging.sought}. Nothing was imported; name the folder that the ids "
            "are relative to"
        )
    aside = b"".join(
        checked_line(canonical_json(_told(entry, merging.files[entry.file]))) for entry in set_aside
    )
    digest = hashlib.sha256(aside).hexdigest()
    quarantined = _quarantined(view, segments, store, merging, set_aside)
    bad_lines = sum(not e.failed and e.image not in quarantined for e in set_aside)
    idle = sum(e.failed and e.image not in quarantined for e in set_aside)
    merging.notes.update({"an answer failed about an image that has a record": idle})
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
    for note, count in (+merging.notes).most_common(_NOTES_SHOWN):
        log.warning("%s%s", note, f" ({count} times)" if count > 1 else "")
    for unknown in merging.unknown[:_NOTES_SHOWN]:
        log.warning("%s, line %d: %s", files[unknown.file], unknown.line, unknown.reason)
    if len(merging.unknown) > _NOTES_SHOWN:
        log.warning("%d more lines about unknown images", len(merging.unknown) - _NOTES_SHOWN)
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
    merging: Merging,
    set_aside: Sequence[SetAside],
) -> dict[str, str]:
    """Return why each image came without a record, for those that have none now."""
    reasons = {
        entry.image: f"{merging.files[entry.file].name}, line {entry.line}: {entry.reason}"
        for entry in set_aside
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


def _told(entry: SetAside, file: Path) -> dict[str, object]:
    """Return what is kept of a line; the same for the same line as ever."""
    kept = {**entry._asdict(), "file": str(file)}
    if not entry.failed:
        del kept["failed"]
    return kept
