"""The model files that ship: none is used that is not what its manifest says.

A damaged file may load and write nonsense, or end in a traceback of another library. A digest of
the largest (23 MB) takes 20 ms here, much less than loading it does.
"""

import json
from pathlib import Path
from typing import Any

from trsllava import resources
from trsllava.errors import TrsllavaError
from trsllava.store.files import sha256_of

BUNDLED = ("adapted", "light", "minilm")  # the models that ship


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a bundled model; raises `TrsllavaError` if it is unreadable."""
    path = folder / "manifest.json"
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrsllavaError(f"{path} is unreadable ({error}); install trsllava again") from error
    return manifest


def intact(folder: Path, name: str) -> Path:
    """Return the path of a bundled model's file.

    Raises `TrsllavaError` if it is missing or differs from the digest in the manifest.
    """
    path = folder / name
    expected = read_manifest(folder)["sha256"][name]
    if not path.is_file() or sha256_of(path) != expected:
        raise TrsllavaError(f"{path} is missing or changed; install trsllava again")
    return path


def session(folder: Path, name: str, threads: int = 1) -> Any:
    """Load a bundled model.

    Parameters
    ----------
    folder
        The model's.
    name
        An ONNX file in it.
    threads
        Cores that one call may use.

    Returns
    -------
    onnxruntime.InferenceSession
        On processors alone, whatever else is there.

    Raises
    ------
    TrsllavaError
        If the file is missing or changed.
    """
    path = intact(folder, name)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def verify_models() -> None:
    """Compare every bundled file with the digest in its manifest.

    Raises `TrsllavaError` if a file is missing or differs.
    """
    for model in BUNDLED:
        folder = resources.find(f"models/{model}")
        for name in read_manifest(folder)["sha256"]:
            intact(folder, name)
