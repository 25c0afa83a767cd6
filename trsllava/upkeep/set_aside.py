"""Records that an audit takes out of search, and their way back.

What is set aside is kept as it stood, in files that ``trsllava import`` reads; the commit that
takes it out names them, so that they are verified, and neither compacted nor pruned away.
"""

import hashlib
import io
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from trsllava.audit.suspicions import Suspicion
from trsllava.errors import InputError
from trsllava.images.source import Source
from trsllava.interchange.rsrt import write_rsrt
from trsllava.jobs.twins import group_twins
from trsllava.records import Record
from trsllava.store.files import publish
from trsllava.store.layout import RECORDS_KEPT, Commit, IntakeRef
from trsllava.store.lots import read_rows, write_intake
from trsllava.store.store import Store
from trsllava.store.view import View
from trsllava.upkeep.quarantine import AUDITED

_NAMED = 3


@dataclass(frozen=True, slots=True)
class SetAside:
    """What was set aside now, and what audits had set aside before; both in images.

    ``files`` keep the records, one for each record set that had some.
    """

    images: tuple[str, ...]
    before: int
    files: tuple[Path, ...] = ()


def set_aside(store: Store, view: View, found: Iterable[Suspicion], most: int) -> SetAside:
    """Take the worst records out of search, in one commit.

    Those that audits have set aside already count: once there are ``most`` of them, nothing
    happens. A record that has changed since the audit is left alone.

    Parameters
    ----------
    store
        The store.
    view
        What was audited.
    found
        Records that look wrong, worst first.
    most
        How many records shall be set aside in all.

    Returns
    -------
    SetAside
        What was done.
    """
    with store.writing("trsllava audit --quarantine") as current:
        now = store.view(view.set)
        before = len(_set_aside(now))
        same = (suspicion for suspicion in found if _is_same(view, now, suspicion.image))
        chosen = list(islice(same, max(0, most - before)))
        if not chosen:
            return SetAside((), before)
        number = current.number + 1
        kept: dict[Path, str] = {}
        for name, records in _records(store, current.sets, [s.image for s in chosen]).items():
            data = io.BytesIO()
            write_rsrt(data, records)
            path = store.layout.bad_lines / f"{number:08d}-{name}{RECORDS_KEPT}"
            publish(path, data.getvalue())
            kept[path] = hashlib.sha256(data.getvalue()).hexdigest()
        store.commit(
            current,
            Commit(
                number=number,
                kind="audit",
                previous=current.head,
                gone=tuple(sorted(suspicion.image for suspicion in chosen)),
                quarantined={s.image: _reason(s) for s in sorted(chosen, key=lambda s: s.image)},
                bad_files={path.name: digest for path, digest in kept.items()},
            ),
        )
        return SetAside(tuple(s.image for s in chosen), before, tuple(kept))


def requeue(store: Store, records: str | None = None) -> int:
    """Let what audits have set aside wait for the captioner again, in one commit.

    Parameters
    ----------
    store
        The store.
    records
        The record set whose next captioning shall write it, the current one unless given.

    Returns
    -------
    int
        How many images.

    Raises
    ------
    InputError
        If the set never took the picture of one of them in; nothing has changed.
    """
    with store.writing("trsllava audit --requeue") as current:
        view = current if records is None else store.view(records)
        images = _set_aside(view)
        if not images:
            return 0
        listed = dict(_listed(view, set(images)))
        strange = [image for image in images if image not in listed]
        if strange:
            raise InputError(
                f"no captioner of record set {view.set} was shown the pictures of {len(strange)} "
                f"of {len(images)} images, such as {', '.join(strange[:_NAMED])}. Nothing was "
                "sent back; show them to one: "
                f"trsllava caption DIR --retry-failed --store {store.root}"
            )
        number = current.number + 1
        by_intake: defaultdict[str, list[str]] = defaultdict(list)
        intakes = {intake.name: intake for intake, _ in listed.values()}
        for image, (intake, _) in listed.items():
            by_intake[intake.name].append(image)
        again = tuple(
            write_intake(
                store.layout,
                view.set,
                number,
                _groups([listed[image][1] for image in by_intake[name]]),
                intakes[name].paths,
                intakes[name].skipped,
                intakes[name].notes,
            )
            for name in sorted(by_intake)
        )
        store.commit(
            current,
            Commit(
                number=number,
                kind="requeue",
                previous=current.head,
                gone=tuple(sorted(images)),
                intakes=again,
            ),
        )
        return len(images)


def _set_aside(view: View) -> list[str]:
    """Return the images whose record an audit took out."""
    return [image for image, why in view.refused.items() if why.startswith(AUDITED)]


def _is_same(then: View, now: View, image: str) -> bool:
    """Whether the record that was audited is still there as it was."""
    old, new = then.find(image), now.find(image)
    return old is not None and new is not None and then.line(old) == now.line(new)


def _records(store: Store, sets: Sequence[str], images: Sequence[str]) -> dict[str, list[Record]]:
    """Return the records of some images by the set that wrote them, from all sets."""
    found: defaultdict[str, dict[str, Record]] = defaultdict(dict)
    for view in map(store.view, sets):
        for image in sorted(images):
            place = view.find(image)
            if place is not None:
                found[view.segments[place.segment].set].setdefault(image, view.record(place))
    return {name: list(records.values()) for name, records in sorted(found.items())}


def _reason(suspicion: Suspicion) -> str:
    return f"{AUDITED}{suspicion.score:.2f}: {'; '.join(suspicion.reasons)}"


def _listed(
    view: View, images: set[str]
) -> Iterator[tuple[str, tuple[IntakeRef, Mapping[str, Any]]]]:
    """Yield what the intakes of the view's set list for some images, the newest last."""
    ids = sorted(images)
    for intake in view.intakes:
        if intake.set != view.set:
            continue
        for lot in intake.lots:
            if bisect_left(ids, lot.first) < bisect_right(ids, lot.last):
                for row in read_rows(view.layout, intake, lot):
                    if row["image"] in images:
                        yield row["image"], (intake, row)


def _groups(rows: Sequence[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """Yield rows of an intake, those of equal bytes together.

    None names an earlier image of the same bytes: its texts would be copied, not written anew.
    """
    fit = [Source.from_json(row) for row in rows if "unfit" not in row]
    for group in group_twins(fit):
        yield [source.to_json() for source in group]
    yield from ([row] for row in rows if "unfit" in row)
