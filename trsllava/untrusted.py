"""Text that came out of a model, made harmless for where it is shown."""

import unicodedata


def printable(text: str) -> str:
    """Return the text with control, format and surrogate characters spelled out.

    A terminal would obey escape codes, and direction marks can make a text read as another;
    the joiners that some scripts need stay.
    """
    return "".join(
        char
        if unicodedata.category(char) not in ("Cc", "Cf", "Cs") or char in "\u200c\u200d"
        else char.encode("unicode_escape").decode()
        for char in text
    )
