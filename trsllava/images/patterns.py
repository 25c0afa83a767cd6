"""Patterns: ``{a,b}`` and ``{000..012}`` first, then ``*``, ``?``, ``[...]`` and one ``**``.

As in a shell, wildcards leave hidden files out, ``**`` stands for any folders (none too) and does
not follow links; with it only files count, otherwise a folder that matches is walked. Ids are
relative to the last folder before the first wildcard or brace.
"""

import os
import re
from collections.abc import Iterator
from fnmatch import translate
from itertools import count

from trsllava.errors import UsageError
from trsllava.images.formats import is_hidden, suffix

_MAGIC = re.compile(r"[*?\[]")
_BRACE = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")


def is_pattern(text: str) -> bool:
    """Tell whether a path that is no file is meant as a pattern."""
    return bool(_MAGIC.search(text)) or any(_choices(m[1]) for m in _BRACE.finditer(text))


def base_of(pattern: str) -> str:
    """Return the folder that the matches are relative to: what comes before the first wildcard."""
    head = re.split(r"[*?\[{]", pattern, maxsplit=1)[0]
    return os.path.dirname(head)


def matches(pattern: str) -> Iterator[tuple[str, bool]]:
    """Yield the files and folders that a pattern names, each once, relative to `base_of`.

    Parameters
    ----------
    pattern
        With braces and wildcards.

    Yields
    ------
    tuple[str, bool]
        A relative path, and whether the pattern itself asks for its suffix. In the order of the
        braces, then sorted.

    Raises
    ------
    UsageError
        If a name that only braces made is not there, or there is more than one ``**``.
    """
    base = base_of(pattern)
    for plain in _expanded(pattern):
        inner = os.path.relpath(plain, base) if base else plain
        if not _MAGIC.search(inner):
            if not os.path.lexists(plain):
                raise UsageError(f"{plain!r} of the pattern {pattern!r} does not exist")
            yield inner, True
            continue
        parts = [part for part in inner.split("/") if part]
        parts += ["*"] if parts[-1] == "**" else []
        if parts.count("**") > 1:
            raise UsageError(f"the pattern {pattern!r} has more than one **")
        asked = suffix(parts[-1])
        for name in _matched(base or ".", "", parts):
            # What is in a folder matches ** by itself.
            if "**" not in parts or not os.path.isdir(os.path.join(base, name)):
                yield name, suffix(name) == asked


def _expanded(pattern: str) -> Iterator[str]:
    """Yield the pattern for every choice that its braces give."""
    for match in _BRACE.finditer(pattern):
        choices = _choices(match[1])
        if choices is not None:
            head, tail = pattern[: match.start()], pattern[match.end() :]
            for choice in choices:
                for rest in _expanded(tail):
                    yield head + choice + rest
            return
    yield pattern


def _choices(inside: str) -> Iterator[str] | None:
    """Return what a brace stands for; None if it is just a name with braces."""
    if match := _RANGE.fullmatch(inside):
        first, last = int(match[1]), int(match[2])
        width = max(len(match[1]), len(match[2])) if "0" in (match[1][0], match[2][0]) else 0
        step = 1 if first <= last else -1
        steps = abs(last - first) + 1
        return (f"{n:0{width}d}" for n, _ in zip(count(first, step), range(steps), strict=False))
    return iter(inside.split(",")) if "," in inside else None


def _matched(folder: str, within: str, parts: list[str]) -> Iterator[str]:
    """Yield what the parts of a pattern match below a folder."""
    part, *rest = parts
    deep = part == "**"
    if deep:
        yield from _matched(folder, within, rest)
    elif not _MAGIC.search(part):
        if os.path.lexists(os.path.join(folder, within, part)):
            path = f"{within}{part}"
            yield from _matched(folder, path + "/", rest) if rest else (path,)
        return
    fits = re.compile(translate(part)).match
    for entry in _entries(os.path.join(folder, within)):
        if is_hidden(entry.name) and not part.startswith("."):
            continue
        path = f"{within}{entry.name}"
        if deep:
            if entry.is_dir(follow_symlinks=False):
                yield from _matched(folder, path + "/", parts)
        elif fits(entry.name):
            if not rest:
                yield path
            elif entry.is_dir(follow_symlinks=False):
                yield from _matched(folder, path + "/", rest)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    """Return what is in a folder, sorted; nothing if there is none."""
    try:
        with os.scandir(folder) as listing:
            return sorted(listing, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []


__all__ = ["base_of", "is_pattern", "matches"]
