"""Small slips of the writer, put right without changing what is said."""

import re

_ARTICLE = re.compile(r"\b([Aa])n?(?= ([a-z]))")
_LIKE_A_CONSONANT = re.compile(r"an? (?:u-|uni|us|one\b|euro)", re.IGNORECASE)
_SPACED_MARK = re.compile(r"^[ ,;]+|[ ,;]+(?=\.)")


def tidied(text: str, field: str) -> str:
    """Return a text with its articles put right and, in a list, no item twice."""
    if field == "feature":
        items = text.rstrip(".").split(", ")
        seen = {item.lower(): item for item in reversed(items)}
        kept = [item for item in items if seen.pop(item.lower(), None) is not None]
        text = ", ".join(kept) + "."
    return _ARTICLE.sub(_article, _SPACED_MARK.sub("", text))


def _article(found: re.Match[str]) -> str:
    """Return the article that fits the sound of the next word."""
    here = found.string[found.start() : found.start() + 12]
    vowel = found[2] in "aeiou" and not _LIKE_A_CONSONANT.match(here)
    return found[1] + ("n" if vowel else "")
