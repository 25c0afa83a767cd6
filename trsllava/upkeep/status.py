"""What a store holds, as one object."""

from collections import Counter
from typing import Any

from trsllava.index.manifest import current_folder, indexed_images, read_manifest
from trsllava.store.layout import IMPORTED
from trsllava.store.lots import identity_of
from trsllava.store.store import Store
from trsllava.store.view import View
from trsllava.upkeep.quarantine import quarantined_images

QUARANTINE_SHOWN = 1000


def status_of(store: Store, records: str | None = None) -> dict[str, Any]:
    """Return the counts that ``status --json`` prints; images = records + quarantined + pending."""
    view = store.view(records)
    failed = list(quarantined_images(view))
    return {
        "store": str(store.root),
        "images": view.records + len(failed) + view.pending,
        "records": view.records,
        "thin": view.thin,
        "quarantined": len(failed),
        "pending": view.pending,
        "skipped": sum(view.skipped.values()),
        "bad_lines": view.bad_lines,
        "fingerprint": view.set,
        "record_sets": [_record_set(store, view, name) for name in view.sets],
        "reasons": dict(Counter(entry.reason for entry in failed).most_common()),
        "quarantine": [entry._asdict() for entry in failed[:QUARANTINE_SHOWN]],
        "skipped_reasons": dict(view.skipped),
        "notes": list(view.notes),
        "segments": len(view.segments),
        "image_folders": [str(folder) for folder in view.image_folders],
        "index": _index(store, view),
    }


def _record_set(store: Store, current: View, name: str) -> dict[str, Any]:
    """Return what one record set is and holds."""
    view = current if name == current.set else store.view(name)
    body: dict[str, Any] = {"name": name, "current": name == store.view().set}
    if name != IMPORTED:
        identity = identity_of(store.layout, name)
        captioner = identity["captioner"]
        body |= {
            "captioner": captioner.get("captioner"),
            "model": captioner.get("model"),
            "prompt": (captioner.get("prompt") or {}).get("name"),
            "identity": identity,
        }
    counts = {"records": view.records, "pending": view.pending}
    return body | counts | {"quarantined": len(view.quarantined)}


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
        "picture_vectors": 0 if manifest.pictures is None else manifest.pictures.images,
    }
