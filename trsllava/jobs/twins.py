"""Images of equal bytes, found without reading all of them."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from trsllava.images.source import Source

_EDGE = 4096
_CHUNK = 1 << 20


def sha256_of_bytes(source: Source) -> str:
    """Return the sha256 of a file's, or a tar member's, bytes."""
    start, size = source.member or (0, source.size)
    digest = hashlib.sha256()
    with open(source.path, "rb") as file:
        file.seek(start)
        while size > 0 and (chunk := file.read(min(_CHUNK, size))):
            digest.update(chunk)
            size -= len(chunk)
    return digest.hexdigest()


def group_twins(sources: Iterable[Source]) -> list[list[Source]]:
    """Put images of equal bytes together; only files that agree in size and edges are read.

    Groups and their members are sorted by image id. A file that cannot be read stays alone: the
    job will say why.
    """
    by_size: defaultdict[int, list[Source]] = defaultdict(list)
    groups: list[list[Source]] = []
    for source in sources:
        if source.window is None:
            by_size[source.size].append(source)
        else:
            groups.append([source])
    for same_size in by_size.values():
        for same_edges in _divide(same_size, _edges):
            groups += _divide(same_edges, sha256_of_bytes)
    for group in groups:
        group.sort(key=lambda source: source.image)
    groups.sort(key=lambda group: group[0].image)
    return groups


def _divide(sources: Sequence[Source], key: Callable[[Source], str]) -> list[list[Source]]:
    """Divide sources by a key that needs a look into the file."""
    if len(sources) < 2:
        return [list(sources)]
    found: defaultdict[str, list[Source]] = defaultdict(list)
    for source in sources:
        try:
            found[key(source)].append(source)
        except OSError:
            found[f"alone {source.image}"].append(source)
    return list(found.values())


def _edges(source: Source) -> str:
    """Return a digest of the first and last bytes."""
    start, size = source.member or (0, source.size)
    with open(source.path, "rb") as file:
        file.seek(start)
        head = file.read(min(_EDGE, size))
        file.seek(start + max(0, size - _EDGE), os.SEEK_SET)
        return hashlib.sha256(head + file.read(min(_EDGE, size))).hexdigest()


def earlier_twin(source: Source, digests: Mapping[str, str]) -> str | None:
    """Return the known image that has the same bytes; ``digests`` maps sha256 to image."""
    try:
        return digests.get(sha256_of_bytes(source))
    except OSError:
        return None
