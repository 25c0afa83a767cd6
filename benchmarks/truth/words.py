"""The words of a text that can be true or false of a picture, without a language package.

Only words of these tables are judged; all others are passed over. Things come from
``nouns.txt`` beside this module, colours, numbers and directions from below. Whatever is judged
has one spelling: singular, one word of each set of synonyms, numbers as digits, directions as
points of the compass.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

_WORD = re.compile(r"[a-z]+|[0-9]+|[.,;:()]")
_CLAUSE = frozenset(".,;:()")
_AND = frozenset(("and", "or"))
_SEGMENT = _CLAUSE | {"and", "while", "with", "but", "where"}
_IRREGULAR = {"buses": "bus", "wharves": "wharf", "roundabouts": "roundabout", "skies": "sky"}

_COLOURS = {
    word: line.split()[0]
    for line in """
    white whitish snow-white
    black blackish
    grey gray greyish grayish charcoal slate
    green greenish olive emerald jade mint
    blue bluish navy azure cobalt
    turquoise teal aqua cyan
    red reddish crimson maroon
    brown brownish chocolate
    orange apricot
    yellow yellowish golden gold
    beige tan khaki cream creamy
    pink pinkish salmon
    purple purplish violet mauve lilac
    silver silvery
    rust rusty terracotta
    """.strip().splitlines()
    for word in line.split()
}
_NUMBERS = {
    word: str(number)
    for number, word in enumerate(
        "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
        " sixteen seventeen eighteen nineteen twenty".split(),
        start=1,
    )
} | {"single": "1", "pair": "2", "dozen": "12", "thirty": "30", "forty": "40", "fifty": "50"}
_POINTS = {
    "north": "n", "northern": "n", "top": "n", "upper": "n",
    "south": "s", "southern": "s", "bottom": "s", "lower": "s",
    "east": "e", "eastern": "e", "right": "e",
    "west": "w", "western": "w", "left": "w",
    "northeast": "ne", "northeastern": "ne", "northwest": "nw", "northwestern": "nw",
    "southeast": "se", "southeastern": "se", "southwest": "sw", "southwestern": "sw",
    "centre": "c", "center": "c", "middle": "c", "central": "c",
}  # fmt: skip
# "lower roofs", "a right angle", "left empty" and "shopping centre" are no places.
_PARTS = frozenset(
    "side sides edge edges half corner corners part parts third end ends area portion section"
    " quarter margin border hand bank row rows strip left right middle centre center".split()
)
_BEFORE_A_SIDE = frozenset("the upper lower top bottom far its to on at centre center".split())
_KINDS_OF_CENTRE = frozenset("town city sports sport shopping business exhibition civic".split())
# A number or a colour belongs to a thing only where none of these comes between.
_STOP = frozenset(
    "a an the this that these those its their it they there here which who what some any no each"
    " every other another all both most many few several of in on at by to from with without into"
    " onto over under above below between among along across around through near beside behind"
    " beyond toward towards next against after before up down out off as like than then so while"
    " where when and or but nor not is are was were be been has have had lie lies lying stand"
    " stands standing sit sits run runs running fill fills cross crosses cover covers surround"
    " surrounds surrounded follow follows form forms show shows curve curves bend bends mark marks"
    " line lines enter enters split splits occupy occupies appear appears look looks spread spreads"
    " extend extends pass passes go goes lead leads make makes divide divides border borders take"
    " takes contain contains hold holds meet meets reach reaches touch touches".split()
)  # fmt: skip
_REACH = 4  # words from a number or a colour to its thing


@dataclass(frozen=True, slots=True)
class Facts:
    """What a text, or several together, say.

    The last three are pairs of a thing and what is said of it.
    """

    nouns: frozenset[str] = frozenset()
    colours: frozenset[str] = frozenset()
    numbers: frozenset[str] = frozenset()
    directions: frozenset[str] = frozenset()
    coloured: frozenset[tuple[str, str]] = frozenset()
    counted: frozenset[tuple[str, str]] = frozenset()
    placed: frozenset[tuple[str, str]] = frozenset()


@cache
def nouns() -> dict[str, str]:
    """Return each noun that is judged, and the one that stands for it."""
    lines = Path(__file__).with_name("nouns.txt").read_text(encoding="utf-8").splitlines()
    sets = [line.split() for line in lines if line and not line.startswith("#")]
    return {word: words[0] for words in sets for word in words}


def singular(word: str) -> str:
    """Return the singular of a plural by its ending; other words as they are."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) < 4 or word.endswith(("ss", "us", "is")) or not word.endswith("s"):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-2] if word.endswith(("ches", "shes", "sses", "xes")) else word[:-1]


