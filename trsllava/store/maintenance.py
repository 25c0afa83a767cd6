"""Removing records, and compacting what updates and removals leave."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from trsllava.errors import InputError
from trsllava.store.layout import SEGMENT_RECORDS, Commit
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
            if place is None and image not in view.quarantined:
                raise InputError(f"{image!r} has no record in {store.root}. Nothing was removed")
        found = [place for place in places.values() if place is not None]
        commit = Commit(
            number=view.number + 1,
            kind="remove",
            previous=view.head,
            gone=tuple(place.image for place in found),
            gone_thin=sum(p.row in view.sidecar(p.segment).thin for p in found),
            quarantined={image: "" for image, place in places.items() if place is None},
        )
        if places:
            store.commit(view, commit)
        return len(places)


def compact(store: Store) -> tuple[int, int]:
    """Fold updates and removals into fresh segments and return how many there were and are.

    Segments that are full and have lost nothing stay as they are, with their vectors.
    """
    with store.writing("trsllava compact") as view:
        kept = [n for n in range(len(view.segments)) if _is_sound(view, n)]
        rest = set(range(len(view.segments))) - set(kept)
        before = len(view.segments)
        if len(rest) < 2 and not any(c.gone for c in view.commits):
            return before, before
        segments = [view.segments[n] for n in kept]
        for set_name, places in _places_by_set(view, rest):
            lines = (_line(view, place) for place in places)
            segments += write_segments(store.layout, set_name, lines)
        store.commit(
            view,
            Commit(
                view.number + 1,
                "compact",
                view.head,
                segments=tuple(segments),
                images=tuple(str(folder) for folder in reversed(view.image_folders)),
                quarantined=view.quarantined,
                bad_lines=view.bad_lines,
                bad_files=view.bad_files,
            ),
        )
        return before, len(segments)


def _is_sound(view: View, segment: int) -> bool:
    """Whether a segment is full and every record in it counts."""
    ref = view.segments[segment]
    return ref.records == SEGMENT_RECORDS and len(view.live_rows(segment)) == ref.records


def _places_by_set(view: View, segments: set[int]) -> Iterator[tuple[str, Iterator[Place]]]:
    """Yield the live records of some segments, set by set, sorted by image."""

    def set_of(place: Place) -> str:
        return view.segments[place.segment].set

    places = [place for place in view.places() if place.segment in segments]
    yield from groupby(sorted(places, key=lambda p: (set_of(p), p.image)), key=set_of)


def _line(view: View, place: Place) -> RecordLine:
    thin = place.row in view.sidecar(place.segment).thin
    return RecordLine(place.image, thin, view.line(place))
