"""The one place that finds what ships beside the code.

Prompts, pipelines and dataset cards lie at the top of a checkout and inside
the package of a wheel; models always lie inside the package.
"""

import importlib.util
from pathlib import Path
from types import ModuleType

from trsllava.errors import TrsllavaError

_PACKAGE = Path(__file__).resolve().parent
_FOLDERS = ("prompts", "pipelines", "datasets")


def find(relative: str) -> Path:
    """Return the path of a shipped file or folder, such as ``datasets/rsicd.toml``.

    Raises `TrsllavaError` if this installation lacks it.
    """
    top = relative.split("/", 1)[0]
    if top == "models":
        candidates = [_PACKAGE / relative]
    elif top in _FOLDERS:
        candidates = [_PACKAGE / "_bundled" / relative]
        checkout = _PACKAGE.parent
        # Beside an installed package a folder "datasets" may be somebody else's.
        if (checkout / "pyproject.toml").is_file():
            candidates.append(checkout / relative)
    else:
        raise TrsllavaError(f"{relative} is not among what ships: {', '.join(_FOLDERS)}, models")
    for path in candidates:
        if path.exists():
            return path
    raise TrsllavaError(f"this installation lacks {relative}; install trsllava again")


def load_script(relative: str) -> ModuleType:
    """Import a shipped script by its path, without touching ``sys.path``."""
    path = find(relative)
    spec = importlib.util.spec_from_file_location(f"trsllava_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise TrsllavaError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