def thing(word: str) -> str | None:
    """Return the noun that a word counts as, or None."""
    return nouns().get(word) or nouns().get(singular(word))


@cache
def facts(text: str) -> Facts:
    """Return what one text says."""
    words = _WORD.findall(text.lower().replace("'s ", " "))
    coloured: set[tuple[str, str]] = set()
    counted: set[tuple[str, str]] = set()
    colours, numbers = set(), set()
    for at, word in enumerate(words):
        if colour := _COLOURS.get(word):
            colours.add(colour)
            things = _things_after(words, at) or _things_before(words, at)
            coloured.update((name, colour) for name in things)
        elif number := _number(word):
            things = _things_after(words, at)
            counted.update((name, number) for name in things)
            # Without a thing, "one" is a pronoun more often than a number.
            if number != "1" or things:
                numbers.add(number)
    points = dict(_directions(words))
    return Facts(
        nouns=frozenset(name for name in map(thing, words) if name),
        colours=frozenset(colours),
        numbers=frozenset(numbers),
        directions=frozenset(points.values()),
        coloured=frozenset(coloured),
        counted=frozenset(counted),
        placed=frozenset(_placed(words, points)),
    )


def together(several: list[Facts]) -> Facts:
    """Return what several texts say as something to judge by.

    Who says northwest has said north and west too, but not the other way round.
    """
    union = {
        f.name: frozenset().union(*(getattr(s, f.name) for s in several)) for f in fields(Facts)
    }
    union["directions"] |= {part for point in union["directions"] for part in point}
    union["placed"] |= {(name, part) for name, point in union["placed"] for part in point}
    return Facts(**union)


def _number(word: str) -> str | None:
    return str(int(word)) if word.isdecimal() else _NUMBERS.get(word)


def _things_after(words: list[str], at: int) -> tuple[str, ...]:
    """Return the run of nouns that a colour or number stands before: football and field."""
    for place in range(at + 1, min(at + 1 + _REACH, len(words))):
        word = words[place]
        if thing(word):
            return _run(words, place, 1)
        joins = word in _AND and words[place + 1 : place + 2] and words[place + 1] in _COLOURS
        if word in _CLAUSE or (word in _STOP and not joins):
            return ()
    return ()


def _things_before(words: list[str], at: int) -> tuple[str, ...]:
    """Return the run of nouns before a colour that follows its thing: roofs are white."""
    for place in range(at - 1, max(at - 1 - _REACH, -1), -1):
        word = words[place]
        if thing(word):
            return _run(words, place, -1)
        if word in _CLAUSE or (word in _STOP - _AND and word not in {"is", "are", "was", "were"}):
            return ()
    return ()


def _run(words: list[str], at: int, step: int) -> tuple[str, ...]:
    """Return the nouns that follow each other from a place on."""
    found = []
    while 0 <= at < len(words) and (name := thing(words[at])):
        found.append(name)
        at += step
    return tuple(found)


def _directions(words: list[str]) -> Iterator[tuple[int, str]]:
    """Yield where a direction stands, and its point; "upper left" is one."""
    at = 0
    while at < len(words):
        point = _POINTS.get(words[at])
        if point is None or not _is_place(words, at):
            at += 1
            continue
        after = _POINTS.get(words[at + 1], "") if at + 1 < len(words) else ""
        if point in "ns" and after in ("e", "w"):
            yield at, point + after
            at += 2
        else:
            yield at, point
            at += 1


def _is_place(words: list[str], at: int) -> bool:
    """Say whether a word of direction is one where it stands."""
    word = words[at]
    before = words[at - 1] if at else "."
    after = words[at + 1] if at + 1 < len(words) else "."
    if word in {"upper", "lower"}:
        return after in _PARTS or after in {"central", "."}
    if word in {"left", "right"}:
        if after.startswith("angle"):
            return False
        return before in _BEFORE_A_SIDE or after in _PARTS | _CLAUSE | {"of", "and"}
    if word == "top":
        return not (before == "on" and after == "of")
    return not (word in {"centre", "center"} and before in _KINDS_OF_CENTRE)


def _placed(words: list[str], points: dict[int, str]) -> Iterator[tuple[str, str]]:
    """Yield each direction with the nearest thing of its segment, rather the one before."""
    for at, point in points.items():
        things = _nearest(words, at, -1) or _nearest(words, at, 1)
        yield from ((name, point) for name in things)


def _nearest(words: list[str], at: int, step: int) -> tuple[str, ...]:
    at += step
    while 0 <= at < len(words) and words[at] not in _SEGMENT:
        if thing(words[at]):
            return _run(words, at, step)
        at += step
    return ()
