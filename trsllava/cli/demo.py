"""The demo command: a sample archive, its records, the index, three queries, a page."""

from pathlib import Path
from typing import Annotated

import typer

from trsllava.cli.query import print_hits
from trsllava.cli.show import data, note
from trsllava.errors import InputError

QUERIES = ("ships moored at a pier", "a bridge over a river", "white storage tanks")
_SHOWN = 3


def demo(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A new folder for the sample archive.")
    ] = Path("trsllava-demo"),
) -> None:
    """Paint a sample archive, index its records, ask three queries and write a results page."""
    from trsllava import resources
    from trsllava.embedding import DEFAULT_EMBEDDER, load_embedder
    from trsllava.index.build import build_index
    from trsllava.interchange import write
    from trsllava.search.archive import open_archive
    from trsllava.search.page import write_page
    from trsllava.search.query import Query
    from trsllava.store.importing import import_files
    from trsllava.store.store import create_store

    store = folder / "store"
    if folder.exists() and any(folder.iterdir()) and not (store / "store.json").exists():
        raise InputError(f"{folder} holds other things; name a new folder: trsllava demo DIR")
    note(f"painting a sample archive in {folder / 'images'}")
    records = resources.load_script("datasets/sample_archive.py").paint_archive(folder / "images")
    write(folder / "records.jsonl", records, "rsrt")
    remark = (
        "The pictures are painted by trsllava, and the records are the painter's own description "
        "of each scene: no vision-language model has looked at them."
    )
    note(remark)
    opened = create_store(store)
    import_files(opened, [folder / "records.jsonl"], images=folder / "images", update=True)
    build_index(opened, load_embedder(DEFAULT_EMBEDDER))
    archive = open_archive(store)
    answers = [archive.answer(Query(text, top=8)) for text in QUERIES]
    for answer in answers:
        data("")
        data(f'trsllava query "{answer.query.text}" --top {_SHOWN} --store {store}')
        print_hits(archive.answer(Query(answer.query.text, top=_SHOWN)), explain=False)
    page = folder / "results.html"
    write_page(page, answers, remark)
    note(f"the pictures with their evidence: {page}")
    note(f'ask your own: trsllava query "airport with aircraft" --store {store}')
