"""Texts without what the light models cannot see: counts and places in the picture.

These cannot be told from the frozen backbone's coarse map. So they are taken out of the texts of
photographs that the writer learns from, and of whatever it writes: a number becomes "several", a
place is cut out, and a clause that still names one is dropped.
"""

import re

from trsllava.light.vocabulary import join_words, split_words

_POINT = (
    r"(?:(?:far )?(?:north|south|east|west|northeast|northwest|southeast|southwest)"
    r"(?:ern(?:most)?|wards?)?"
    r"|upper|lower|top|bottom|left|right|centre|center|middle|central)"
)
_POINTS = rf"{_POINT}(?:(?:[ -]| and | or | to ){_POINT})*"
_PART = (
    r"(?:hand side|sides?|edges?|half|halves|corners?|parts?|third|ends?|quarter|area|border"
    r"|margin)"
)
_WHOLE = r"(?:it|them|the (?:image|picture|scene|view|frame))\b"
# A place with the words that lead to it: "in the upper left corner", "along the northern edge".
_PLACE = re.compile(
    r",? ?\b(?:(?:just |further |mostly |all |near |close )*"
    r"(?:in|at|on|to|along|near|towards?|from|across|down|up|around|over|into|through|of|under"
    r"|below|above)"
    rf"(?: (?:both|its|their|the|a))* {_POINTS}(?: {_PART}| of {_WHOLE})*"
    r"|running (?:north|east)[ -](?:to[ -])?(?:south|west)|from left to right|from top to bottom)"
    r"(?=[ ,.;:]|$)"
)
# A place of something else than the picture: that something keeps a word that leads to it.
_PLACE_OF = re.compile(
    r"\b(?P<leads>in|at|on|near|along|to|towards?|over)(?: (?:both|its|their|the|a))*"
    rf" {_POINTS}(?: (?P<part>{_PART}))* of (?!{_WHOLE})"
)
_SIDE = re.compile(
    r"\b(?:in|at|on|along) (?:both|each|either|one|two|three|several|a)(?: opposite)? sides?"
    r"(?P<of> of)?(?=[ ,.;:]|$)"
)
_ADJECTIVE = re.compile(
    r"\b(?:northern|southern|eastern|western|northeastern|northwestern|southeastern|southwestern"
    r"|upper|lower|central|left ?-? ?hand|right ?-? ?hand)"
    r"(?: and (?:northern|southern|eastern|western|upper|lower))? "
)
_TRAILING = re.compile(rf" (?:further )?{_POINTS}(?=[,.;]|$)")
_NUMBER = (
    r"(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen"
    r"|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
    r"|(?:a )?(?:hundred|dozen)|dozens|[0-9]+)"
)
_COUNT = re.compile(
    r"\b(?:(?:about|around|some|roughly|nearly|at least|over|more than|only|exactly) )*"
    rf"(?:{_NUMBER}(?: ?- ?| (?:and|or|to) |, | ))*{_NUMBER}\b(?!-)"
)
# Before these a number stands for things: "one by one" and "those two are" name none.
_OF_THINGS = (
    r" (?=[a-z])(?!(?:a|above|across|along|and|another|are|at|below|beside|by|from|has|have|in|is"
    r"|near|next|of|on|or|over|that|the|to|under|which|with)\b)"
)
_KNOWN = re.compile(
    rf"\b((?:all|its|the|their|these|those)(?: other| the)?) (?:{_NUMBER}|several){_OF_THINGS}"
)
_MANY = re.compile(r"\b(?:dozens|hundreds|scores|a dozen|a pair|pairs?) of\b")
_ONE = re.compile(rf"(?<!\bthe )\bone{_OF_THINGS}|\ba single ")
_LEFTOVER = re.compile(
    r"\b(?:north|south|east|west|left|right|upper|lower|top|bottom|centre|center|middle|central"
    r"|corners?|half|halves|third|(?:north|south)(?:east|west)"
    r"|(?:north|south|east|west)(?:ern|wards?|erly)|clockwise|diagonal|diagonally|single|pair"
    rf"|first|second|double|twice|both|each|one of|(?:all|its|the|their|these|those) several"
    rf"|{_NUMBER})\b"
)
# What a sentence cannot end with, nor go on from, when a place was cut out there.
_BROKEN = re.compile(
    r"\b(?:the|a|an|of|and|or|with|to|from|in|on|at|by|between|their|its|most|is|are|lies?|stands?"
    r"|sits?|takes?|fills?|goes|go|runs?|running|bends?|starts?|begins?|ends?|extends?"
    r"|stretch(?:es)?|reach(?:es)?|crosse?s?|crossing|covers?|curves?|curving|occup(?:y|ies)"
    r"|enters?|leads?|passe?s?|descends?|rises?|comes?|keeps?|leaves?|turns?|follows?|borders?"
    r"|faces?|forms?|spans?|spreads?|holds?|touch(?:es)?|continues?|narrows?|widens?|appears?"
    r"|cluster(?:s|ed)?|concentrated|located|placed|lying|standing|another|others?|divides?|cuts?)"
    r"(?=[,.]|$| and\b)"
    r"|^(?:and|or|but|where|which)\b"
)
# What is not there is not seen either.
_ABSENT = re.compile(r"\b(?:no|not|none|without|nothing|nowhere|never|neither|nor|lacks?|absent)\b")
_EMPTY = re.compile(r"^(?:and|with|the|a|an|is|are|it|in|of|at|on|to| )*$")
_HANGING = re.compile(r"(?: (?:and|the|lies?|stands?|is|are))+$")
_LEAST = {"one_sentence": 5, "feature": 5, "caption": 8}  # words below which nothing is left to say


