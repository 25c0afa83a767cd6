"""Commands that look after a store: index, status, verify, compact, prune."""

from typing import Annotated, Any

import typer

from trsllava.cli.options import DEFAULT_STORE, JsonOption, RecordsOption, StoreOption
from trsllava.cli.show import as_json, data, note, resumable

_QUARANTINE_SHOWN = 10


def index(
    store: StoreOption = DEFAULT_STORE,
    embedder: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="minilm (ships), or the name or path of a sentence-transformers model; the "
            "index's present one unless given.",
        ),
    ] = None,
    images: Annotated[
        bool,
        typer.Option(
            "--images",
            help="Also look at the pictures, with the light head; later runs keep this up.",
        ),
    ] = False,
    records: RecordsOption = None,
) -> None:
    """Bring the index up to date with the records, and with --images with the pictures."""
    from trsllava.embedding import DEFAULT_EMBEDDER, load_embedder
    from trsllava.embedding.pictures import load_eye
    from trsllava.errors import StoreDamaged
    from trsllava.index.build import build_index
    from trsllava.index.manifest import read_current
    from trsllava.store.store import open_store

    opened = open_store(store)
    current = None
    try:
        current = read_current(opened.layout, opened.view(records).set)
    except StoreDamaged as error:
        if embedder is None:
            raise StoreDamaged(
                f"{error}; name the encoder: trsllava index --embedder ID"
            ) from error
    known = str(current.embedder["name"]) if current else DEFAULT_EMBEDDER
    encoder = load_embedder(embedder or known)
    kept = current is not None and current.pictures is not None
    with resumable("trsllava index"):
        manifest = build_index(
            opened,
            encoder,
            records=records,
            eye=load_eye() if images or kept else None,
            look_again=images,
        )
    for field, count in manifest.too_long.items():
        note(f"{count} {field} texts are longer than the encoder's window")
    note(
        f"index {manifest.name} of {store}: {manifest.images} images, {manifest.texts} texts, "
        f"encoder {manifest.embedder['name']}, {manifest.kind}"
        + (f", {manifest.pictures.images} pictures" if manifest.pictures else "")
    )


def status(
    store: StoreOption = DEFAULT_STORE,
    records: RecordsOption = None,
    json: JsonOption = False,
) -> None:
    """Say what the store holds."""
    from trsllava.store.store import open_store
    from trsllava.upkeep.status import status_of

    facts = status_of(open_store(store), records)
    if json:
        as_json(facts)
        return
    failed = facts.pop("quarantine")
    for key, value in facts.items():
        if value or key not in ("reasons", "skipped_reasons", "notes"):
            data(f"{key:14} {_plain(value)}")
    for entry in failed[:_QUARANTINE_SHOWN]:
        data(f"  {entry['image']}: {entry['reason']}: {entry['detail']}")
    if len(failed) > _QUARANTINE_SHOWN:
        data(f"  ... {facts['quarantined'] - _QUARANTINE_SHOWN} more: trsllava status --json")


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        shown = {key: entry for key, entry in value.items() if key != "identity"}
        return ", ".join(f"{key} {_plain(entry)}" for key, entry in shown.items()) or "none"
    if isinstance(value, list):
        return "; ".join(map(_plain, value)) or "none"
    return "none" if value is None else str(value)


def verify(store: StoreOption = DEFAULT_STORE, json: JsonOption = False) -> None:
    """Hash every file of the store again and name those that are damaged."""
    from trsllava.store.store import open_store
    from trsllava.upkeep.verify import verify as verify_store

    found = verify_store(open_store(store))
    if json:
        body = {"files": found.files, "damaged": list(found.damaged), "notes": list(found.notes)}
        as_json(body)
    else:
        for line in found.damaged:
            data(f"damaged: {line}")
        for line in found.notes:
            note(line)
        data(f"{found.files} files sound, {len(found.damaged)} damaged")
    if found.damaged:
        raise typer.Exit(1)


def compact(store: StoreOption = DEFAULT_STORE) -> None:
    """Fold updates and removals into fresh segments."""
    from trsllava.store.maintenance import compact as compact_store
    from trsllava.store.store import open_store

    before, after = compact_store(open_store(store))
    note(f"{before} segments before, {after} after; trsllava prune deletes what is left over")


def prune(store: StoreOption = DEFAULT_STORE) -> None:
    """Delete segments, vectors and index generations that are no longer current."""
    from trsllava.store.store import open_store
    from trsllava.upkeep.prune import prune as prune_store

    note(f"{len(prune_store(open_store(store)))} files and folders deleted")
