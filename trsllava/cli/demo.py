"""The demo command: a sample archive, its records, the index, three queries, a page."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trsllava.cli.caption import caption_archive
from trsllava.cli.query import print_hits
from trsllava.cli.show import data, note
from trsllava.errors import InputError

if TYPE_CHECKING:
    from trsllava.records import Record

QUERIES = ("ships moored at a pier", "a bridge over a river", "white storage tanks")
_SHOWN = 3


def demo(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A new folder for the sample archive.")
    ] = Path("trsllava-demo"),
) -> None:
    """Paint a sample archive, caption and index it, ask three queries, write a results page."""
    from trsllava import resources
    from trsllava.captioning import BUILTIN
    from trsllava.embedding import DEFAULT_EMBEDDER, load_embedder
    from trsllava.embedding.pictures import load_eye
    from trsllava.images.metadata_file import read_metadata
    from trsllava.images.source import Reading
    from trsllava.index.build import build_index
    from trsllava.interchange import write
    from trsllava.jobs.intake import Wish
    from trsllava.jobs.run import Limits
    from trsllava.search.archive import open_archive
    from trsllava.search.page import write_page
    from trsllava.search.query import Query
    from trsllava.store.files import publish
    from trsllava.store.store import open_store

    store, images = folder / "store", folder / "images"
    if folder.exists() and any(folder.iterdir()) and not (store / "store.json").exists():
        raise InputError(f"{folder} holds other things; name a new folder: trsllava demo DIR")
    note(f"painting a sample archive in {images}")
    records = resources.load_script("datasets/sample_archive.py").paint_archive(images)
    write(folder / "records.jsonl", records, "rsrt")
    publish(folder / "metadata.csv", _metadata(records).encode())
    wish = Wish((str(images),), Reading(), metadata=read_metadata(folder / "metadata.csv"))
    note(f"trsllava caption {images} --metadata {folder / 'metadata.csv'} --store {store}")
    caption_archive(store, BUILTIN, {}, wish, (1, 1), 1, Limits(), strict=False)
    note(f"trsllava index --images --store {store}")
    build_index(open_store(store), load_embedder(DEFAULT_EMBEDDER), eye=load_eye())
    archive = open_archive(store)
    answers = [archive.answer(Query(text, top=8)) for text in QUERIES]
    for answer in answers:
        data("")
        data(f'trsllava query "{answer.query.text}" --top {_SHOWN} --store {store}')
        print_hits(archive.answer(Query(answer.query.text, top=_SHOWN)), explain=False)
    page = folder / "results.html"
    remark = (
        "The pictures are painted by trsllava; the texts were written by its builtin captioner, "
        "a small model that has seen other paintings of this kind."
    )
    write_page(page, answers, remark)
    note(f"the pictures with their evidence: {page}")
    note(f'ask your own: trsllava query "airport with aircraft" --store {store}')


def _metadata(records: Iterable["Record"]) -> str:
    """Return where and when the scenes are, as a file for ``--metadata``."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(
        ["image", "west", "south", "east", "north", "datetime", "kind", "sensor", "gsd_m"]
    )
    for record in records:
        known = record.metadata
        properties = [known.properties[name] for name in ("kind", "sensor", "gsd_m")]
        table.writerow([record.image, *(known.bbox or [""] * 4), known.datetime, *properties])
    return out.getvalue()
