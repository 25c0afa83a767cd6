"""Deleting what the newest state no longer needs."""

import shutil
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from trsllava.embedding.pictures import vectors_file
from trsllava.index.manifest import Manifest, picture_files, read_all_current
from trsllava.store.files import lock, unseal
from trsllava.store.history import commit_files
from trsllava.store.layout import VERSION, Layout
from trsllava.store.store import Store

_SEGMENT_FILES = ("jsonl", "offsets.json")
_VECTOR_FILES = ("npy", "json")


def prune(store: Store) -> list[Path]:
    """Delete what the newest state no longer needs and return the paths.

    These are commits before the last compaction that the index knows, segments that neither a
    commit nor the index names, their vectors, picture vectors that a later try has replaced, bad
    lines that no commit names, and index generations that do not answer.
    """
    layout = store.layout
    with store.writing("trsllava prune") as view, lock(layout.index / "lock", "trsllava prune"):
        answering = read_all_current(layout)
        first = view.commits[0].number if view.commits else 0
        needed = min([first, *(manifest.commit + 1 for manifest in answering)])
        doomed = [path for path in commit_files(layout) if int(path.stem) < needed]
        views = [store.view(name) for name in view.sets]
        kept = {ref.name for each in views for ref in each.segments}
        kept |= {ref.name for manifest in answering for ref in manifest.segments}
        for folder, suffixes in ((layout.records, _SEGMENT_FILES), (layout.vectors, _VECTOR_FILES)):
            for path in sorted(folder.glob("*/[0-9a-f]*.*")):
                stem, _, suffix = path.name.partition(".")
                if suffix in suffixes and stem not in kept:
                    doomed.append(path)
        doomed += _replaced_pictures(layout, answering, kept)
        bad_lines = sorted(layout.bad_lines.glob("*.jsonl"))
        doomed += [path for path in bad_lines if path.name not in view.bad_files]
        names = {manifest.name for manifest in answering}
        doomed += [path for path in sorted(layout.index.glob("[0-9]*")) if path.name not in names]
        intakes = {ref.name for ref in view.intakes}
        doomed += [p for p in sorted(layout.intakes.glob("*.jsonl")) if p.stem not in intakes]
        for path in doomed:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    return doomed


def _replaced_pictures(
    layout: Layout, answering: Sequence[Manifest], segments: Collection[str]
) -> Iterator[Path]:
    """Yield the picture vectors that neither the newest try nor an index names."""
    named = {path for manifest in answering for path, _ in picture_files(layout, manifest)}
    for path in sorted(layout.vectors.glob("*/[0-9a-f]*.*.npy")):
        newest = path.with_name(f"{path.name.partition('.')[0]}.json")
        if newest.stem in segments and newest.exists():
            named.add(vectors_file(newest, unseal(newest, VERSION)))
        if path not in named:
            yield path
