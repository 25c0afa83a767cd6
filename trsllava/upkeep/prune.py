"""Deleting what the newest state no longer needs."""

import shutil
from pathlib import Path

from trsllava.index.manifest import read_current
from trsllava.store.files import lock
from trsllava.store.store import Store
from trsllava.store.view import commit_files

_SEGMENT_FILES = ("jsonl", "offsets.json")
_VECTOR_FILES = ("npy", "json")


def prune(store: Store) -> list[Path]:
    """Delete what the newest state no longer needs and return the paths.

    These are commits before the last compaction that the index knows, segments that neither a
    commit nor the index names, their vectors, bad lines that no commit names, and index
    generations that do not answer.
    """
    layout = store.layout
    with store.writing("trsllava prune") as view, lock(layout.index / "lock", "trsllava prune"):
        current = read_current(layout)
        first = view.commits[0].number if view.commits else 0
        needed = min(first, current.commit + 1) if current else first
        doomed = [path for path in commit_files(layout) if int(path.stem) < needed]
        kept = {ref.name for ref in view.segments}
        kept |= {ref.name for ref in current.segments} if current else set()
        for folder, suffixes in ((layout.records, _SEGMENT_FILES), (layout.vectors, _VECTOR_FILES)):
            for path in sorted(folder.glob("*/*")):
                stem, _, suffix = path.name.partition(".")
                if suffix in suffixes and stem not in kept:
                    doomed.append(path)
        bad_lines = sorted(layout.bad_lines.glob("*.jsonl"))
        doomed += [path for path in bad_lines if path.name not in view.bad_files]
        for path in sorted(layout.index.glob("[0-9]*")):
            if current is None or path.name != current.name:
                doomed.append(path)
        for path in doomed:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    return doomed
