"""Request files of the OpenAI Batch API: one line a picture, each asked like a live server.

Services refuse a file above 50,000 requests or 200 MB after the whole upload, so that files are
cut below both. ``custom_id`` is the image id as it is, since answers are matched by nothing else;
the service documents no limit on its length (another service with batches, not of this form, takes
64 characters).
"""

import json
import logging
from collections.abc import Iterable, Iterator
from glob import escape
from pathlib import Path

from trsllava.captioning.captioner import Prepared
from trsllava.captioning.encoding import data_uri
from trsllava.captioning.ladder import Terms
from trsllava.captioning.prompts import Prompt
from trsllava.errors import InputError, UsageError
from trsllava.store.files import publishing, sync_folder

log = logging.getLogger(__name__)

MOST_REQUESTS = 50_000  # a file
MOST_BYTES = 200_000_000  # a file


def write_batch(
    path: Path, pictures: Iterable[Prepared], *, model: str, prompt: Prompt, max_tokens: int
) -> list[Path]:
    """Write requests for records of pictures, in as many files as the limits want.

    Parameters
    ----------
    path
        The file; where one is too small for all, the files are numbered: ``NAME-00001.jsonl``
        and so on. Files of these names are replaced.
    pictures
        Each is asked about once, in this order.
    model
        The model's name at the service.
    prompt
        A prompt for records.
    max_tokens
        The limit on new tokens of an answer.

    Returns
    -------
    list[Path]
        The files in order, each whole.

    Raises
    ------
    InputError
        If there are no pictures, or a file cannot be written.
    UsageError
        If the prompt is not one for records, or ``path`` is a folder.
    """
    path = Path(path)
    if prompt.output != "record":
        raise UsageError(f"the prompt {prompt.name!r} asks for a {prompt.output}, not for a record")
    if path.is_dir():
        raise UsageError(f"{path} is a folder; name a file")
    lines = (_line(picture, model, prompt, max_tokens) for picture in pictures)
    line = next(lines, None)
    if line is None:
        raise InputError("there is no picture to write a request for")
    files: list[Path] = []
    try:
        while line is not None:
            files.append(path.with_name(f"{path.stem}-{len(files) + 1:05d}{path.suffix}"))
            line = _write(files[-1], line, lines)
        if len(files) == 1:
            files[0].replace(path)
            sync_folder(path.parent)
            files = [path]
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
    _tell_older(path, files)
    return files


def _write(path: Path, line: bytes | None, lines: Iterator[bytes]) -> bytes | None:
    """Fill a file; return the line that has no room in it, or None at the end."""
    requests, size = 0, 0
    with publishing(path) as file:
        while line is not None:
            requests, size = requests + 1, size + len(line)
            if requests > 1 and (requests > MOST_REQUESTS or size > MOST_BYTES):
                break
            file.write(line)
            line = next(lines, None)
    return line


def _line(picture: Prepared, model: str, prompt: Prompt, max_tokens: int) -> bytes:
    """Return one request, with the parameters that a live server is asked with first."""
    content = [
        {"type": "image_url", "image_url": {"url": data_uri(picture.pixels)}},
        {"type": "text", "text": prompt.text},
    ]
    request = {
        "custom_id": picture.image,
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {
            "model": model,
            "messages": [{"role": "user", "content": content}],
            **Terms().parameters(max_tokens),
        },
    }
    return json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _tell_older(path: Path, files: list[Path]) -> None:
    """Name the files of an earlier export under this name: their images may be asked twice."""
    pattern = f"{escape(path.stem)}-{'[0-9]' * 5}{escape(path.suffix)}"
    series = {path, *path.parent.glob(pattern)}
    older = sorted(str(other) for other in series.difference(files) if other.exists())
    if older:
        log.warning("of an earlier export, not of this one: %s", ", ".join(older))
