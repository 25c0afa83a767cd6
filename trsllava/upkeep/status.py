"""What a store holds, as one object."""

from typing import Any

from trsllava.index.manifest import current_folder, indexed_images, read_manifest
from trsllava.store.store import Store
from trsllava.store.view import View


def status_of(store: Store, records: str | None = None) -> dict[str, Any]:
    """Return the counts that ``status --json`` prints; images = records + quarantined + pending."""
    view = store.view(records)
    quarantined = view.quarantined
    return {
        "store": str(store.root),
        "images": view.records + len(quarantined) + view.pending,
        "records": view.records,
        "thin": view.thin,
        "quarantined": len(quarantined),
        "pending": view.pending,
        "skipped": sum(view.skipped.values()),
        "bad_lines": view.bad_lines,
        "fingerprint": view.set,
        "segments": len(view.segments),
        "image_folders": [str(folder) for folder in view.image_folders],
        "index": _index(store, view),
    }


def _index(store: Store, view: View) -> dict[str, Any] | None:
    folder = current_folder(store.layout, view.set)
    if folder is None:
        return None
    manifest = read_manifest(folder)
    gone = view.gone_since(manifest.commit, manifest.head)
    dead = missing = None
    if gone is not None:
        dead = sum(image in gone for image in indexed_images(folder)) if gone else 0
        missing = view.records - (manifest.images - dead)
    return {
        "name": manifest.name,
        "kind": manifest.kind,
        "images": manifest.images,
        "texts": manifest.texts,
        "embedder": manifest.embedder["name"],
        "fingerprint": manifest.fingerprint,
        "up_to_date": missing == 0 and dead == 0,
        "records_not_indexed": missing,
        "indexed_records_gone": dead,
        "too_long": dict(manifest.too_long),
    }
