"""What a scene knows about itself, and the job that a painter of one kind is given."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from .canvas import Canvas
from .noise import SIZE

_COMPASS = (
    "east",
    "southeast",
    "south",
    "southwest",
    "west",
    "northwest",
    "north",
    "northeast",
)
_SMALL = (
    "no",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that is certainly true of a scene; the texts say nothing else.

    ``counts`` are of whole things ("ships": 5), ``places`` are compass words or "centre",
    ``colours`` and ``phrases`` are words as they stand in a text. ``story`` names the set of
    sentences that fits, where a kind has several (a harbour with and without ships).
    """

    kind: str
    story: str
    counts: Mapping[str, int] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    colours: Mapping[str, str] = field(default_factory=dict)
    phrases: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Job:
    """A canvas to paint on, the scene's random numbers, and what somebody wants in it."""

    canvas: Canvas
    rng: np.random.Generator
    wanted: Mapping[str, int | str]

    def number(self, key: str, low: int, high: int) -> int:
        """Return the wanted count, or a random one from `low` to `high`."""
        drawn = int(self.rng.integers(low, high + 1))
        return int(self.wanted.get(key, drawn))

    def choice(self, key: str, options: Sequence[str]) -> str:
        """Return the wanted word, or a random one."""
        drawn = options[int(self.rng.integers(len(options)))]
        return str(self.wanted.get(key, drawn))

    def chance(self, share: float) -> bool:
        """Return True in that share of cases."""
        return bool(self.rng.random() < share)


def in_words(number: int) -> str:
    """Return a whole number below 100 in words, 0 as "no"; larger ones in figures."""
    if number < 20:
        return _SMALL[number]
    if number >= 100:
        return str(number)
    tens, ones = divmod(number, 10)
    return _TENS[tens - 2] + (f"-{_SMALL[ones]}" if ones else "")


def counted(thing: str, number: int) -> str:
    """Return "five ships", "one ship" or "no ships" for a plural noun and its count."""
    noun = thing.replace("_", " ")
    if number == 1:
        noun = noun[:-1] if noun.endswith("s") else noun
    return f"{in_words(number)} {noun}"


def place(x: float, y: float) -> str:
    """Return where in the picture a point lies: "centre" or a compass word."""
    dx, dy = x - SIZE / 2, y - SIZE / 2
    return "centre" if math.hypot(dx, dy) < SIZE * 0.14 else heading(math.atan2(dy, dx))


def heading(angle: float) -> str:
    """Return the compass word of a direction in radians from east towards south."""
    return _COMPASS[round(angle / (math.pi / 4)) % 8]


def axis(angle: float) -> str:
    """Return how a line runs, such as "from west to east", for a direction in radians."""
    ends = {"east": "west", "southeast": "northwest", "south": "north", "southwest": "northeast"}
    first = heading(angle)
    if first not in ends:
        first = heading(angle + math.pi)
    return f"from {ends[first]} to {first}"
