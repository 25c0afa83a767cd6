"""Why images have no record: the reasons, with what the side logs say beside them."""

import json
from collections.abc import Iterator
from typing import NamedTuple

from trsllava.store.view import View

AUDITED = "audit: "  # how a reason begins that an audit gave


class Quarantined(NamedTuple):
    """An image without a record; ``reason`` is one word, ``detail`` says it in a sentence."""

    image: str
    reason: str
    detail: str


def quarantined_images(view: View) -> Iterator[Quarantined]:
    """Yield the images that have no record, with the captioner's own words where they are kept."""
    for image, why in view.refused.items():
        yield Quarantined(image, "audit" if why.startswith(AUDITED) else "import", why)
    for lot in view.lots:
        if lot.manifest is None or not lot.manifest.quarantined:
            continue
        details = _details(view, lot.ref.name)
        for image, reason in lot.manifest.quarantined.items():
            if view.tombs.get(image, 0) <= lot.intake.number:
                yield Quarantined(image, reason, details.get(image, ""))


def _details(view: View, lot: str) -> dict[str, str]:
    """Read a side log, which may be lost or cut without harm."""
    path = view.layout.side / view.set / f"{lot}.jsonl"
    found: dict[str, str] = {}
    try:
        for line in path.read_bytes().splitlines():
            body = json.loads(line)
            if isinstance(body, dict) and "detail" in body:
                found[str(body.get("image"))] = str(body["detail"])
    except (OSError, ValueError):
        return found
    return found
