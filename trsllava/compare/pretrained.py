"""What the backbones of transformers have in common: loading, weights' names, reading texts.

Models come by folder or hub id (a hub id may be fetched). Pickled weights are never read, no code
of a model's is run, and a parameter that a file does not hold is an error, not a random number.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trsllava.compare.features import Read, ragged
from trsllava.compare.sizes import PIECES
from trsllava.errors import InputError, MissingExtra
from trsllava.store.files import sha256_of

BATCH = 32  # pictures or texts at a time


def transformers_for(backbone: str) -> Any:
    """Return the module transformers, its progress bars off.

    Raises `MissingExtra`, which names the backbone, if it is not installed.
    """
    try:
        import transformers
        from transformers.utils import logging as bars
    except ImportError as error:
        raise MissingExtra(f"the backbone {backbone}", "compare") from error
    bars.disable_progress_bar()  # type: ignore[no-untyped-call]
    return transformers


def load(kind: Any, name: str, family: str, key: str, **more: Any) -> Any:
    """Load a model, frozen.

    Parameters
    ----------
    kind
        Its class in transformers.
    name
        A folder or a hub id.
    family
        What people call its kind, for messages.
    key
        The key of ``[backbone]`` that named it, for messages.
    **more
        What its class is given beside.

    Returns
    -------
    Any
        The model, in evaluation mode.

    Raises
    ------
    InputError
        If there is no such model, it is of another family, or parameters are missing.
    """
    needs = f"'{key}' in [backbone] must be a folder or hub id with config and safetensors"
    try:
        stated = kind.config_class.get_config_dict(name)[0].get("model_type")
        if stated != kind.config_class.model_type:
            raise InputError(f"{name} is no {family} model but states {stated!r}; {needs}")
        model, about = kind.from_pretrained(
            name, use_safetensors=True, output_loading_info=True, **more
        )
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{name} is no {family} model that transformers reads ({error}); {needs}"
        ) from error
    if about["missing_keys"]:
        first = min(about["missing_keys"])
        raise InputError(f"the weights of {name} lack {first}; {needs}, all of it")
    return model.eval().requires_grad_(False)


def load_part(kind: Any, name: str, key: str) -> Any:
    """Return a tokenizer or a preprocessor; raises `InputError` if it is not there."""
    try:
        return kind.from_pretrained(name)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{name} has no files that {kind.__name__} reads ({error}); '{key}' in [backbone] "
            "must be a folder or hub id that is complete"
        ) from error


def weights_of(model: Any, name: str) -> str:
    """Return what says which weights a model has: a folder's digest, or a hub id's revision."""
    folder = Path(name)
    if not folder.is_dir():
        return f"{name}@{getattr(model.config, '_commit_hash', None)}"
    digests = [sha256_of(path) for path in sorted(folder.glob("*.safetensors"))]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def read_texts(
    tokenizer: Any,
    encode: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    texts: Sequence[str],
    longest: int,
) -> Read:
    """Encode texts, the first `PIECES` word pieces of each.

    Parameters
    ----------
    tokenizer
        Of transformers; it sets a mark before and one behind a text.
    encode
        Token ids and the attention mask (n, tokens) in; global vectors (n, text) and the last layer
        (n, tokens, token) out.
    texts
        What is read.
    longest
        The most tokens that the model takes, marks included.

    Returns
    -------
    Read
        In the order of ``texts``.
    """
    summaries, pieces = [], []
    with torch.inference_mode():
        for first in range(0, len(texts), BATCH):
            given = tokenizer(
                list(texts[first : first + BATCH]),
                padding=True,
                truncation=True,
                max_length=min(PIECES + 2, longest),
                return_tensors="pt",
            )
            mask = given["attention_mask"]
            summary, hidden = encode(given["input_ids"], mask)
            summaries.append(summary.numpy())
            for row, count in enumerate(mask.sum(1).tolist()):
                pieces.append(hidden[row, 1 : count - 1].numpy().astype(np.float16))
    return ragged(np.concatenate(summaries), pieces)
