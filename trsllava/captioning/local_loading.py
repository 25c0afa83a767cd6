"""Loading a vision-language model of transformers, from a folder or from the Hugging Face hub.

Only safetensors are read, no code of a model's repository is ever run, and a folder is loaded
without touching the network.
"""

import hashlib
import importlib.util
import logging
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trsllava.errors import InputError, MissingExtra, TrsllavaError, UsageError
from trsllava.records import canonical_json

log = logging.getLogger(__name__)

DTYPES = ("auto", "bfloat16", "float16", "float32")
QUANTIZATIONS = ("4bit", "8bit")
# A repository's id: one or two plain names.
_HUB_ID = re.compile(r"[\w-][\w.-]*(?:/[\w-][\w.-]*)?", re.ASCII)
_SETTINGS = (".json", ".jinja", ".model", ".txt")
_WEIGHTS = ".safetensors"
_SAMPLES, _SAMPLE_BYTES = 128, 4096


# What transformers raises for a model that is not there, broken, or of another kind.
_TROUBLE = (
    AttributeError,
    ImportError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model with its processor; ``name`` and ``revision`` are what the provenance says."""

    processor: Any
    model: Any
    name: str
    revision: str


def load(
    model: str, *, device: str | None = None, dtype: str | None = None, quantization: str | None
) -> Loaded:
    """Load an image-text-to-text model.

    Parameters
    ----------
    model
        A folder, or the id of a repository on the hub.
    device
        ``cpu``, ``cuda``, ``cuda:1``, ``mps``, or ``auto``, which spreads the model over all
        there are; ``auto`` where CUDA is there and else ``cpu`` unless given.
    dtype
        What the weights are kept in; the checkpoint's own unless given.
    quantization
        ``4bit`` or ``8bit`` through bitsandbytes, or None.

    Returns
    -------
    Loaded
        The model, ready to be asked.

    Raises
    ------
    UsageError
        If an option has a value that it cannot have.
    InputError
        If there is no such folder, or it holds no model of that kind.
    MissingExtra
        If PyTorch, transformers or accelerate is not installed.
    TrsllavaError
        If it cannot be loaded.
    """
    if dtype is not None and dtype not in DTYPES:
        raise UsageError(f"the dtype must be one of {', '.join(DTYPES)}, not {dtype!r}")
    if quantization is not None and quantization not in QUANTIZATIONS:
        raise UsageError(
            f"the quantization must be one of {', '.join(QUANTIZATIONS)}, not {quantization!r}"
        )
    folder = _folder(model)
    _require_packages(quantization)
    from safetensors import SafetensorError

    options: dict[str, Any] = {"dtype": dtype or "auto", "device_map": _device(device)}
    if quantization is not None:
        options["quantization_config"] = _quantization(quantization)
    try:
        if folder is not None:
            processor, network = _from_pretrained(str(folder), options, local_files_only=True)
            name, revision = folder.name, folder_revision(folder)
        else:
            processor, network, revision = _from_hub(model, options)
            name = model
    except (*_TROUBLE, SafetensorError) as error:
        raise _cannot_load(model, folder, error) from error
    if getattr(processor, "tokenizer", None) is None or (
        getattr(processor, "image_processor", None) is None
    ):
        raise InputError(f"the model {model} takes no pictures with a text: choose another")
    return Loaded(processor, network, name, revision)


def folder_revision(folder: Path) -> str:
    """Return a digest of all that changes what a model in a folder writes.

    It is the SHA-256 over the small files (configuration, tokenizer, templates) and, for the
    weights, over names, sizes, the headers of the safetensors and samples all over their bytes,
    which tell a fine-tuned model from its base: reading gigabytes at each start would take
    longer than loading them.

    Raises `InputError` if a file cannot be read.
    """
    listed: list[list[Any]] = []
    try:
        for path in sorted(folder.iterdir()):
            if path.suffix in _SETTINGS and path.is_file():
                listed.append([path.name, hashlib.sha256(path.read_bytes()).hexdigest()])
            elif path.suffix == _WEIGHTS:
                listed.append([path.name, path.stat().st_size, _sampled(path)])
    except OSError as error:
        raise InputError(f"the model {folder} cannot be read: {error}") from error
    return hashlib.sha256(canonical_json(listed)).hexdigest()


def _sampled(path: Path) -> str:
    """Return a digest of a safetensors file's header (names and shapes) and of a few samples."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        digest = hashlib.sha256(file.read(min(length, size)))
        for number in range(_SAMPLES):
            file.seek(number * size // _SAMPLES)
            digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()


def _folder(model: str) -> Path | None:
    """Return the folder that is meant, or None for an id of the hub."""
    path = Path(model).expanduser()
    if model and path.is_dir():
        return path.resolve()
    if not _HUB_ID.fullmatch(model):
        raise InputError(f"the model {model!r} is neither a folder nor an id such as OWNER/NAME")
    return None


def _device(wanted: str | None) -> str:
    """Return where the model goes."""
    import torch

    if wanted is None:
        return "auto" if torch.cuda.is_available() else "cpu"
    if wanted == "auto":
        return wanted
    try:
        # PyTorch raises the last one where it was built without CUDA.
        torch.empty(1, device=wanted)
    except (RuntimeError, NotImplementedError, AssertionError) as error:
        raise UsageError(
            f"the device {wanted!r} cannot be used: {str(error).strip().splitlines()[0]}"
        ) from error
    return wanted


def _require_packages(quantization: str | None) -> None:
    for package in ("torch", "transformers", "accelerate"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtra(f"captioning with a model on this machine ({package})", "vlm")
    if quantization is not None and importlib.util.find_spec("bitsandbytes") is None:
        raise TrsllavaError(
            f"the quantization {quantization} needs bitsandbytes: pip install bitsandbytes"
        )


def _quantization(kind: str) -> Any:
    from transformers import BitsAndBytesConfig

    config: Any = BitsAndBytesConfig
    return config(load_in_4bit=kind == "4bit", load_in_8bit=kind == "8bit")


def _from_hub(model: str, options: dict[str, Any]) -> tuple[Any, Any, str]:
    """Load what was fetched before; else fetch it, if the hub can be reached; tell the commit."""
    from huggingface_hub import HfApi, try_to_load_from_cache

    cached = try_to_load_from_cache(model, "config.json")
    if isinstance(cached, str):
        commit = Path(cached).parent.name  # .../snapshots/COMMIT/config.json
        try:
            return *_from_pretrained(model, options, local_files_only=True, revision=commit), commit
        except OSError:
            log.info("%s was fetched in part: fetching the rest", model)
    try:
        # transformers would try every file for half a minute before it says so.
        commit = str(HfApi().model_info(model, timeout=20).sha)
    # Two libraries for HTTP, by the hub's version.
    except Exception as error:
        raise OSError(f"the hub does not offer it: {error}") from error
    return *_from_pretrained(model, options, local_files_only=False, revision=commit), commit


def _from_pretrained(where: str, options: dict[str, Any], **source: Any) -> tuple[Any, Any]:
    import transformers

    if not sys.stderr.isatty():
        bars: Any = transformers.utils.logging
        bars.disable_progress_bar()
    processors: Any = transformers.AutoProcessor
    networks: Any = transformers.AutoModelForImageTextToText
    common = {"trust_remote_code": False, **source}
    processor = processors.from_pretrained(where, **common)
    network, info = networks.from_pretrained(
        where, use_safetensors=True, output_loading_info=True, **common, **options
    )
    if missing := sorted(info["missing_keys"]):  # these would be filled with random numbers
        raise ValueError(f"it lacks {len(missing)} weights, for example {missing[0]}")
    return processor, network.eval()


def _cannot_load(model: str, folder: Path | None, error: Exception) -> TrsllavaError:
    """Say in one line why, and what helps."""
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    if "torchvision::" in reason or "torchvision::" in str(error.__cause__):
        return TrsllavaError(
            f"the model {model} cannot be loaded: the torchvision here is built for another "
            "PyTorch; install the build that fits, or pip uninstall torchvision"
        )
    if isinstance(error, MemoryError) or "out of memory" in reason:
        return TrsllavaError(
            f"the model {model} does not fit in memory: take a smaller one, a dtype of 16 bits or "
            f"a quantization ({reason})"
        )
    if folder is not None:
        return InputError(
            f"the model in {folder} cannot be loaded: {reason}; the folder must hold "
            "config.json, the processor's files and *.safetensors of a vision-language model "
            "that this transformers knows"
        )
    return TrsllavaError(
        f"the model {model} cannot be loaded: {reason}; where the hub cannot be reached, "
        f"fetch it elsewhere (hf download {model} --local-dir FOLDER) and give the FOLDER"
    )
