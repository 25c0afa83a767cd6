"""Taking an archive in: which of its images a record set does not know yet.

One process does it, under the store's lock, and publishes the new ids; after that no worker lists
the archive again. Large archives are taken in by parts, so memory does not grow with them.
"""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from trsllava.images import notices
from trsllava.images.discover import discover
from trsllava.images.opening import open_source
from trsllava.images.source import Reading, Skipped, Source, Unfit, Unreadable
from trsllava.jobs.known import Known
from trsllava.jobs.twins import earlier_twin, group_twins, sha256_of_bytes
from trsllava.records import Metadata
from trsllava.store.layout import Commit
from trsllava.store.lots import declare_set, write_intake
from trsllava.store.store import Store
from trsllava.store.view import View

PART_IMAGES = 100_000


@dataclass(slots=True)
class Taken:
    """What an intake found: images by what became of them."""

    new: int = 0
    known: int = 0
    retried: int = 0
    updated: int = 0
    without_metadata: int = 0
    changed: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)

    @property
    def images(self) -> int:
        """How many images were found."""
        return self.new + self.known + self.retried + self.updated + len(self.changed)


@dataclass(frozen=True, slots=True)
class Wish:
    """What to take in and how."""

    paths: tuple[str, ...]
    reading: Reading
    prefix: str = ""
    update: bool = False
    retry_failed: bool = False
    metadata: Mapping[str, Metadata] | None = None

    @property
    def places(self) -> tuple[str, ...]:
        """The paths in a spelling that stays, with the prefix."""
        absolute = (str(Path(path).absolute()) for path in self.paths)
        return tuple(f"{self.prefix}={path}" if self.prefix else path for path in absolute)


def take_in(
    store: Store, set_name: str, identity: Mapping[str, Any], wish: Wish, *, follow: bool = False
) -> Taken:
    """Publish the images that the record set does not know yet, and make it the current one.

    Parameters
    ----------
    store
        The store.
    set_name
        The record set: the fingerprint of ``identity``.
    identity
        What the fingerprint stands for.
    wish
        What to take in and how.
    follow
        Whether the archive need not be listed if somebody has taken these paths in already.

    Returns
    -------
    Taken
        What was found. Images in ``changed`` are known with other bytes and were left alone.

    Raises
    ------
    InputError
        If a path does not exist or the same id stands at two places; nothing has changed.
    """
    notices.forget()
    with store.writing("trsllava caption", wait=3600.0) as current:
        view = store.view(set_name) if set_name in current.sets else None
        if follow and view is not None and _has(view, wish.places):
            return Taken()
        declare_set(store.layout, set_name, identity)
        view = view or View(store.layout, current.history, current.head, set_name)
        sorting = _Sorting(view, wish)
        chosen = sorting.chosen()
        published = False
        while part := list(itertools.islice(chosen, PART_IMAGES)):
            view = _publish(store, view, part, sorting)
            published = True
        sorting.taken.lost = list(sorting.known.lost(wish.places))
        if not published and (not _has(view, wish.places) or current.set != set_name):
            _publish(store, view, [], sorting)
        return sorting.taken


def _has(view: View, paths: tuple[str, ...]) -> bool:
    return any(i.set == view.set and i.paths == paths for i in view.intakes)


@dataclass(frozen=True, slots=True)
class _Chosen:
    """An image to take in; ``again`` if what is known of it must go."""

    found: Source | Unfit
    again: bool


class _Sorting:
    """Decides about each thing that is found, and counts."""

    def __init__(self, view: View, wish: Wish) -> None:
        self.view, self.wish = view, wish
        self.known = Known(view)
        self.taken = Taken()
        self.failed = view.quarantined if wish.retry_failed else {}

    def chosen(self) -> Iterator[_Chosen]:
        """Yield the images to take in."""
        taken = self.taken
        for found in discover(self.wish.paths, self.wish.reading, self.wish.prefix):
            if isinstance(found, Skipped):
                taken.skipped[found.reason] += found.count
                continue
            state = self.known.compare(found)
            if state == "new":
                taken.new += 1
                yield _Chosen(self._described(found), again=False)
            elif found.image in self.failed:
                taken.retried += 1
                yield _Chosen(self._described(found), again=True)
            elif isinstance(found, Source) and state == "touched" and self._has_changed(found):
                if self.wish.update:
                    taken.updated += 1
                    yield _Chosen(self._described(found), again=True)
                else:
                    taken.changed.append(found.image)
            else:
                taken.known += 1

    def _described(self, found: Source | Unfit) -> Source | Unfit:
        """Add what ``--metadata`` knows about an image; the user's word wins."""
        if self.wish.metadata is None or isinstance(found, Unfit):
            return found
        known = self.wish.metadata.get(found.image)
        if known is None:
            self.taken.without_metadata += 1
            return found
        own = found.metadata
        merged = Metadata(
            known.bbox or own.bbox,
            known.datetime or own.datetime,
            {**own.properties, **known.properties},
        )
        return replace(found, metadata=merged)

    def _has_changed(self, source: Source) -> bool:
        """Whether the record that is there was made from other bytes."""
        if self.view.find(source.image) is None:
            return False  # it waits still, or failed: whoever looks at it takes what is there
        try:
            now = (
                sha256_of_bytes(source)
                if source.rendering is None
                else open_source(source, self.wish.reading).sha256
            )
        except (OSError, Unreadable):
            return True
        return now != self.digests.get(source.image)

    @cached_property
    def digests(self) -> dict[str, str]:
        """The sha256 of what the images of finished lots were made from."""
        return {
            image: digest
            for lot in self.view.lots
            if lot.manifest is not None
            for image, digest in lot.manifest.digests.items()
            if self.view.tombs.get(image, 0) <= lot.intake.number
        }


def _publish(store: Store, view: View, part: list[_Chosen], sorting: _Sorting) -> View:
    """Publish some of the chosen images as one intake and return the state after it."""
    number = view.number + 1
    wish = sorting.wish
    intake = write_intake(
        store.layout,
        view.set,
        number,
        _rows([chosen.found for chosen in part], sorting),
        wish.places,
        sorting.taken.skipped,
        notices.said(),
    )
    folders = [Path(path).resolve() for path in wish.paths if Path(path).is_dir()]
    store.commit(
        view,
        Commit(
            number=number,
            kind="intake",
            previous=view.head,
            gone=tuple(sorted(chosen.found.image for chosen in part if chosen.again)),
            intakes=(intake,),
            current=view.set,
            images=() if wish.prefix else tuple(map(str, folders)),
        ),
    )
    return store.view(view.set)


def _rows(part: Iterable[Source | Unfit], sorting: _Sorting) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of an intake, those of equal bytes in one group."""
    sources = [found for found in part if isinstance(found, Source)]
    earlier: dict[str, str] = {}
    for group in group_twins(sources):
        rows = [source.to_json() for source in group]
        first = group[0]
        if first.window is None and sorting.known.has_size(first.size):
            earlier = earlier or {digest: image for image, digest in sorting.digests.items()}
            twin = earlier_twin(first, earlier)
            rows = [{**row, "same": twin} if twin is not None else row for row in rows]
        yield rows
    for found in part:
        if isinstance(found, Unfit):
            yield [{"image": found.image, "unfit": [found.reason, found.detail]}]
