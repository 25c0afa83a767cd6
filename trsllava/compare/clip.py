"""Any CLIP model of transformers, by folder or hub id: the papers' backbone, for who has weights.

Global vectors are CLIP's own projections. A map is a layer's patches, pooled to one grid and
brought to one width; the layers are those at a quarter, half, three quarters and all of the depth.
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from trsllava.compare.features import Read, Seen, Shapes, ragged
from trsllava.compare.sizes import CELLS, CHANNELS, DEPTHS, GRID, PIECES, mixing
from trsllava.errors import InputError, MissingExtra
from trsllava.store.files import sha256_of

if TYPE_CHECKING:
    from PIL.Image import Image

_BATCH = 32


class ClipBackbone:
    """A frozen CLIP model.

    Parameters
    ----------
    model
        A folder, or a hub id, which transformers may fetch.

    Raises
    ------
    MissingExtra
        If transformers is not installed.
    InputError
        If there is no CLIP model of that name with weights as safetensors.
    """

    def __init__(self, model: str) -> None:
        try:
            import transformers
            from transformers.utils import logging as bars
        except ImportError as error:
            raise MissingExtra("the backbone clip", "compare") from error
        bars.disable_progress_bar()  # type: ignore[no-untyped-call]
        # From transformers 5 on the class without "Pil" needs torchvision.
        plain = getattr(transformers, "CLIPImageProcessor", None)
        processor: Any = getattr(transformers, "CLIPImageProcessorPil", plain)
        try:
            # Pickled weights are never read, and no code of the model's is run.
            clip: Any = transformers.CLIPModel.from_pretrained(model, use_safetensors=True)
            self._images = processor.from_pretrained(model)
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(model)
        except (OSError, ValueError, KeyError) as error:
            raise InputError(
                f"{model} is no CLIP model that transformers reads ({error}); 'model' in "
                "[backbone] must be a folder or hub id with config, safetensors, tokenizer and "
                "preprocessor"
            ) from error
        self._clip: Any = clip.eval().requires_grad_(False)
        self._name = model
        config = self._clip.config
        layers = config.vision_config.num_hidden_layers
        self._layers = [max(1, layers * (n + 1) // DEPTHS) for n in range(DEPTHS)]
        width = config.vision_config.hidden_size
        self._mixing = [torch.from_numpy(mixing(width, n)) for n in range(DEPTHS)]

    @property
    def shapes(self) -> Shapes:
        """The sizes of all features."""
        config = self._clip.config
        width = config.projection_dim
        return Shapes(width, DEPTHS, CELLS, CHANNELS, width, config.text_config.hidden_size)

    def identity(self) -> Mapping[str, str | int]:
        """Return all that changes a feature; weights in a folder by their digest."""
        return {
            "name": f"clip {Path(self._name).name}",
            "weights": self._weights,
            "maps": f"{DEPTHS} x {CELLS} x {CHANNELS}",
            "pieces": PIECES,
            "transformers": version("transformers"),
        }

    def see(self, pictures: "Sequence[Image]") -> Seen:
        """Encode pictures as the model's own preprocessor prepares them."""
        summaries, maps = [], []
        with torch.inference_mode():
            for first in range(0, len(pictures), _BATCH):
                part = list(pictures[first : first + _BATCH])
                pixels = self._images(images=part, return_tensors="pt")["pixel_values"]
                found = self._clip.vision_model(pixel_values=pixels, output_hidden_states=True)
                summary = self._clip.visual_projection(found.pooler_output)
                summaries.append(summary.numpy())
                kept = [found.hidden_states[layer] for layer in self._layers]
                cells = [_cells(*pair) for pair in zip(kept, self._mixing, strict=True)]
                maps.append(torch.stack(cells, 1).numpy().astype(np.float16))
        return Seen(np.concatenate(summaries), np.concatenate(maps))

    def read(self, texts: Sequence[str]) -> Read:
        """Encode texts, the first `PIECES` word pieces of each."""
        limit = min(PIECES + 2, self._clip.config.text_config.max_position_embeddings)
        summaries, pieces = [], []
        with torch.inference_mode():
            for first in range(0, len(texts), _BATCH):
                given = self._tokenizer(
                    list(texts[first : first + _BATCH]),
                    padding=True,
                    truncation=True,
                    max_length=limit,
                    return_tensors="pt",
                )
                mask = given["attention_mask"]
                found = self._clip.text_model(input_ids=given["input_ids"], attention_mask=mask)
                summaries.append(self._clip.text_projection(found.pooler_output).numpy())
                hidden = found.last_hidden_state
                for row, count in enumerate(mask.sum(1).tolist()):
                    pieces.append(hidden[row, 1 : count - 1].numpy().astype(np.float16))
        return ragged(np.concatenate(summaries), pieces)

    @cached_property
    def _weights(self) -> str:
        folder = Path(self._name)
        if not folder.is_dir():
            revision = getattr(self._clip.config, "_commit_hash", None)
            return f"{self._name}@{revision}"
        digests = [sha256_of(path) for path in sorted(folder.glob("*.safetensors"))]
        return hashlib.sha256("".join(digests).encode()).hexdigest()


def _cells(hidden: Tensor, matrix: Tensor) -> Tensor:
    """Return a layer (n, 1 + patches, width) as cells (n, `CELLS`, `CHANNELS`)."""
    patches = hidden[:, 1:]
    side = round(patches.shape[1] ** 0.5)
    grid = patches.transpose(1, 2).reshape(len(patches), -1, side, side)
    return adaptive_avg_pool2d(grid, GRID).flatten(2).transpose(1, 2) @ matrix
