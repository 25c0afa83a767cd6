"""Filters: what an image must be to be a hit at all."""

from dataclasses import dataclass
from datetime import datetime

from trsllava.errors import UsageError
from trsllava.index.attributes import Attributes
from trsllava.index.selector import Selector
from trsllava.records import EARLIEST, LATEST, BBox


@dataclass(frozen=True, slots=True)
class Filters:
    """Property values that must be as given, and what footprint and time (UTC) must meet."""

    where: tuple[tuple[str, str], ...] = ()
    bbox: BBox | None = None
    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse what nothing can pass."""
        if self.since and self.until and self.since > self.until:
            raise UsageError("--since is later than --until")

    def select(self, attributes: Attributes, live: Selector) -> tuple[Selector, list[str]]:
        """Return those of the ``live`` images that pass, and what to say about the filters."""
        selector = live
        notes = []
        if self.bbox is not None:
            selector &= attributes.within(self.bbox)
        if self.since or self.until:
            selector &= attributes.between(self.since or EARLIEST, self.until or LATEST)
        for key, value in self.where:
            selector &= attributes.where(key, value)
            values = attributes.properties.get(key)
            if values is None:
                known = ", ".join(sorted(attributes.properties)) or "none"
                notes.append(f"no image has a property {key!r}; known: {known}")
            elif value not in values:
                known = ", ".join(sorted(values)[:10])
                notes.append(f"no image has {key}={value}; its values are, for example: {known}")
        return selector, notes
