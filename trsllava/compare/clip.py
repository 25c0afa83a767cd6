"""Any CLIP model of transformers, by folder or hub id: the papers' backbone, for who has weights.

Global vectors are CLIP's own projections. A map is a layer's patches, pooled to one grid and
brought to one width; the layers are those at a quarter, half, three quarters and all of the depth.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from trsllava.compare.features import Read, Seen, Shapes
from trsllava.compare.pretrained import (
    BATCH,
    load,
    load_part,
    read_texts,
    transformers_for,
    weights_of,
)
from trsllava.compare.sizes import CELLS, CHANNELS, DEPTHS, PIECES, cells, mixing

if TYPE_CHECKING:
    from PIL.Image import Image


class ClipBackbone:
    """A frozen CLIP model.

    Parameters
    ----------
    model
        A folder, or a hub id, which transformers may fetch.

    Raises
    ------
    InputError
        If there is no CLIP model of that name with weights as safetensors.
    """

    def __init__(self, model: str) -> None:
        transformers = transformers_for("clip")
        # From transformers 5 on the class without "Pil" needs torchvision.
        plain = getattr(transformers, "CLIPImageProcessor", None)
        processor: Any = getattr(transformers, "CLIPImageProcessorPil", plain)
        self._clip = load(transformers.CLIPModel, model, "CLIP", "model")
        self._images = load_part(processor, model, "model")
        self._tokenizer = load_part(transformers.AutoTokenizer, model, "model")
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
            for first in range(0, len(pictures), BATCH):
                part = list(pictures[first : first + BATCH])
                pixels = self._images(images=part, return_tensors="pt")["pixel_values"]
                found = self._clip.vision_model(pixel_values=pixels, output_hidden_states=True)
                summary = self._clip.visual_projection(found.pooler_output)
                summaries.append(summary.numpy())
                kept = [found.hidden_states[layer] for layer in self._layers]
                seen = [cells(_grid(h), m) for h, m in zip(kept, self._mixing, strict=True)]
                maps.append(torch.stack(seen, 1).numpy().astype(np.float16))
        return Seen(np.concatenate(summaries), np.concatenate(maps))

    def read(self, texts: Sequence[str]) -> Read:
        """Encode texts, the first `PIECES` word pieces of each."""
        longest = self._clip.config.text_config.max_position_embeddings
        return read_texts(self._tokenizer, self._encode, texts, longest)

    def _encode(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        found = self._clip.text_model(input_ids=ids, attention_mask=mask)
        return self._clip.text_projection(found.pooler_output), found.last_hidden_state

    @cached_property
    def _weights(self) -> str:
        return weights_of(self._clip, self._name)


def _grid(hidden: Tensor) -> Tensor:
    """Return a layer (n, 1 + patches, width) without its mark as (n, width, side, side)."""
    patches = hidden[:, 1:]
    side = round(patches.shape[1] ** 0.5)
    return patches.transpose(1, 2).reshape(len(patches), -1, side, side)