def unplaced(text: str, field: str) -> str | None:
    """Take counts and places out of a text; None if too little or nothing sound is left."""
    listed = field == "feature"
    kept = []
    for sentence in re.split(r"(?<=\.) ", join_words(split_words(text)).lower()):
        clauses = [_cleaned(clause, listed) for clause in re.split(r"[,;] ", sentence.rstrip("."))]
        sound = [clause for clause in clauses if _is_sound(clause)]
        if not listed:
            if len(sound) < len(clauses):
                continue  # a sentence that lost a clause is no sentence
            cut = sum(map(len, sound)) < len(sentence) - len(clauses)
            if cut and any(_BROKEN.search(clause) for clause in sound):
                continue
        if sound:
            kept.append(", ".join(sound) + ".")
    result = " ".join(kept)
    if len(re.findall(r"[a-z]+", result)) < _LEAST[field]:
        return None
    return join_words(split_words(result))


def _is_sound(clause: str) -> bool:
    """Whether a clause says something, and no count, place or absence."""
    wrong = (_LEFTOVER.search(clause), _ABSENT.search(clause), _EMPTY.match(clause))
    return bool(clause) and not any(wrong)


def _cleaned(clause: str, listed: bool) -> str:
    """Take places out of a clause, and make its numbers vague."""
    clause = _PLACE_OF.sub(_within, _SIDE.sub(_beside, clause))
    clause = _TRAILING.sub("", _PLACE.sub("", clause))
    if listed:
        clause = _HANGING.sub("", clause)
    clause = _ADJECTIVE.sub("", clause)
    clause = _KNOWN.sub(r"\1 ", clause)
    clause = _COUNT.sub("several", _MANY.sub("several", clause))
    clause = _ONE.sub("a ", clause.replace("several several", "several"))
    clause = re.sub(r"\ba (?=[aeio])", "an ", re.sub(r" +", " ", clause).strip())
    return re.sub(r"\ban (?=one|uni|use)", "a ", clause)


def _beside(found: re.Match[str]) -> str:
    """Return what is left of "on both sides" and of "on one side of"."""
    return "beside" if found["of"] else "alongside"


def _within(found: re.Match[str]) -> str:
    """Return what leads to a thing where its middle, a part, an edge or a side was named."""
    leads, part = found["leads"], found["part"]
    if part is not None and re.match("sides?|edges?|ends?|border|margin", part):
        return f"{leads} the {part} of "
    if part is not None or re.search("cent(?:re|er)|middle|central", found[0]):
        return "in "
    return "on " if found[0] == "on top of " else "near "
