"""A ResNet and a BERT of transformers, by folder or hub id: MSA's backbone, for who has weights.

The picture's global vector is the mean of the last stage, its maps are the four stages; the text's
is the last layer at the first mark (CLS).
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
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
from trsllava.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

_SIDE = 224  # pixels; the whole picture, as MSA has it
# Of ImageNet's pictures, by channel: what the published weights were made with.
_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_SPREAD = np.array([0.229, 0.224, 0.225], np.float32)


class ResNetBertBackbone:
    """A frozen ResNet and a frozen BERT.

    Parameters
    ----------
    image
        A folder or hub id with a ResNet of four stages (ResNet-50 in the paper).
    text
        A folder or hub id with a BERT and its tokenizer.

    Raises
    ------
    InputError
        If one of them is not there or of another kind.
    """

    def __init__(self, image: str, text: str) -> None:
        transformers = transformers_for("resnet-bert")
        self._resnet = load(transformers.ResNetModel, image, "ResNet", "image")
        # Its pooling layer was made for another task, and many files lack it.
        self._bert = load(transformers.BertModel, text, "BERT", "text", add_pooling_layer=False)
        self._tokenizer = load_part(transformers.AutoTokenizer, text, "text")
        self._names = (image, text)
        widths = self._resnet.config.hidden_sizes
        if len(widths) != DEPTHS:
            raise InputError(f"{image} has {len(widths)} stages; the backbone needs {DEPTHS}")
        self._mixing = [torch.from_numpy(mixing(width, n)) for n, width in enumerate(widths)]

    @property
    def shapes(self) -> Shapes:
        """The sizes of all features."""
        text = self._bert.config.hidden_size
        return Shapes(self._resnet.config.hidden_sizes[-1], DEPTHS, CELLS, CHANNELS, text, text)

    def identity(self) -> Mapping[str, str | int]:
        """Return all that changes a feature; weights in a folder by their digest."""
        image, text = (Path(name).name for name in self._names)
        return {
            "name": f"resnet-bert {image} + {text}",
            "side": _SIDE,
            "weights": self._weights,
            "maps": f"{DEPTHS} x {CELLS} x {CHANNELS}",
            "pieces": PIECES,
            "transformers": version("transformers"),
        }

    def see(self, pictures: "Sequence[Image]") -> Seen:
        """Encode pictures, brought to 224 x 224 pixels with nothing cut off."""
        summaries, maps = [], []
        with torch.inference_mode():
            for first in range(0, len(pictures), BATCH):
                pixels = np.stack([_pixels(p) for p in pictures[first : first + BATCH]])
                found = self._resnet(torch.from_numpy(pixels), output_hidden_states=True)
                summaries.append(found.pooler_output.flatten(1).numpy())
                stages = found.hidden_states[-DEPTHS:]
                kept = [cells(*pair) for pair in zip(stages, self._mixing, strict=True)]
                maps.append(torch.stack(kept, 1).numpy().astype(np.float16))
        return Seen(np.concatenate(summaries), np.concatenate(maps))

    def read(self, texts: Sequence[str]) -> Read:
        """Encode texts, the first `PIECES` word pieces of each."""
        longest = self._bert.config.max_position_embeddings
        return read_texts(self._tokenizer, self._encode, texts, longest)

    def _encode(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self._bert(input_ids=ids, attention_mask=mask).last_hidden_state
        return hidden[:, 0], hidden

    @cached_property
    def _weights(self) -> str:
        models = (self._resnet, self._bert)
        return " + ".join(weights_of(*pair) for pair in zip(models, self._names, strict=True))


def _pixels(picture: "Image") -> NDArray[np.float32]:
    """Return a picture as (3, side, side), standardised by channel."""
    from PIL.Image import Resampling

    small = picture.convert("RGB").resize((_SIDE, _SIDE), Resampling.BILINEAR)
    found = (np.asarray(small, np.float32) / 255 - _MEAN) / _SPREAD
    return np.ascontiguousarray(found.transpose(2, 0, 1))
