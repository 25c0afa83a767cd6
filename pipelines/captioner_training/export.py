"""The trained parts as two ONNX files with weights in half precision, their words and a manifest.

``eye.onnx``: pixels uint8 (n, 260, 260, 3) in; ``vectors`` (n, 384) of unit length and ``memory``
(n, layers * 2, heads, 28, part) out: the keys and values that the writer attends to.
``writer.onnx``: one step of writing for the texts of one picture.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from captioner_training.backbone import SIDE, Backbone
from captioner_training.head import DIMENSION, Head
from captioner_training.writer import LONGEST, Writer
from trsllava.light.learnt import Learnt
from trsllava.light.vocabulary import Vocabulary

_SMALL = 1024  # numbers; smaller constants stay in single precision
OPSET = 17


class EyeModule(nn.Module):
    """Backbone, head and the writer's memory, which all look at one picture together."""

    def __init__(self, backbone: Backbone, head: Head, writer: Writer) -> None:
        super().__init__()
        self.backbone, self.head, self.writer = backbone, head, writer

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Look at a batch of pictures."""
        tokens, summary = self.backbone(pixels)
        vector = functional.normalize(self.head(summary), dim=1)
        memory = self.writer.memory(tokens, summary, vector)
        pairs = [layer.seen.project(memory) for layer in self.writer.layers]
        return vector, torch.stack([part for pair in pairs for part in pair], 1)


class StepModule(nn.Module):
    """One more word for each of the texts of one picture.

    ``word`` (b,) are the last words, ``own`` (layers * 2, b, heads, t, part) keys and values of the
    words before them, ``memory`` (layers * 2, heads, 28, part) one picture's. Out: log
    probabilities (b, words) of the next word, and ``own`` with one more place.
    """

    def __init__(self, writer: Writer) -> None:
        super().__init__()
        self.writer = writer

    def forward(self, word: Tensor, own: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Write one word."""
        writer = self.writer
        x = (writer.words(word) + writer.place[own.shape[3]])[:, None]
        grown = []
        for n, layer in enumerate(writer.layers):
            y = layer.norms[0](x)
            keys, values = layer.own.project(y)
            keys = torch.cat([own[2 * n], keys], 2)
            values = torch.cat([own[2 * n + 1], values], 2)
            grown += [keys, values]
            x = x + layer.own(y, keys, values)
            # All texts look at one picture: heads are the batch, texts the rows.
            x = x + self._look(layer, layer.norms[1](x), memory[2 * n], memory[2 * n + 1])
            x = x + layer.narrow(functional.gelu(layer.wide(layer.norms[2](x))))
        return writer.scores(x[:, 0]).log_softmax(-1), torch.stack(grown)

    def _look(self, layer: Any, y: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        seen = layer.seen
        asked = seen.query(y[:, 0]).unflatten(-1, (seen.heads, -1)).transpose(0, 1)
        weights = (asked @ keys.transpose(1, 2) / keys.shape[-1] ** 0.5).softmax(-1)
        return seen.out((weights @ values).transpose(0, 1).flatten(1))[:, None]


def export(
    folder: Path,
    head: Head,
    writer: Writer,
    vocabulary: Vocabulary,
    text_mean: Tensor,
    learnt: Learnt,
    facts: dict[str, Any],
) -> None:
    """Write all that ships into ``folder``; ``facts`` (how it was trained) go to the manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    learnt.save(folder / "learnt.bin")
    eye = EyeModule(Backbone(), head, writer).eval()
    _export(
        eye,
        (torch.zeros((2, SIDE, SIDE, 3), dtype=torch.uint8),),
        folder / "eye.onnx",
        {"pixels": {0: "n"}},
        {"vectors": {0: "n"}, "memory": {0: "n"}},
    )
    first = writer.layers[0].own
    part = first.out.in_features // first.heads
    depth = 2 * len(writer.layers)
    _export(
        StepModule(writer).eval(),
        (
            torch.zeros(3, dtype=torch.long),
            torch.zeros(depth, 3, first.heads, 2, part),
            torch.zeros(depth, first.heads, 28, part),
        ),
        folder / "writer.onnx",
        {"word": {0: "b"}, "own": {1: "b", 3: "t"}, "memory": {}},
        {"scores": {0: "b"}, "grown": {1: "b", 3: "u"}},
    )
    (folder / "words.txt").write_text("\n".join(vocabulary.words[1:]) + "\n", encoding="utf-8")
    names = ("eye.onnx", "writer.onnx", "words.txt", "learnt.bin")
    manifest = {
        "name": "light-1",
        "encoder": "minilm",
        "dimension": DIMENSION,
        "own": [depth, first.heads, part],
        "longest": LONGEST,
        "licence": "Apache-2.0",
        "text_mean": [round(float(x), 6) for x in text_mean],
        "sha256": {n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in names},
        "training": facts,
    }
    text = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
    (folder / "manifest.json").write_text(text, encoding="utf-8")


def _export(
    module: nn.Module,
    example: tuple[Tensor, ...],
    path: Path,
    inputs: dict[str, dict[int, str]],
    outputs: dict[str, dict[int, str]],
) -> None:
    torch.onnx.export(
        module,
        example,
        str(path),
        input_names=list(inputs),
        output_names=list(outputs),
        dynamic_axes={**inputs, **outputs},
        opset_version=OPSET,
        dynamo=False,
    )
    model = onnx.load(str(path))
    _halve(model)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _halve(model: onnx.ModelProto) -> None:
    """Keep large constants in half precision; they are widened once, when a session opens."""
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < _SMALL:
            continue
        halved = numpy_helper.to_array(tensor).astype(np.float16)
        wide, narrow = tensor.name, f"{tensor.name}.half"
        tensor.CopyFrom(numpy_helper.from_array(halved, narrow))
        casts.append(helper.make_node("Cast", [narrow], [wide], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    model.doc_string = ""
    for node in graph.node:
        node.doc_string = ""
