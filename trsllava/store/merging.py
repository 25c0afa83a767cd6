"""Merging what an import read: one record an image, and what happens to each."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from trsllava.errors import ConflictError
from trsllava.interchange import assemble
from trsllava.interchange.pieces import RAW_KEPT
from trsllava.records import Metadata
from trsllava.store.answers import Awaited
from trsllava.store.layout import IMPORTED
from trsllava.store.runs import Entry, SetAside
from trsllava.store.segments import RecordLine
from trsllava.store.view import View


class Merging:
    """Turns sorted entries into record lines and counts what happens to each image."""

    def __init__(
        self, view: View, files: Sequence[Path], images: Path | None, update: bool
    ) -> None:
        """Prepare to merge.

        Parameters
        ----------
        view
            The newest state.
        files
            What the entries were read from.
        images
            The folder that holds the pictures, if they are at hand.
        update
            Whether a record may replace another one of the same image.
        """
        self.view, self.files, self.images, self.update = view, files, images, update
        self.counts: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()
        self.gone: list[str] = []
        self.sought = ""
        self.awaited = Awaited(view)
        self.unknown: list[SetAside] = []

    def lines(self, sorted_entries: Iterable[Entry]) -> Iterator[RecordLine]:
        """Yield the record of each image that is new or replaces another."""
        for image, group in groupby(sorted_entries, key=lambda entry: entry.image):
            known = self._known(image, list(group))
            if not known:
                continue
            line = self._line(image, known)
            if self.images is not None and not os.path.exists(self.images / image):
                self.counts["without_picture"] += 1
                self.sought = self.sought or image
            if self._is_news(line):
                yield line

    def _known(self, image: str, group: list[Entry]) -> list[Entry]:
        """Set aside answers about an image that nobody asked about; return the other entries."""
        if not any(entry.answer for entry in group) or self.awaited.knows(image):
            return group
        self.unknown += [
            _unknown(SetAside(entry.file, entry.line, "", image, entry.body.decode()[:RAW_KEPT]))
            for entry in group
            if entry.answer
        ]
        return [entry for entry in group if not entry.answer]

    def _line(self, image: str, group: list[Entry]) -> RecordLine:
        answer = any(entry.answer for entry in group)
        if len(group) == 1 and not answer:
            return RecordLine(image, group[0].thin, group[0].body)
        try:
            record, notes = assemble([entry.piece() for entry in group])
        except ConflictError as error:
            places = ", ".join(f"{self.files[e.file]} line {e.line}" for e in group[:3])
            raise ConflictError(f"{error} (see {places}). Nothing was imported") from error
        self.notes.update(notes)
        if answer and record.metadata == Metadata():
            record = replace(record, metadata=self.awaited.metadata(image))
        return RecordLine.of(record)

    def set_aside(self, lines: Iterable[SetAside]) -> list[SetAside]:
        """Return the lines that gave no record, in order, once all are merged.

        Those that say that an image failed which nobody asked about are unknown too.
        """
        known = []
        for line in lines:
            if line.failed and line.image is not None and not self.awaited.knows(line.image):
                self.unknown.append(_unknown(line))
            else:
                known.append(line)
        self.unknown.sort(key=_place)
        return sorted([*known, *self.unknown], key=_place)

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


def _unknown(line: SetAside) -> SetAside:
    """Return the line as a bad one, which no image is quarantined for."""
    reason = f"unknown custom_id {str(line.image)[:200]!r}: no such image was taken in"
    return line._replace(reason=reason, image=None, failed=False)


def _place(line: SetAside) -> tuple[int, int]:
    return line.file, line.line
