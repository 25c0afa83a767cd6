"""Image ids made from names of files and tar members.

A ``#`` in an id begins a window (``scene.tif#0,0,512,512``), so one in a name is written ``%23``.
A name that already holds ``%23`` gets ``%25`` for its percent sign, and likewise one that holds
``%2523`` and so on, so that two names never share an id; every other percent sign stays.

A name that can be no id is still listed, under one that no file can have: what is wrong in it is
spelled ``#x`` and two hexadecimal digits.
"""

import re
import unicodedata

from trsllava.records import image_id

_PERCENT = re.compile("%(?=(?:25)*23)")
_WRONG = re.compile(r"^/|(?<![^/])\.\.(?![^/])|[\\\ud800-\udfff]|^[A-Za-z]:(?=/)")


def id_of(name: str) -> str:
    """Return the image id of a relative POSIX path.

    Raises `InputError` if it is absolute, climbs out of its folder or is not UTF-8.
    """
    return image_id(_escaped(name))


def refused(name: str) -> str:
    """Return the printable id under which a name that `id_of` refuses is listed."""
    spelled = _WRONG.sub(lambda match: "".join(map(_hexadecimal, match[0])), _escaped(name))
    spelled = "".join(
        _hexadecimal(char) if unicodedata.category(char) in ("Cc", "Cf", "Cs") else char
        for char in spelled
    )
    return image_id(spelled if spelled.strip("/. ") else f"#x{spelled.encode().hex()}")


def _escaped(name: str) -> str:
    if "#" not in name and "%" not in name:
        return name
    return _PERCENT.sub("%25", name).replace("#", "%23")


def _hexadecimal(char: str) -> str:
    """Spell a character; one that stands for a byte that is not UTF-8 as that byte."""
    code = ord(char)
    return f"#x{code - 0xDC00 if 0xDC80 <= code <= 0xDCFF else code:02X}"


__all__ = ["id_of", "refused"]
