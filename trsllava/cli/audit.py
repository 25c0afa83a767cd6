"""The command that looks for records that look wrong, and takes them out of search."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trsllava.cli.options import DEFAULT_STORE, JsonOption, RecordsOption, StoreOption
from trsllava.cli.show import as_json, data, note

if TYPE_CHECKING:
    from trsllava.audit.agreement import Agreement
    from trsllava.audit.gists import Vectors
    from trsllava.audit.suspicions import Suspicion
    from trsllava.store.store import Store
    from trsllava.store.view import View

_SHOWN = 20
_ON_THE_PAGE = 100


def audit(
    store: StoreOption = DEFAULT_STORE,
    records: RecordsOption = None,
    top: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help=f"Show so many: {_SHOWN} unless given, as JSON all, on a page {_ON_THE_PAGE}.",
        ),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="Also ask the light head whether texts fit the pictures in this folder.",
        ),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write a page with the pictures.")
    ] = None,
    quarantine: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Take the worst out of search until N are; their records are kept.",
        ),
    ] = None,
    requeue: Annotated[
        bool,
        typer.Option(
            "--requeue",
            help="No audit: let what was quarantined so wait for the captioner again.",
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Show records that look wrong, worst first: texts that repeat, or agree with nothing."""
    from trsllava.audit.agreement import add_agreements
    from trsllava.audit.suspicions import audit as audit_records
    from trsllava.errors import UsageError
    from trsllava.store.store import open_store

    opened = open_store(store)
    if requeue:
        if top or images or html or quarantine or json:
            raise UsageError("--requeue goes alone, with --store and --records at most")
        _requeue(opened, records)
        return
    view = opened.view(records)
    digests = (lot.manifest.digests for lot in view.lots if lot.manifest is not None)
    found = audit_records(view, _equal_bytes(digests))
    vectors = _index_vectors(view) if images is None else _new_vectors(view, images)
    if vectors is not None:
        found = add_agreements(found, _agreements(vectors))
    if json:
        as_json([{"image": s.image, "score": s.score, "reasons": s.reasons} for s in found[:top]])
    else:
        for suspicion in found[: top or _SHOWN]:
            data(f"{suspicion.score:.2f}  {suspicion.image}: {'; '.join(suspicion.reasons)}")
        note(f"{len(found) or 'none'} of {view.records} records look wrong")
    if html is not None:
        _write_page(html, found, view, images, top or _ON_THE_PAGE)
    if quarantine is not None:
        _quarantine(opened, view, found, quarantine)


def _index_vectors(view: "View") -> "Vectors | None":
    """Return the vectors of the index, or None, said, if there is none."""
    import numpy as np

    from trsllava.audit.gists import Vectors
    from trsllava.index.manifest import read_current

    index = read_current(view.layout, view.set)
    if index is None:
        note("variants were not held against each other, which needs: trsllava index")
        return None
    seen = index.pictures
    if seen is None or seen.eye["encoder"] != index.embedder["name"]:
        return Vectors(view, index.fingerprint)
    mean = np.array(seen.text_mean, np.float32)
    return Vectors(view, index.fingerprint, text_mean=mean, pictures=seen.fingerprint)


def _new_vectors(view: "View", folder: Path) -> "Vectors":
    """Return the vectors of the light head, which looks at the pictures anew."""
    from trsllava.audit.gists import Seeing, Vectors
    from trsllava.embedding import fingerprint, load_embedder
    from trsllava.embedding.pictures import load_eye
    from trsllava.store.pictures import Pictures

    eye = load_eye()
    encoder = load_embedder(str(eye.identity()["encoder"]))
    seeing = Seeing(eye, Pictures(view, (folder,)))
    return Vectors(view, fingerprint(encoder), encoder, eye.text_mean, seeing)


def _agreements(vectors: "Vectors") -> "Iterator[Agreement]":
    """Yield how records agree, and say of how many that cannot be told."""
    from trsllava.audit.agreement import agreements
    from trsllava.embedding.pictures import say_missing

    missing: dict[str, str] = {}
    untold = Counter[int]()
    for agreement in agreements(vectors):
        if agreement.missing is not None:
            missing[agreement.image] = agreement.missing
        elif agreement.picture is None and (vectors.pictures or agreement.variant is None):
            untold[agreement.others] += 1
        yield agreement
    if missing:
        note(say_missing(missing))
    if untold:
        against = "their pictures" if vectors.pictures else "the others"
        note(
            f"{untold.total()} records could not be held against {against}: their texts cannot "
            f"be read, are not indexed, or too few other records are at hand ({max(untold)})"
        )


def _equal_bytes(digests: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return the images whose bytes equal those of an earlier one, and that one."""
    first: dict[str, str] = {}
    same: dict[str, str] = {}
    for lot in digests:
        for image, digest in lot.items():
            if (earlier := first.setdefault(digest, image)) != image:
                same[image] = earlier
    return same


def _write_page(
    path: Path, found: "list[Suspicion]", view: "View", folder: Path | None, top: int
) -> None:
    from trsllava.audit.page import write_page
    from trsllava.store.pictures import Pictures

    pictures = Pictures(view, () if folder is None else (folder,))
    write_page(path, found[:top], pictures, hidden=len(found[top:]))
    note(f"page written to {path}")


def _quarantine(store: "Store", view: "View", found: "list[Suspicion]", most: int) -> None:
    from trsllava.upkeep.set_aside import set_aside

    done = set_aside(store, view, found, most)
    note(f"{len(done.images)} records quarantined now, {done.before} before")
    for path in done.files:
        note(f"kept in {path}; take them back with: trsllava import {path} --store {store.root}")
    if done.images:
        note(
            f"next: trsllava index --store {store.root}; to have them written anew: "
            f"trsllava audit --requeue --store {store.root}"
        )


def _requeue(store: "Store", records: str | None) -> None:
    from trsllava.upkeep.set_aside import requeue

    count = requeue(store, records)
    data(f"{count} images sent back to the captioner")
    if count:
        note(
            "next: trsllava caption, as record set "
            f"{records or store.view().set} was captioned, with --store {store.root}"
        )
