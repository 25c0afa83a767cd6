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
    ("river_bridge", 1): (False, {}),
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
    """Paint an archive of JPEG files into a folder and return its records in id order.

    The kinds come in turn, so that a count of at least ``len(KINDS)`` shows them all. The same
    seed and the same release of Pillow give the same bytes.

    Raises
    ------
    InputError
        If the seed is negative.
    """
    folder.mkdir(parents=True, exist_ok=True)
    seen: set[str] = set()
    records = []
    for index in range(count):
        kind, number = KINDS[index % len(KINDS)], index // len(KINDS) + 1
        again, wanted = _PLANNED.get((kind, number), (False, {}))
        painted = scene(kind, seed * 1000 + number - again, wanted)
        name = f"{kind}_{number:02d}.jpg"
        publish(folder / name, _jpeg(painted.pixels))
        records.append(_worded(painted, name, seen))
    return sorted(records, key=lambda record: record.image)


def _worded(painted: Any, name: str, seen: set[str]) -> Record:
    """Return the scene's record in a wording that no scene before it has used, if there is one."""
    best: Record = painted.record(name)
    fewest = 99
    for wording in range(60):
        record: Record = painted.record(name, wording)
        repeated = sum(text.text in seen for text in record.texts())
        if repeated < fewest:
            best, fewest = record, repeated
        if not repeated:
            break
    seen.update(text.text for text in best.texts())
    return best


def _jpeg(pixels: Any) -> bytes:
    """Return a picture as JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_QUALITY, subsampling=0)
    return buffer.getvalue()
