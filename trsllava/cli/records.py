"""Commands that move records: import, export, remove."""

from pathlib import Path
from typing import Annotated

import typer

from trsllava.cli.options import DEFAULT_STORE, JsonOption, RecordsOption, StoreOption
from trsllava.cli.show import as_json, data, note, resumable


def import_(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Record files: JSONL, CSV or parquet."),
    ],
    store: StoreOption = DEFAULT_STORE,
    images: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The folder of the pictures, which the ids start from."),
    ] = None,
    update: Annotated[
        bool, typer.Option("--update", help="Replace records of images that are there already.")
    ] = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Set bad lines aside instead of refusing the import.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Take records of images into the store: all of the files' records, or none."""
    from dataclasses import asdict

    from trsllava.store.importing import import_files
    from trsllava.store.store import create_store

    with resumable("trsllava import"):
        result = import_files(
            create_store(store), files, images=images, update=update, skip_bad=skip_bad
        )
    if json:
        as_json(asdict(result))
    else:
        data(
            f"{result.added} records added, {result.updated} updated, {result.unchanged} unchanged"
        )
    if result.without_picture:
        note(f"{result.without_picture} of the images are not in {images}")
    if result.bad_lines or result.quarantined:
        note(
            f"{result.bad_lines} bad lines and {result.quarantined} images set aside, with "
            f"reasons in {store / 'bad-lines'}"
        )
        raise typer.Exit(3)


def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write.")],
    store: StoreOption = DEFAULT_STORE,
    format: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="rsrt, captions, csv, parquet or geojson; from the file's suffix unless given. "
            "openai-batch: requests for the images that wait for a captioner.",
        ),
    ] = None,
    records: RecordsOption = None,
) -> None:
    """Write every record to a file, sorted by image."""
    from trsllava.interchange import write
    from trsllava.store.store import open_store

    if format == "openai-batch":
        from trsllava.jobs.batch_export import export_batch

        requests, files = export_batch(open_store(store), records, file)
        note(f"{requests} requests written to {', '.join(map(str, files))}")
        return
    view = open_store(store).view(records)
    count = write(file, iter(view), format)
    note(f"{count} records written to {file}")


def remove(
    images: Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Image ids.")],
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Take the records of images out of the store."""
    from trsllava.records import image_id
    from trsllava.store.maintenance import remove_images
    from trsllava.store.store import open_store

    count = remove_images(open_store(store), [image_id(image) for image in images])
    note(f"{count} records removed; bring the index up to date with: trsllava index")
