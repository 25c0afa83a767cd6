"""Which assets of a STAC item are pictures to caption.

Pictures have a media type ``image/...``, or none and the suffix of a picture. Taken is the one
with the key ``visual``; else all with the role ``visual``; else all with the role ``data``; else
the first with the role ``overview``; else all without any role; a thumbnail only if there is
nothing else.
"""

import logging
from collections.abc import Mapping
from typing import Any

from trsllava.images import formats
from trsllava.images.notices import say_once
from trsllava.untrusted import printable

log = logging.getLogger(__name__)

Json = Mapping[str, Any]

_RASTER_TYPES = ("image/tiff", "image/jp2", "image/vnd.stac.geotiff")


def chosen_assets(item: Json) -> dict[str, Json]:
    """Return the assets of an item that are pictures to caption, by key."""
    assets = item.get("assets")
    pictures = {
        key: asset
        for key, asset in (assets if isinstance(assets, dict) else {}).items()
        if isinstance(asset, dict) and _is_picture(asset)
    }
    if "visual" in pictures:
        return {"visual": pictures["visual"]}
    by_role: dict[str, dict[str, Json]] = {}
    for key, asset in pictures.items():
        for role in _roles(asset) or [""]:
            by_role.setdefault(role, {})[key] = asset
    shown = by_role.get("thumbnail", {})
    for role in ("visual", "data", "overview", ""):
        chosen = {key: one for key, one in by_role.get(role, {}).items() if key not in shown}
        if chosen:
            return dict([next(iter(chosen.items()))]) if role == "overview" else chosen
    if shown:
        say_once(
            log,
            "thumbnails",
            f"the item {printable(str(item.get('id')))} (and others like it) has no picture but "
            "its thumbnail, which is taken",
        )
        return dict([next(iter(shown.items()))])
    return {}


def _is_picture(asset: Json) -> bool:
    """Tell whether an asset is a picture of a form that is read."""
    href = asset.get("href")
    if not isinstance(href, str) or not href or "metadata" in _roles(asset):
        return False
    kind = _type(asset)
    if kind and kind != "application/octet-stream":
        return kind.startswith("image/") and "svg" not in kind
    known = formats.PICTURES | formats.RASTERS
    return not known.isdisjoint(map(formats.suffix, (href, href.partition("?")[0])))


def is_raster(asset: Json, path: str) -> bool:
    """Tell whether the file of an asset is read as a raster."""
    return formats.suffix(path) in formats.RASTERS or _type(asset).startswith(_RASTER_TYPES)


def _type(asset: Json) -> str:
    kind = asset.get("type")
    return kind.strip().lower() if isinstance(kind, str) else ""


def _roles(asset: Json) -> list[str]:
    roles = asset.get("roles")
    return [role for role in roles if isinstance(role, str)] if isinstance(roles, list) else []


__all__ = ["chosen_assets", "is_raster"]
