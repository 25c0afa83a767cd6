"""Removing records, and compacting what updates and removals leave."""

from collections.abc import Sequence
from dataclasses import replace

from trsllava.errors import InputError
from trsllava.store.layout import IMPORTED, SEGMENT_RECORDS, Commit
from trsllava.store.lots import publish_lot
from trsllava.store.segments import RecordLine, write_segments
from trsllava.store.store import Store
from trsllava.store.view import Place, View


def remove_images(store: Store, images: Sequence[str]) -> int:
    """Take the records of ``images`` out of the store and return how many these are.

    Raises `InputError` if one of them has no record; nothing has changed.
    """
    with store.writing("trsllava remove") as view:
        places = {image: view.find(image) for image in sorted(set(images))}
        for image, place in places.items():
            if place is None and image not in view.quarantined and not view.took_in(image):
                raise InputError(f"{image!r} is not in {store.root}. Nothing was removed")
        commit = Commit(
            number=view.number + 1,
            kind="remove",
            previous=view.head,
            gone=tuple(places),
        )
        if places:
            store.commit(view, commit)
        return len(places)


def compact(store: Store) -> tuple[int, int]:
    """Fold updates and removals into fresh segments and return how many there were and are.

    Imported segments that are full and have lost nothing stay as they are, with their vectors.
    Finished lots stay too; those that have lost images are written again without them.
    """
    with store.writing("trsllava compact"):
        view = store.view(IMPORTED)
        kept = [n for n in range(len(view.segments)) if _is_sound(view, n)]
        rest = set(range(len(view.segments))) - set(kept)
        sets = sorted({intake.set for intake in view.intakes})
        before = len(view.segments) + sum(_rewrite_lots(store.view(name)) for name in sets)
        if len(rest) < 2 and not any(c.gone for c in view.commits):
            return before, before
        segments = [view.segments[n] for n in kept]
        places = [place for place in view.places() if place.segment in rest]
        segments += write_segments(store.layout, IMPORTED, (_line(view, p) for p in places))
        store.commit(
            view,
            Commit(
                view.number + 1,
                "compact",
                view.head,
                segments=tuple(segments),
                intakes=view.intakes,
                current=store.view().set if sets else None,
                tombs={image: n for image, n in view.tombs.items() if _is_listed(view, image)},
                images=tuple(str(folder) for folder in reversed(view.image_folders)),
                quarantined=view.refused,
                bad_lines=view.bad_lines,
                bad_files=view.bad_files,
            ),
        )
        return before, before - len(view.segments) + len(segments)


def _is_sound(view: View, segment: int) -> bool:
    """Whether a segment is full and every record in it counts."""
    ref = view.segments[segment]
    return ref.records == SEGMENT_RECORDS and len(view.live_rows(segment)) == ref.records


def _is_listed(view: View, image: str) -> bool:
    """Whether an image may stand in an intake, so that its tomb is still needed."""
    lots = (lot for intake in view.intakes for lot in intake.lots)
    return any(lot.first <= image <= lot.last for lot in lots)


def _rewrite_lots(view: View) -> int:
    """Write the finished lots that have lost images again and return how many there are."""
    live: dict[int, list[Place]] = {}
    for place in view.places():
        live.setdefault(place.segment, []).append(place)
    numbers = {ref.sha256: n for n, ref in enumerate(view.segments)}
    finished = [(lot, lot.manifest) for lot in view.lots if lot.manifest is not None]
    for lot, manifest in finished:
        gone = [
            image
            for image in manifest.digests.keys() | manifest.quarantined.keys()
            if view.tombs.get(image, 0) > lot.intake.number
        ]
        if not gone:
            continue
        own = [numbers[ref.sha256] for ref in manifest.segments]
        lines = (_line(view, place) for n in own for place in live.get(n, ()))
        publish_lot(
            view.layout,
            replace(
                manifest,
                segments=tuple(write_segments(view.layout, view.set, lines)),
                quarantined={i: why for i, why in manifest.quarantined.items() if i not in gone},
                digests={i: digest for i, digest in manifest.digests.items() if i not in gone},
            ),
            overwrite=True,
        )
    return len(finished)


def _line(view: View, place: Place) -> RecordLine:
    thin = place.row in view.sidecar(place.segment).thin
    return RecordLine(place.image, thin, view.line(place))
