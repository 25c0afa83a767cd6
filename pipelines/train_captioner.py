"""Train the light models that ship: the image-text head and the writer of the builtin captioner.

Run in a development environment with the packages of the extra ``train``::

    python pipelines/train_captioner.py --data DATA --work WORK --out trsllava/models/light

DATA holds RSICD's ``images/`` and ``dataset_rsicd_trainval.json`` with our ``rsrt_train.jsonl`` and
``rsrt_val.jsonl``. WORK keeps what was computed and the checkpoints: a killed run goes on with the
same command. Pictures and people's captions are only read; nothing of them is written to OUT but
weights, a vocabulary and the mean vector of the captions. docs/builtin.md is the model's card.
"""

import argparse
import json
import platform
import tomllib
from pathlib import Path
from typing import Any

import torch
from captioner_training.corpus import read_corpus
from captioner_training.export import export
from captioner_training.head import Head, HeadConfig, targets, train_head
from captioner_training.pictures import look, read_pictures
from captioner_training.teaching import WriterConfig, new_writer, train_writer

from trsllava.light.learnt import Learnt

CONFIG = Path(__file__).with_suffix(".toml")


def main() -> None:
    """Train what is not trained yet and write what ships."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="RSICD and our records of it")
    parser.add_argument("--work", type=Path, required=True, help="caches and checkpoints")
    parser.add_argument("--out", type=Path, required=True, help="where the models go")
    parser.add_argument("--config", type=Path, default=CONFIG)
    parser.add_argument("--limit", type=int, help="pictures of each split, for a trial")
    given = parser.parse_args()
    config = tomllib.loads(given.config.read_text(encoding="utf-8"))
    given.work.mkdir(parents=True, exist_ok=True)
    train(given.data, given.work, given.out, config, given.limit)


def train(
    data: Path, work: Path, out: Path, config: dict[str, Any], limit: int | None = None
) -> list[dict[str, float]]:
    """Do the whole training; return the writer's curve."""
    pictures = read_pictures(data, work, config["pictures"]["painted"], limit)
    seen = look(pictures, data, work)
    goal = targets(pictures, work)
    head = _head(pictures, seen, goal, HeadConfig(**config["head"]), work / "head.pt")
    corpus = read_corpus(pictures, config["corpus"]["least"])
    writing = WriterConfig(**config["writer"])
    writer = new_writer(corpus, seen, writing)
    curve = train_writer(writer, corpus, pictures, seen, head, writing, work / "writer.pt")
    facts = {
        "pictures": {s: len(pictures.rows(s)) for s in sorted(set(pictures.splits))},
        "config": config,
        "curve": curve,
        "writer_hours": round(sum(row["seconds"] for row in curve) / 3600, 2),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
    }
    rows = pictures.rows("train").tolist()
    ours = (text for n in rows for text in pictures.records[n] or [])
    learnt = Learnt.of((text for n in rows for text in pictures.captions[n]), also=ours)
    export(out, head, writer, corpus.vocabulary, goal.mean, learnt, facts)
    (work / "facts.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
    return curve


def _head(pictures: Any, seen: Any, goal: Any, config: HeadConfig, checkpoint: Path) -> Head:
    """Return the trained head, training it if there is no checkpoint."""
    if checkpoint.exists():
        head = Head(config.hidden)
        head.load_state_dict(torch.load(checkpoint, weights_only=True))
        return head.eval()
    head = train_head(pictures, seen, goal, config)
    torch.save(head.state_dict(), checkpoint)
    return head


if __name__ == "__main__":
    main()
