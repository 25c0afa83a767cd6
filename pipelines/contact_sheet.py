"""Show what the builtin captioner says: painted scenes with their texts, and texts of RSICD images.

::

    python pipelines/contact_sheet.py docs                      # scenes alone
    python pipelines/contact_sheet.py docs --data ../shared/data/rsicd

writes ``builtin-sheet.jpg`` (24 scenes whose seeds no training has seen) and ``builtin-sheet.md``
(their texts, and with ``--data`` the texts of 24 validation images, whose pictures may not be
shown here).
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageDraw

from trsllava import resources
from trsllava.captioning import Captioned, Prepared, load_captioner
from trsllava.records import FIELDS, Variant

COUNT, COLUMNS, SIDE = 24, 6, 192
SEED = 88_000_000


def main() -> None:
    """Write the sheet and its texts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, help="RSICD, for texts of validation images")
    given = parser.parse_args()
    scenes = list(_scenes())
    _sheet(scenes).save(given.out / "builtin-sheet.jpg", quality=85)
    lines = [
        "# What the builtin captioner says",
        "",
        "Made by `pipelines/contact_sheet.py`. First scenes of the sample archive's painter that",
        "no training has seen, numbered as in the picture; see [builtin.md](builtin.md).",
        "",
        "![24 painted scenes](builtin-sheet.jpg)",
        "",
        *_texts(scenes),
    ]
    if given.data is not None:
        lines += [
            "## Validation images of RSICD",
            "",
            "Every 45th of the split; their pictures belong to RSICD's makers and are not here.",
            "",
            *_texts(list(_validation(given.data))),
        ]
    (given.out / "builtin-sheet.md").write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def _scenes() -> Iterator[Prepared]:
    painter = resources.load_script("datasets/sample_archive.py")
    for number in range(COUNT):
        kind = painter.KINDS[number % len(painter.KINDS)]
        scene = painter.scene(kind, SEED + number)
        yield Prepared(f"{number + 1}, painted as {kind}", Image.fromarray(scene.pixels))


def _validation(data: Path) -> Iterator[Prepared]:
    annotations = json.loads((data / "dataset_rsicd_trainval.json").read_text(encoding="utf-8"))
    names = [i["filename"] for i in annotations["images"] if i["split"] == "val"]
    for name in names[:: len(names) // COUNT][:COUNT]:
        yield Prepared(name, Image.open(data / "images" / name).convert("RGB"))


def _sheet(scenes: list[Prepared]) -> Image.Image:
    """Return all scenes on one picture, numbered."""
    sheet = Image.new("RGB", (COLUMNS * SIDE, -(-len(scenes) // COLUMNS) * SIDE))
    for number, scene in enumerate(scenes):
        place = (number % COLUMNS * SIDE, number // COLUMNS * SIDE)
        sheet.paste(scene.pixels.resize((SIDE, SIDE)), place)
        pen = ImageDraw.Draw(sheet)
        pen.rectangle((*place, place[0] + 20, place[1] + 14), fill="black")
        pen.text((place[0] + 4, place[1] + 1), str(number + 1), fill="white")
    return sheet


def _texts(pictures: list[Prepared]) -> Iterator[str]:
    """Yield the first and the last variant of each picture's record in Markdown."""
    for outcome in load_captioner("builtin").caption(pictures):
        yield f"**{outcome.image}**"
        yield ""
        if isinstance(outcome, Captioned):
            yield from _listed(outcome.variants)
        else:
            yield f"- no record: {outcome.detail}"
        yield ""


def _listed(variants: tuple[Variant, ...]) -> Iterator[str]:
    for number in (0, len(variants) - 1):
        for field, text in zip(FIELDS, variants[number].texts(), strict=True):
            yield f"- {field} {number + 1}: {text}"


if __name__ == "__main__":
    main()
