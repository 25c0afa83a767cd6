"""Whether a text is in the language that was asked for: by script and by small words.

Nothing clever: an answer in another script, or one whose small words are clearly those of
another of the known languages, is in the wrong language; all else is given the benefit of the
doubt. Short texts and lists have few small words, so judge several together.
"""

import re

from trsllava.errors import UsageError

# Words that are frequent in one language and no words of the others here.
_SMALL_WORDS = {
    "en": "the of and with is are to from there this that by at on into between",
    "de": "der das und mit ist sind ein eine einem einen von auf dem nicht zwischen im",
    "fr": "le les des et une est sont dans avec du sur au aux qui entre deux",
    "es": "el los las y con del por hay una está están entre sobre se junto dos",
    "it": "il gli che di sono della nel con una è tra delle dei degli alla sul",
    "pt": "o os um uma com não são em da do na ao entre dos das há",
}
_STOP = {language: frozenset(words.split()) for language, words in _SMALL_WORDS.items()}
_SCRIPTS = {
    "ar": "\u0600-\u06ff\u0750-\u077f\ufb50-\ufdff\ufe70-\ufeff",
    "ja": "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff",
    "ru": "\u0400-\u052f",
    "zh": "\u3400-\u4dbf\u4e00-\u9fff",
}
_LATIN = "A-Za-z\u00aa\u00ba\u00c0-\u024f"
_LETTERS = {
    language: re.compile(f"[{_SCRIPTS.get(language, _LATIN)}]") for language in (*_STOP, *_SCRIPTS)
}
_KANA = re.compile("[\u3040-\u30ff]")
_WORD = re.compile(r"[^\W\d_]+")
LANGUAGES = tuple(sorted(_LETTERS))


def known_language(tag: str) -> str:
    """Return the language of a tag such as ``en`` or ``pt-BR``.

    Raises `UsageError` if it is none that can be checked.
    """
    language = re.split("[-_]", tag.strip().lower())[0]
    if language not in LANGUAGES:
        raise UsageError(
            f"the language {tag!r} cannot be checked; known: {', '.join(LANGUAGES)}; "
            "leave it out to check none"
        )
    return language


def in_other_script(text: str, language: str) -> bool:
    """Say whether most letters of a text belong to a script that the language does not use."""
    if text.isascii():
        return language in _SCRIPTS and any(map(str.isalpha, text))
    letters = sum(map(str.isalpha, text))
    return letters - len(_LETTERS[language].findall(text)) > letters / 2


def other_language(text: str, language: str) -> str | None:
    """Return which other language a longer text is clearly in, or None.

    Japanese is told from Chinese by its kana; else small words decide, and only among the
    languages that are written in Latin letters.
    """
    if language in ("zh", "ja"):
        kana = len(_KANA.findall(text))
        if language == "zh":
            return "ja" if kana > len(text) / 10 else None
        return "zh" if not kana and len(_LETTERS["zh"].findall(text)) > 40 else None
    if language not in _STOP:
        return None
    words = [word.lower() for word in _WORD.findall(text)]
    counts = {name: sum(map(stop.__contains__, words)) for name, stop in _STOP.items()}
    own = counts.pop(language)
    best = max(counts, key=lambda name: counts[name])
    return best if counts[best] >= 4 and counts[best] > 2 * own else None
