"""What filters look at: where, when and which properties, a row an image."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from trsllava.index.selector import Selector
from trsllava.records import EARLIEST, BBox, Metadata, time_span

UNDATED = np.iinfo(np.int64).min


def microseconds(moment: datetime) -> int:
    """Return whole microseconds since the year 1, UTC."""
    return (moment - EARLIEST) // timedelta(microseconds=1)


def property_text(value: object) -> str:
    """Return the spelling of a property's value that ``--where`` is compared with."""
    return (
        value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    )


@dataclass(frozen=True, slots=True)
class Attributes:
    """What is known of each image.

    ``boxes`` is float64 (images, 4), NaN where unknown; ``spans`` int64 (images, 2) in
    microseconds, `UNDATED` where unknown; ``properties`` maps key and value to rows.
    """

    boxes: NDArray[np.float64]
    spans: NDArray[np.int64]
    properties: Mapping[str, Mapping[str, list[int]]]

    @classmethod
    def of(cls, metadata: Iterable[Metadata]) -> Self:
        """Collect the metadata of all images, in order."""
        boxes: list[tuple[float, ...]] = []
        spans: list[tuple[int, int]] = []
        properties: dict[str, dict[str, list[int]]] = {}
        for row, entry in enumerate(metadata):
            boxes.append(entry.bbox or (np.nan,) * 4)
            if entry.datetime is None:
                spans.append((UNDATED, UNDATED))
            else:
                start, end = time_span(entry.datetime)
                spans.append((microseconds(start), microseconds(end)))
            for key, value in entry.properties.items():
                properties.setdefault(key, {}).setdefault(property_text(value), []).append(row)
        return cls(
            np.array(boxes, dtype=np.float64).reshape(-1, 4),
            np.array(spans, dtype=np.int64).reshape(-1, 2),
            properties,
        )

    def save(self, folder: Path) -> None:
        """Write the three parts into a folder."""
        np.save(folder / "boxes.npy", self.boxes, allow_pickle=False)
        np.save(folder / "spans.npy", self.spans, allow_pickle=False)
        body = json.dumps(self.properties, ensure_ascii=False, sort_keys=True)
        (folder / "properties.json").write_text(body, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        properties: dict[str, Any] = json.loads((folder / "properties.json").read_text("utf-8"))
        return cls(
            np.load(folder / "boxes.npy", mmap_mode="r", allow_pickle=False),
            np.load(folder / "spans.npy", mmap_mode="r", allow_pickle=False),
            properties,
        )

    def within(self, box: BBox) -> Selector:
        """Select the images whose box meets ``box``; one without a box never does."""
        west, south, east, north = self.boxes.T
        with np.errstate(invalid="ignore"):
            meets = (south <= box.north) & (north >= box.south)
            across = np.zeros(len(west), dtype=bool)
            for left, right in _ranges(box.west, box.east):
                wraps = west > east
                plain = ~wraps & (west <= right) & (east >= left)
                across |= plain | (wraps & ((west <= right) | (east >= left)))
        return Selector(meets & across & ~np.isnan(west))

    def between(self, since: datetime, until: datetime) -> Selector:
        """Select the images whose time meets the span; an undated one never does."""
        start, end = self.spans.T
        dated = start != UNDATED
        return Selector(dated & (end >= microseconds(since)) & (start <= microseconds(until)))

    def where(self, key: str, value: str) -> Selector:
        """Select the images whose property ``key`` is spelled ``value``."""
        mask = np.zeros(len(self.spans), dtype=bool)
        mask[self.properties.get(key, {}).get(value, [])] = True
        return Selector(mask)


def _ranges(west: float, east: float) -> list[tuple[float, float]]:
    """Return one range of longitudes, or two for a box across the antimeridian."""
    return [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
