"""The writer: a small transformer that writes one text after another about what the eye sees.

It is told which of the fifteen texts to write by the first token (a slot: variant and field), so
that one model writes all of them and they differ because they were asked to.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from captioner_training.backbone import SUMMARY, TOKEN, TOKENS

SLOTS = 15
LONGEST = 64  # words of a text, its end included


class Attention(nn.Module):
    """Attention of several heads; keys and values may be given, as a step of writing does."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.keys_values = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys and values of ``x`` (n, length, width), each (n, heads, length, part)."""
        keys, values = self.keys_values(x).chunk(2, -1)
        return self._split(keys), self._split(values)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, causal: bool = False) -> Tensor:
        """Attend from ``x`` (n, length, width)."""
        found = functional.scaled_dot_product_attention(
            self._split(self.query(x)), keys, values, is_causal=causal
        )
        return self.out(found.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, x.shape[-1] // self.heads)).transpose(1, 2)


class Layer(nn.Module):
    """One layer of the writer: its own words, the picture, a thought."""

    def __init__(self, width: int, heads: int, drop: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.own = Attention(width, heads)
        self.seen = Attention(width, heads)
        self.wide = nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, width)
        self.drop = nn.Dropout(drop)

    def forward(self, x: Tensor, seen: tuple[Tensor, Tensor]) -> Tensor:
        """Read whole texts at once, as training does."""
        y = self.norms[0](x)
        x = x + self.drop(self.own(y, *self.own.project(y), causal=True))
        return self.rest(x, seen)

    def rest(self, x: Tensor, seen: tuple[Tensor, Tensor]) -> Tensor:
        """Do all but attend to one's own words."""
        x = x + self.drop(self.seen(self.norms[1](x), *seen))
        return x + self.drop(self.narrow(functional.gelu(self.wide(self.norms[2](x)))))


class Memory(nn.Module):
    """What the writer attends to: the map's tokens, the summary and the head's vector."""

    def __init__(self, width: int, heads: int, dimension: int, drop: float) -> None:
        super().__init__()
        self.tokens = nn.Linear(TOKEN, width)
        self.place = nn.Parameter(torch.randn(TOKENS, width) * 0.02)
        self.summary = nn.Linear(SUMMARY, width)
        self.vector = nn.Linear(dimension, 2 * width)
        self.mix = nn.TransformerEncoderLayer(
            width, heads, 4 * width, drop, functional.gelu, batch_first=True, norm_first=True
        )
        self.norm = nn.LayerNorm(width)
        self.drop = nn.Dropout(drop)
        for name, size in (("token", TOKEN), ("summary", SUMMARY)):
            self.register_buffer(f"{name}_mean", torch.zeros(size))
            self.register_buffer(f"{name}_spread", torch.ones(size))

    def forward(self, tokens: Tensor, summary: Tensor, vector: Tensor) -> Tensor:
        """Return the memory (n, 28, width) of pictures."""
        grid = self.tokens((tokens - self.token_mean) / self.token_spread) + self.place
        whole = self.summary(self.drop((summary - self.summary_mean) / self.summary_spread))
        said = self.vector(vector * math.sqrt(vector.shape[-1])).unflatten(-1, (2, -1))
        return self.norm(self.mix(torch.cat([grid, whole[:, None], said], 1)))


class Writer(nn.Module):
    """Memory and the words so far in, the next word out."""

    def __init__(
        self, words: int, dimension: int, width: int, heads: int, layers: int, drop: float
    ) -> None:
        super().__init__()
        self.memory = Memory(width, heads, dimension, drop)
        self.words = nn.Embedding(words + SLOTS, width)
        self.place = nn.Parameter(torch.randn(LONGEST, width) * 0.02)
        self.layers = nn.ModuleList(Layer(width, heads, drop) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.bias = nn.Parameter(torch.zeros(words))
        self.drop = nn.Dropout(drop)
        self.count = words
        nn.init.normal_(self.words.weight, std=0.05)

    def forward(self, memory: Tensor, said: Tensor) -> Tensor:
        """Return the states (n, length, width) after each of the words ``said``; see `scores`.

        Each text of ``said`` begins with ``words + slot``; the texts of one picture stand
        together, as many for each.
        """
        each = len(said) // len(memory)
        x = self.drop(self.words(said) + self.place[: said.shape[1]])
        for layer in self.layers:
            keys, values = layer.seen.project(memory)
            x = layer(x, (keys.repeat_interleave(each, 0), values.repeat_interleave(each, 0)))
        return x

    def scores(self, x: Tensor) -> Tensor:
        """Return the scores (..., words) of what follows states (..., width)."""
        return functional.linear(self.norm(x), self.words.weight[: self.count], self.bias)
