"""Queries that name what must not be there, which neither encoder nor words can read."""

import re
from typing import NamedTuple

# Clear forms only: a few words at the end, nothing behind them. "no less", "not only" and the like
# name no absence, and neither does "without" a clause.
_CLEAR = re.compile(
    r"(?P<wanted>.*\w)[\s,]+(?:(?:and|but) )?"
    r"(?:without(?: any| an?)?|(?:with|but) no|lacking(?: any)?|free of|devoid of) "
    r"(?P<unwanted>\w[\w-]*(?: \w[\w-]*){0,2})[\s.?!]*",
    re.IGNORECASE,
)
_NOT_A_THING = re.compile(
    r"\b(?:\w+ing|less|more|matter|doubt|and|but|that|which|in|inside|on|it)\b", re.IGNORECASE
)


class Absence(NamedTuple):
    """What a query wants, and what it says must not be there."""

    wanted: str
    unwanted: str


def absence(text: str) -> Absence | None:
    """Return both parts of a query such as "a harbour without ships"; None if it is not clear."""
    found = _CLEAR.fullmatch(text.strip())
    if found is None or _NOT_A_THING.search(found["unwanted"]):
        return None
    return Absence(found["wanted"].strip(), found["unwanted"])
