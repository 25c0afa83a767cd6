"""The sample archive: overhead scenes painted by the project itself, and what is in them.

Nothing here is a photograph and no place is real. Each scene is painted from random numbers, so
its contents (kinds, counts, positions, colours) are known exactly, and its record is written from
these facts. Load this script with ``trsllava.resources.load_script``; its parts lie in the folder
of the same name beside it and need only numpy and Pillow.
"""

import importlib
import io
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from PIL import Image

from trsllava.records import Record
from trsllava.store.files import publish

SEED = 7
_QUALITY = 90
_PARTS = "trsllava_sample_archive_parts"

# Scenes of an archive that chance should not decide: by kind and number from 1, whether the
# scene repeats the place of the one before it, and what it must contain.
_PLANNED: dict[tuple[str, int], tuple[bool, dict[str, int | str]]] = {
    ("harbour", 1): (False, {"ships": 5, "piers": 3}),
    ("harbour", 3): (False, {"ships": 0}),
    ("storage_tanks", 1): (False, {"tank": "white"}),
    ("storage_tanks", 2): (False, {"tank": "white"}),
    ("storage_tanks", 3): (True, {"tank": "rust-brown"}),
    ("parking", 1): (False, {"cars": 78}),
    ("parking", 2): (True, {"cars": 12}),
}


def _parts(name: str) -> ModuleType:
    """Return a module of the folder beside this script, without making it importable for all."""
    if _PARTS not in sys.modules:
        package = ModuleType(_PARTS)
        package.__path__ = [str(Path(__file__).resolve().with_name("sample_archive"))]
        sys.modules[_PARTS] = package
    return importlib.import_module(f"{_PARTS}.{name}")


_scenes: Any = _parts("scenes")
KINDS: tuple[str, ...] = _scenes.KINDS
Scene = _scenes.Scene
scene = _scenes.scene


def paint_archive(folder: Path, seed: int = SEED, count: int = 60) -> list[Record]:
    """Paint an archive of JPEG files into a folder.

    Parameters
    ----------
    folder
        Where ``harbour_01.jpg`` and its like go; made if it does not exist.
    seed
        The same seed and the same release of Pillow give the same bytes.
    count
        How many scenes; the kinds come in turn, so ``len(KINDS)`` of them show every kind.

    Returns
    -------
    list[Record]
        One record for each picture, in the order of their ids; no text occurs twice.
    """
    taken: set[str] = set()
    records: list[Record] = []
    for index in range(count):
        kind, number = KINDS[index % len(KINDS)], index // len(KINDS) + 1
        again, wanted = _PLANNED.get((kind, number), (False, {}))
        painted = scene(kind, seed * 1000 + number - again, wanted)
        record: Record = painted.record(f"{kind}_{number:02d}.jpg", taken)
        publish(folder / record.image, _jpeg(painted.pixels))
        taken.update(text.text for text in record.texts())
        records.append(record)
    return sorted(records, key=lambda record: record.image)


def _jpeg(pixels: Any) -> bytes:
    """Return a picture as JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_QUALITY, subsampling=0)
    return buffer.getvalue()
