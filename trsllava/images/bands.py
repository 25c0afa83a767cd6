"""Which bands of a raster are its red, green and blue.

In this order: what the user says; what the bands are called (``red``, ``r``, Sentinel-2's
``B04``, ...), since a name was given on purpose; their colour interpretation, which programs
also write by default; a palette or one or two bands are one band in grey (or its palette's
colours); of three or more the first three, which is said aloud.
"""

import logging
import re
from collections.abc import Sequence
from typing import Any

from trsllava.errors import UsageError
from trsllava.images.notices import say_once
from trsllava.untrusted import printable

log = logging.getLogger(__name__)

Bands = tuple[int, int, int]

_NAMES = ({"red", "r", "b04"}, {"green", "g", "b03"}, {"blue", "b", "b02"})
_COLOURS = ("red", "green", "blue")
# "red edge", "near infra-red" and "coastal blue" are not the colours that their names end in.
_OTHER = {"edge", "rededge", "infra", "infrared", "near", "nir", "swir", "short", "coastal"}


def choose_bands(dataset: Any, path: str, wanted: Bands | None) -> Bands:
    """Return the bands (from 1) to show as red, green and blue.

    Raises `UsageError` if the wanted ones are not there.
    """
    if wanted is not None:
        if not all(1 <= band <= dataset.count for band in wanted):
            raise UsageError(
                f"--bands {','.join(map(str, wanted))}: {printable(path)} has the bands "
                f"1 to {dataset.count}"
            )
        return wanted
    colours = [interpretation.name.lower() for interpretation in dataset.colorinterp]
    shown = [
        band for band, colour in enumerate(colours, start=1) if not is_alpha(dataset, band, colour)
    ] or [1]
    if colours[0] == "palette" or len(shown) == 1:
        return (shown[0],) * 3
    named = _by_name(_descriptions(dataset))
    if named:
        return named
    told = all(colour in colours for colour in _COLOURS)
    if told:
        chosen: Bands = tuple(colours.index(colour) + 1 for colour in _COLOURS)  # type: ignore[assignment]
    elif len(shown) == 2:
        chosen = (shown[0],) * 3
    else:
        chosen = (shown[0], shown[1], shown[2])
    if not told or (chosen == (1, 2, 3) and dataset.count > 3):
        _say(path, dataset.count, chosen)
    return chosen


def is_alpha(dataset: Any, band: int, colour: str) -> bool:
    """Tell whether a band says where there is data.

    Programs take the fourth band of any 8-bit raster for alpha; its name knows better.
    """
    name = _descriptions(dataset)[band - 1]
    return colour == "alpha" and (not name or bool({"alpha", "mask"} & _words(name)))


def _descriptions(dataset: Any) -> Sequence[str | None]:
    """Return what the bands are called; nothing where that is not UTF-8."""
    try:
        return list(dataset.descriptions)
    except UnicodeDecodeError:
        return [None] * dataset.count


def _by_name(descriptions: Sequence[str | None]) -> Bands | None:
    """Return the bands that are called red, green and blue, exactly or among other words."""
    names = [(description or "").strip().lower() for description in descriptions]
    words = [_words(name) for name in names]
    found = []
    for known in _NAMES:
        exact = [band for band, name in enumerate(names, start=1) if name in known]
        # A single letter is a name only when it stands alone.
        loose = [
            band
            for band, parts in enumerate(words, start=1)
            if {word for word in known if len(word) > 1} & parts and not _OTHER & parts
        ]
        if not exact and not loose:
            return None
        found.append((exact or loose)[0])
    return found[0], found[1], found[2]


def _words(name: str) -> set[str]:
    return set(re.split(r"[\W_]+", name.lower()))


def _say(path: str, count: int, bands: Bands) -> None:
    """Say once a job which bands were taken."""
    if len(set(bands)) == 1:
        taken = f"band {bands[0]} is shown in grey"
    else:
        taken = f"bands {','.join(map(str, bands))} are shown as red, green, blue"
    say_once(
        log,
        f"bands {count} {bands}",
        f"{printable(path)} (and others like it) has {count} bands: {taken}; "
        "choose others with --bands R,G,B",
    )


__all__ = ["Bands", "choose_bands", "is_alpha"]
