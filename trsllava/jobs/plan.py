"""What a run would do: images, lots, tokens and cost, without asking any captioner."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from trsllava.captioning.prompts import load_prompt
from trsllava.images.discover import discover
from trsllava.images.source import Skipped
from trsllava.jobs.intake import Wish
from trsllava.jobs.known import Known
from trsllava.store.layout import Layout
from trsllava.store.lots import LOT_IMAGES
from trsllava.store.store import open_store

# Rough, for a picture of 1,024 pixels and a record of 15 texts; servers differ by a factor of two.
_PICTURE_TOKENS = 1400
_RECORD_TOKENS = 800
_LETTERS_A_TOKEN = 4


def plan(
    root: Path, wish: Wish, price: tuple[float, float] | None, prompt: str | None
) -> Iterator[str]:
    """Yield what a run would do, line by line.

    Parameters
    ----------
    root
        The store's directory, which need not be there yet.
    wish
        What to take in.
    price
        What a million tokens cost, in and out.
    prompt
        The prompt's name or file.

    Yields
    ------
    str
        A line.
    """
    known = Known(open_store(root).view()) if Layout(root).marker.is_file() else None
    states: Counter[str] = Counter()
    skipped: Counter[str] = Counter()
    for found in discover(wish.paths, wish.reading, wish.prefix):
        if isinstance(found, Skipped):
            skipped[found.reason] += found.count
        else:
            states[known.compare(found) if known else "new"] += 1
    new = states["new"]
    yield f"images     {states.total()}, {new} of them not in the store's current record set"
    yield f"skipped    {', '.join(f'{why} {n}' for why, n in skipped.most_common()) or 'none'}"
    yield f"lots       about {-(-new // LOT_IMAGES)} of {LOT_IMAGES} images; as many can be shards"
    asked = _PICTURE_TOKENS + len(load_prompt(prompt or "rsrt").text) // _LETTERS_A_TOKEN
    yield f"tokens     about {new * asked} in, {new * _RECORD_TOKENS} out"
    if price is not None:
        cost = (new * asked * price[0] + new * _RECORD_TOKENS * price[1]) / 1e6
        yield f"cost       about {cost:.2f}"
