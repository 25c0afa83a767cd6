"""The similar command."""

from typing import Annotated

import typer

from trsllava.cli.filters import (
    BboxOption,
    SinceOption,
    UntilOption,
    WhereOption,
    read_filters,
)
from trsllava.cli.options import DEFAULT_STORE, JsonOption, RecordsOption, StoreOption
from trsllava.cli.show import as_json, data, note

_TOLD_BY = {"fused": "texts and pictures", "texts": "texts alone", "pictures": "pictures alone"}


def similar(
    image: Annotated[
        str, typer.Argument(metavar="IMAGE", help="An image of the store, or any image file.")
    ],
    store: StoreOption = DEFAULT_STORE,
    top: Annotated[int, typer.Option(metavar="N", help="How many hits.")] = 10,
    where: WhereOption = None,
    bbox: BboxOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    records: RecordsOption = None,
    json: JsonOption = False,
) -> None:
    """Find images like one of the store, or like any image file."""
    from trsllava.search.archive import open_archive
    from trsllava.search.filters import Filters

    filters = read_filters(where, bbox, since, until)
    alike = open_archive(store, records=records).similar(image, top=top, filters=filters)
    if json:
        as_json(alike.to_json())
    else:
        for hit in alike.hits:
            when = f"  {hit.datetime}" if hit.datetime else ""
            data(
                f"{hit.rank:3} {hit.score:5.2f}  {hit.image}{when}{'  (weak)' if hit.weak else ''}"
            )
            data(f'           "{hit.evidence}" ({hit.field} {hit.variant})')
        if not alike.hits:
            filtered = filters != Filters()
            data(f"no other image is indexed{' that passes the filters' if filtered else ''}")
        note(f"told by {_TOLD_BY[alike.mode]}")
    for line in alike.notes:
        note(line)
