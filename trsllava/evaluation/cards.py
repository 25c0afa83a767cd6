"""The cards in ``datasets/``: what is known of each dataset, in a form that can be checked."""

import tomllib
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from trsllava.errors import InputError
from trsllava.resources import find

KNOWN = ("rsicd", "rsitmd", "ucm", "sydney", "nwpu")
OWN = "own"  # the name to give for annotations of one's own, which no card describes


class Counts(NamedTuple):
    """How many images and captions a split holds, empty captions included."""

    images: int
    captions: int


@dataclass(frozen=True, slots=True)
class Card:
    """What a dataset's card says that a program can use."""

    key: str
    name: str
    form: Literal["karpathy", "nwpu"]
    splits: dict[str, Counts]


def card(name: str) -> Card | None:
    """Return the card of a dataset, or None for annotations of one's own (`OWN`).

    Raises `InputError` if no card has that name.
    """
    wanted = _plain(name)
    if wanted == OWN:
        return None
    for key in KNOWN:
        body = _load(key)
        if wanted in (key, *(_plain(alias) for alias in (body["name"], *body["aliases"]))):
            splits = {
                split: Counts(counts["images"], counts["captions"])
                for split, counts in body["splits"].items()
            }
            return Card(key, body["name"], body["form"], splits)
    raise InputError(
        f"no dataset is called {name!r}; known are {', '.join(KNOWN)}, "
        f"and '{OWN}' for annotations of your own in the form of RSICD"
    )


def described_by(stated: str | None) -> Card | None:
    """Return the card of the name that an annotation file states, None if there is none."""
    plain = _plain(stated or "")
    return card(plain) if plain != OWN and plain in _names() else None


def _names() -> set[str]:
    bodies = [(key, _load(key)) for key in KNOWN]
    return {_plain(name) for key, b in bodies for name in (key, b["name"], *b["aliases"])}


def _load(key: str) -> dict[str, Any]:
    return tomllib.loads(find(f"datasets/{key}.toml").read_text(encoding="utf-8"))


def _plain(name: str) -> str:
    return name.strip().lower().replace("-", "").replace("_", "").replace(" ", "")
