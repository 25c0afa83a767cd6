"""What a store holds, as one object."""

from typing import Any

from trsllava.index.manifest import read_current
from trsllava.store.layout import IMPORTED
from trsllava.store.store import Store
from trsllava.store.view import View


def status_of(store: Store, records: str | None = None) -> dict[str, Any]:
    """Return the counts that ``status --json`` prints; images = records + quarantined + pending."""
    view = store.view(records)
    quarantined = view.quarantined
    return {
        "store": str(store.root),
        "images": view.records + len(quarantined),
        "records": view.records,
        "thin": view.thin,
        "quarantined": len(quarantined),
        "pending": 0,
        "skipped": 0,
        "bad_lines": view.bad_lines,
        "fingerprint": IMPORTED,
        "segments": len(view.segments),
        "image_folders": [str(folder) for folder in view.image_folders],
        "index": _index(store, view),
    }


def _index(store: Store, view: View) -> dict[str, Any] | None:
    manifest = read_current(store.layout)
    if manifest is None:
        return None
    changes = view.changes_since(manifest.commit)
    came, went = changes if changes is not None else (None, ())
    return {
        "name": manifest.name,
        "kind": manifest.kind,
        "images": manifest.images,
        "texts": manifest.texts,
        "embedder": manifest.embedder["name"],
        "fingerprint": manifest.fingerprint,
        "up_to_date": came == 0 and not went,
        "records_not_indexed": came,
        "indexed_records_gone": len(went),
        "too_long": dict(manifest.too_long),
    }
