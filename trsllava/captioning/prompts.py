"""Prompts: text files with a small header, shipped ones and a user's own.

::

    name: rsrt
    version: 1
    output: record
    forbids: percentages, places
    language: en

    You see one image taken straight from above ...

``output`` is ``record`` (five variants as JSON), ``query`` (one text) or ``repair`` (what is
added to a prompt when its answer was no good). ``forbids`` and ``language`` drive the quality
checks. The header ends at the first blank line; a file without one is a prompt for records.
"""

import hashlib
import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from trsllava import resources
from trsllava.captioning.languages import known_language
from trsllava.errors import InputError, UsageError
from trsllava.records import canonical_json

OUTPUTS = ("record", "query", "repair")
FORBIDDABLE = ("percentages", "places")
_KEYS = ("name", "version", "output", "forbids", "language")
_HEADER = re.compile(rf"({'|'.join(_KEYS)})[ \t]*:[ \t]*(.*)")
# Longer than this is no prompt but some other file, given by mistake.
_LARGEST = 64 * 1024


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is asked; ``forbids`` and ``language`` say what its answer is checked for."""

    name: str
    version: int
    output: str
    text: str
    forbids: tuple[str, ...] = ()
    language: str | None = None

    @property
    def sha256(self) -> str:
        """The digest of header and text, whatever line ends and spacing the file had."""
        body = {key: getattr(self, key) for key in (*_KEYS, "text")}
        return hashlib.sha256(canonical_json(body)).hexdigest()

    def identity(self) -> dict[str, Any]:
        """Return what the provenance of a record says about its prompt."""
        return {"name": self.name, "version": self.version, "sha256": self.sha256}


def load_prompt(name_or_path: str) -> Prompt:
    """Return a shipped prompt by its name, or read a file.

    Raises `UsageError` if it is neither, `InputError` if the file is no prompt.
    """
    for prompt in shipped_prompts():
        if prompt.name == name_or_path:
            return prompt
    if not os.path.isfile(name_or_path):  # False for what could never be a path, too
        known = ", ".join(prompt.name for prompt in shipped_prompts())
        raise UsageError(
            f"{name_or_path!r} is neither a shipped prompt ({known}) nor a file with one"
        )
    return _read(Path(name_or_path))


@cache
def shipped_prompts() -> tuple[Prompt, ...]:
    """Return the prompts that ship, by name."""
    return tuple(_read(path) for path in sorted(resources.find("prompts").glob("*.txt")))


def _read(path: Path) -> Prompt:
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST + 1)
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"the prompt {path} cannot be read: {error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"the prompt {path} is not UTF-8 text: {error}") from error
    if len(raw) > _LARGEST:
        raise InputError(f"the prompt {path} is larger than {_LARGEST // 1024} KiB")
    lines = [line.rstrip() for line in text.splitlines()]
    header, body = _split(lines, path)
    return _prompt(header, "\n".join(body).strip(), path)


def _split(lines: list[str], path: Path) -> tuple[dict[str, str], list[str]]:
    """Tell the header from the text; a file whose first line is no header line has none."""
    if not lines or not _HEADER.fullmatch(lines[0]):
        return {}, lines
    header: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line:
            return header, lines[number:]
        match = _HEADER.fullmatch(line)
        if match is None:
            raise InputError(
                f"{path}:{number}: no header line ({', '.join(_KEYS)}); "
                "a blank line ends the header"
            )
        if match[1] in header:
            raise InputError(f"{path}:{number}: {match[1]!r} stands in the header twice")
        header[match[1]] = match[2].strip()
    return header, []


def _prompt(header: dict[str, str], text: str, path: Path) -> Prompt:
    if not text:
        raise InputError(f"the prompt {path} holds no text")
    version = header.get("version", "1")
    if not re.fullmatch(r"[0-9]{1,9}", version):
        raise InputError(f"{path}: the version must be a whole number, not {version[:40]!r}")
    output = header.get("output", "record")
    if output not in OUTPUTS:
        raise InputError(f"{path}: output must be one of {', '.join(OUTPUTS)}, not {output!r}")
    forbids = {word.strip() for word in header.get("forbids", "").split(",")} - {""}
    if unknown := forbids.difference(FORBIDDABLE):
        raise InputError(
            f"{path}: forbids may name {', '.join(FORBIDDABLE)}, not {', '.join(sorted(unknown))}"
        )
    try:
        language = known_language(header["language"]) if header.get("language") else None
    except UsageError as error:
        raise InputError(f"{path}: {error}") from error
    return Prompt(
        name=header.get("name") or path.stem,
        version=int(version),
        output=output,
        text=text,
        forbids=tuple(sorted(forbids)),
        language=language,
    )
