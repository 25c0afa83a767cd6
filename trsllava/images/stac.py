"""STAC on disk: items, item collections, catalogues and collections, read without any network.

Links are followed to wherever they lead on this machine, each file once, so loops end; what lies
behind an address is not fetched. Ids are ``<item id>/<asset key>``. See `stac_assets` for
which assets are taken.
"""

import logging
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from trsllava.errors import InputError, UsageError
from trsllava.images.names import id_of, refused
from trsllava.images.source import Found, Reading, Skipped, Source, Unfit
from trsllava.images.stac_assets import chosen_assets, is_raster
from trsllava.images.stac_metadata import alike_to_file, metadata_of_item
from trsllava.interchange.lines import BOM, parse_json
from trsllava.records import Metadata
from trsllava.untrusted import printable

log = logging.getLogger(__name__)

Json = Mapping[str, Any]

_BYTES_LIMIT = 1 << 28  # of one file


def sources(path: Path, reading: Reading) -> Iterator[Found]:
    """Yield the pictures of a STAC file and of all that it links to.

    Parameters
    ----------
    path
        An item, an item collection, a catalogue or a collection.
    reading
        How rasters are read.

    Yields
    ------
    Found
        Sources with what their items say; assets that are not there or not on this machine are
        `Unfit`; links that lead nowhere are logged, one line each, and counted as `Skipped`.

    Raises
    ------
    InputError
        If the file itself cannot be read (a `UsageError` if it is not STAC).
    """
    first = os.path.abspath(path)
    seen = {_real(first)}
    pending = [first]
    while pending:
        place = pending.pop()
        try:
            body = read_stac(place)
        except InputError as error:
            if place == first:
                raise
            log.warning("a link of %s leads nowhere: %s", printable(first), error)
            yield Skipped("broken STAC link")
            continue
        links = []
        for item in _items(body):
            yield from _item_sources(item, place, reading)
        for href in _hrefs(body):
            target = local_path(href, place)
            if target is None:
                log.warning(
                    "%s links to %s, which is not on this machine; download it first",
                    printable(place),
                    printable(href[:300]),
                )
                yield Skipped("remote STAC link")
            elif (real := _real(target)) not in seen:
                seen.add(real)
                links.append(target)
        pending += reversed(links)


def read_stac(path: str) -> Json:
    """Read a STAC file.

    Raises `InputError` if it cannot be read, a `UsageError` if it is not STAC.
    """
    shown = printable(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise InputError(f"{shown} is not a file")
            raw = file.read(_BYTES_LIMIT + 1)
    except (OSError, ValueError) as error:
        raise InputError(f"{shown} cannot be read: {error}") from error
    if len(raw) > _BYTES_LIMIT:
        raise InputError(f"{shown} is larger than {_BYTES_LIMIT >> 20} MiB; cut it in parts")
    try:
        body = parse_json(raw.removeprefix(BOM).decode())
    except UnicodeDecodeError as error:
        raise InputError(f"{shown} is not UTF-8: byte {error.start + 1}") from error
    except InputError as error:
        raise InputError(f"{shown}: {error}") from error
    kinds = ("Feature", "FeatureCollection", "Catalog", "Collection")
    if isinstance(body, dict) and body.get("type") in kinds:
        return body
    raise UsageError(f"{shown} is not STAC: 'type' must be one of {', '.join(kinds)}")


def local_path(href: str, base: str) -> str | None:
    """Return the path that a reference in a file means, or None if it is not on this machine."""
    try:
        scheme = urlsplit(href).scheme if "://" in href or href.startswith("file:") else ""
    except ValueError:
        return None
    if scheme == "file":
        href = unquote(urlsplit(href).path)
    elif scheme:
        return None
    path = os.path.normpath(os.path.join(os.path.dirname(base), href))
    # References are URLs by the letter and file names by habit.
    return path if os.path.lexists(path) or "%" not in path else unquote(path)


def _real(path: str) -> str:
    """Return the path without links; one that can be none stays, and will not be opened."""
    try:
        return os.path.realpath(path)
    except ValueError:
        return path


def _items(body: Json) -> Iterator[Json]:
    """Yield the items in a file itself."""
    if body["type"] == "Feature":
        yield body
    elif body["type"] == "FeatureCollection":
        features = body.get("features")
        yield from (
            (one for one in features if isinstance(one, dict)) if isinstance(features, list) else ()
        )


def _hrefs(body: Json) -> Iterator[str]:
    """Yield where a file's links to more of it lead."""
    wanted = ("next",) if body["type"] == "FeatureCollection" else ("child", "item")
    links = body.get("links")
    if body["type"] == "Feature" or not isinstance(links, list):
        return
    for link in links:
        if isinstance(link, dict) and link.get("rel") in wanted:
            href = link.get("href")
            if isinstance(href, str) and href:
                yield href


def _item_sources(item: Json, place: str, reading: Reading) -> Iterator[Found]:
    """Yield the pictures of an item."""
    assets = chosen_assets(item)
    if not isinstance(item.get("id"), str):
        log.warning("%s holds an item without an id", printable(place))
        yield Skipped("STAC item without an id")
        return
    if not assets:
        yield Skipped("STAC item without a picture")
    if not isinstance(item.get("properties"), dict):
        item = {**item, "properties": {}}
    known = metadata_of_item(item, place) if assets else Metadata()
    for key, asset in assets.items():
        name = f"{item['id']}/{key}"
        try:
            image = id_of(name)
        except InputError as error:
            yield Unfit(refused(name), "bad_name", str(error))
            continue
        yield from _asset_sources(image, item, asset, known, place, reading)


def _asset_sources(
    image: str, item: Json, asset: Json, known: Metadata, place: str, reading: Reading
) -> Iterator[Found]:
    """Yield what one asset gives: an image, or the windows of a raster."""
    href = asset["href"]
    path = local_path(href, place)
    if path is None:
        yield Unfit(image, "remote", f"{printable(href[:300])}: nothing is fetched; download first")
        return
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        yield Unfit(image, "gone", f"{printable(path)}, asset of {printable(place)}: {error}")
        return
    if not stat.S_ISREG(status.st_mode):
        yield Unfit(image, "not_an_image", f"{printable(path)} is not a file")
    elif is_raster(asset, path):
        from trsllava.images import scenes

        described = {**item["properties"], **asset}
        alike = alike_to_file(path, known, described, place)
        for found in scenes.sources(Path(path), image, reading):
            if isinstance(found, Source):
                yield replace(found, metadata=_joined(found, known, alike))
            else:
                yield found
    else:
        yield Source(image, path, status.st_size, status.st_mtime_ns, metadata=known)


def _joined(found: Source, known: Metadata, alike: bool) -> Metadata:
    """Join what the item and the file say; the box of an item is none of a window's."""
    own = found.metadata
    return Metadata(
        known.bbox if alike and found.window is None else own.bbox,
        known.datetime if known.datetime is not None else own.datetime,
        {**known.properties, **own.properties},
    )


__all__ = ["local_path", "read_stac", "sources"]
