"""What the writer learns to say: our records and people's captions, without what it cannot see.

Counts and places in the picture cannot be told from the frozen backbone's coarse map, so they
are taken out of the texts of photographs: a number becomes "several", a place is cut out, and
a clause that still names one is dropped. What is left is what the writer can learn to be right in.
"""

import re

from trsllava.light.vocabulary import join_words, split_words

_POINT = (
    r"(?:(?:far )?(?:north|south|east|west|northeast|northwest|southeast|southwest)(?:ern(?:most)?|ward|wards)?"
    r"|upper|lower|top|bottom|left|right|centre|center|middle|central)"
)
_POINTS = rf"{_POINT}(?:(?:[ -]| and | or | to ){_POINT})*"
_PART = (
    r"(?: (?:side|sides|edge|edges|half|halves|corner|corners|part|parts|third|end|ends|quarter|area"
    r"|border|margin|hand side|of (?:it|them|the (?:image|picture|scene|view|frame))))*"
)
# A place with the words that lead to it: "in the upper left corner", "along the northern edge".
_PLACE = re.compile(
    r",? ?\b(?:(?:just |further |mostly |all |near |close )*"
    r"(?:in|at|on|to|along|near|towards?|from|across|down|up|around|over|into|through|of|under|below|above)"
    rf"(?: (?:both|its|their|the|a))* {_POINTS}{_PART}(?: of the (?:image|picture|scene|view))?"
    r"|running (?:north|east)[ -](?:to[ -])?(?:south|west)|from left to right|from top to bottom)"
    r"(?=[ ,.;:]|$)"
)
_ADJECTIVE = re.compile(
    r"\b(?:northern|southern|eastern|western|northeastern|northwestern|southeastern|southwestern"
    r"|upper|lower|central|left ?-? ?hand|right ?-? ?hand)(?: and (?:northern|southern|eastern|western|upper|lower))? "
)
_TRAILING = re.compile(rf" (?:further )?{_POINTS}(?=[,.;]|$)")
_NUMBERS = (
    "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
    " seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred"
    " dozen dozens".split()
)
_NUMBER = re.compile(
    r"\b(?:(?:about|around|some|roughly|nearly|at least|over|more than|only|exactly) )*"
    rf"(?:(?:{'|'.join(_NUMBERS)}|[0-9]+)(?: ?- ?| (?:and|or|to) |, | ))*(?:{'|'.join(_NUMBERS)}|[0-9]+)\b(?![-])"
)
_ONE = re.compile(r"\bone (?=[a-z])|\ba single ")
_LEFTOVER = re.compile(
    r"\b(?:north|south|east|west|left|right|upper|lower|top|bottom|centre|center|middle|central"
    r"|corner|corners|half|halves|third|"
    r"(?:north|south)(?:east|west)|(?:north|south|east|west)(?:ern|wards?|erly)|clockwise|diagonal"
    r"|diagonally|single|pair|first|second|double|twice|both|each|[0-9]+"
    rf"|{'|'.join(_NUMBERS)})\b"
)
# What a sentence cannot end with, nor go on from, when a place was cut out there.
_BROKEN = re.compile(
    r"\b(?:the|a|an|of|and|or|with|to|from|in|on|at|by|between|their|its|most|is|are|lies?|stands?|sits?"
    r"|takes?|fills?|goes|go|runs?|running|bends?|starts?|begins?|ends?|extends?|stretch(?:es)?|reach(?:es)?"
    r"|crosse?s?|crossing|covers?|curves?|curving|occup(?:y|ies)|enters?|leads?|passe?s?|descends?|rises?"
    r"|comes?|keeps?|leaves?|turns?|follows?|borders?|faces?|forms?|spans?|spreads?|holds?|touch(?:es)?"
    r"|continues?|narrows?|widens?|appears?|cluster(?:s|ed)?|concentrated|located|placed|lying|standing"
    r"|another|other|others|divides?|cuts?)(?=[,.]|$| and\b)"
    r"|^(?:and|or|but|where|which)\b"
)
# What is not there is not seen either.
_ABSENT = re.compile(r"\b(?:no|not|none|without|nothing|nowhere|never|neither|nor|lacks?|absent)\b")
_EMPTY_CLAUSE = re.compile(r"^(?:and|with|the|a|an|is|are|it|in|of|at|on|to| )*$")
_LEAST = {"one_sentence": 5, "feature": 5, "caption": 8}  # words below which nothing is left to say


def unplaced(text: str, field: str) -> str | None:
    """Take counts and places out of a text; None if too little or nothing sound is left."""
    lower = " ".join(split_words(text)).replace(" ,", ",").replace(" .", ".").replace(" ;", ";")
    lower = lower.replace(" :", ":").replace(" - ", "-").replace(" ' ", "'")
    kept = []
    for sentence in re.split(r"(?<=\.) ", lower):
        clauses = [_cleaned(c, field == "feature") for c in re.split(r"[,;] ", sentence.rstrip("."))]
        sound = [c for c in clauses if c and not _LEFTOVER.search(c) and not _ABSENT.search(c) and not _EMPTY_CLAUSE.match(c)]
        if field != "feature" and len(sound) < len(clauses):
            continue  # a sentence that lost a clause is no sentence
        cut = sum(map(len, sound)) < len(sentence) - len(clauses)
        if field != "feature" and cut and any(_BROKEN.search(c) for c in sound):
            continue
        if sound:
            kept.append(", ".join(sound) + ".")
    result = " ".join(kept)
    if len(re.findall(r"[a-z]+", result)) < _LEAST[field]:
        return None
    return join_words(split_words(result))


def _cleaned(clause: str, feature: bool) -> str:
    clause = _PLACE.sub("", clause)
    clause = _TRAILING.sub("", clause)
    clause = re.sub(r" (?:and|lies?|stands?|is|are)$", "", clause) if feature else clause
    clause = _ADJECTIVE.sub("", clause)
    clause = re.sub(r"\b(?:dozens|hundreds|scores|a dozen|a pair|pairs?) of\b", "several", clause)
    clause = _NUMBER.sub("several", clause).replace("several several", "several")
    clause = _ONE.sub("a ", clause)
    clause = re.sub(r"\ba (?=[aeio])", "an ", re.sub(r" +", " ", clause).strip())
    return re.sub(r"\ban (?=one|uni|use)", "a ", clause)
