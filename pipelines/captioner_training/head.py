"""The light head: from what the backbone sees to the text encoder's space.

A ridge regression (closed form) to start from, and a layer beside it that contrastive training
fills. It learns from people's captions, our records and painted scenes; dihedral views of the
pictures are its augmentation.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from captioner_training.backbone import SUMMARY
from captioner_training.pictures import Pictures, Seen
from trsllava.embedding.bundled import BundledEmbedder

DIMENSION = 384
_LENGTH = 30.0  # of standardised summaries; with it the ridge below was chosen
_SAME = 0.98  # pictures whose captions agree so well do not count against each other


@dataclass(frozen=True, slots=True)
class HeadConfig:
    """How the head is trained."""

    hidden: int = 1536
    epochs: int = 40
    batch: int = 512
    rate: float = 3e-4
    decay: float = 0.1
    drop: float = 0.3
    temperature: float = 0.05
    ridge: float = 200.0
    from_records: float = 0.3
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Targets:
    """Unit vectors of texts, each less the mean of its kind: what a picture should be near.

    ``mean`` (384,) is that of the captions; ``all`` holds for each picture its captions' and
    its records' vectors, ``middle`` (n, 384) their mean; a picture may have none of one kind.
    """

    mean: Tensor
    captions: list[Tensor]
    records: list[Tensor]
    middle: Tensor


class Head(nn.Module):
    """Summaries (n, 1520) in, vectors (n, 384) out, not of unit length."""

    def __init__(self, hidden: int, drop: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(SUMMARY))
        self.register_buffer("spread", torch.ones(SUMMARY))
        self.straight = nn.Linear(SUMMARY, DIMENSION, bias=False)
        self.wide = nn.Linear(SUMMARY, hidden)
        self.narrow = nn.Linear(hidden, DIMENSION)
        nn.init.normal_(self.narrow.weight, std=1e-3)
        self.drop = nn.Dropout(drop)

    def standard(self, summary: Tensor) -> Tensor:
        """Return summaries with every channel on one scale."""
        return (summary - self.mean) / self.spread

    def forward(self, summary: Tensor) -> Tensor:
        """Return the vectors of pictures."""
        z = self.drop(self.standard(summary))
        return self.straight(z) + self.narrow(self.drop(functional.gelu(self.wide(z))))


def targets(pictures: Pictures, work: Path) -> Targets:
    """Encode all texts that are learnt from (kept in ``work``)."""
    captions = _encode(pictures.captions, work / "captions.npy")
    records = _encode([texts or [] for texts in pictures.records], work / "records.npy")
    train = pictures.rows("train").tolist()
    mean = torch.cat([captions[n] for n in train]).mean(0)
    styles = {
        split: torch.cat([records[n] for n in rows if len(records[n])]).mean(0)
        for split in ("train", "painted")
        if len(rows := pictures.rows(split).tolist()) and any(len(records[n]) for n in rows)
    }
    middle = []
    for n, split in enumerate(pictures.splits):
        style = styles.get("painted" if split.startswith("painted") else "train", mean)
        captions[n] = captions[n] - mean
        records[n] = records[n] - style
        own = captions[n] if len(captions[n]) else records[n]
        middle.append(own.mean(0))
    return Targets(mean, captions, records, torch.stack(middle))


def _encode(texts: list[list[str]], path: Path) -> list[Tensor]:
    if not path.exists():
        np.save(path, BundledEmbedder().encode([text for own in texts for text in own]))
    vectors = torch.from_numpy(np.load(path)).view(-1, DIMENSION)
    if len(vectors) != sum(map(len, texts)):
        raise SystemExit(f"{path} is of other texts; use another --work folder")
    return list(vectors.split([len(own) for own in texts]))


def train_head(pictures: Pictures, seen: Seen, goal: Targets, config: HeadConfig) -> Head:
    """Train the head: seconds an epoch, so there is no checkpoint within."""
    torch.manual_seed(config.seed)
    rows = torch.from_numpy(pictures.rows("train", "painted"))
    head = Head(config.hidden, config.drop)
    _start_from_ridge(head, pictures, seen, goal, config.ridge)
    scale = nn.Parameter(torch.tensor(1 / config.temperature).log())
    matrices = [p for p in head.parameters() if p.ndim > 1]
    others = [p for p in head.parameters() if p.ndim <= 1]
    optimiser = torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": config.decay},
            {"params": [*others, scale], "weight_decay": 0.0},
        ],
        lr=config.rate,
    )
    steps = config.epochs * (len(rows) // min(config.batch, len(rows)))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, config.rate, total_steps=steps + 1, pct_start=0.05
    )
    for epoch in range(config.epochs):
        head.train()
        losses = []
        for batch in torch.randperm(len(rows)).split(config.batch):
            if len(batch) < min(config.batch, len(rows)):
                continue
            own = rows[batch]
            view = torch.randint(len(seen.summary), (len(own),))
            summary = torch.stack([s[own] for s in seen.summary])[view, torch.arange(len(own))]
            wanted = torch.stack([_one_target(goal, n, config) for n in own.tolist()])
            loss = _loss(head(summary), wanted, goal.middle[own], scale.exp())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
        if epoch % 10 == 9:
            print(f"head epoch {epoch + 1}: loss {np.mean(losses):.3f}", flush=True)
    return head.eval()


def _start_from_ridge(
    head: Head, pictures: Pictures, seen: Seen, goal: Targets, ridge: float
) -> None:
    """Set the straight part to the ridge regression to each picture's mean text."""
    train = pictures.rows("train")
    first = seen.summary[0][train]
    head.mean.copy_(first.mean(0))
    spread = first.std(0) + 1e-6
    length = ((first - head.mean) / spread).norm(dim=1).mean()
    head.spread.copy_(spread * length / _LENGTH)
    rows = pictures.rows("train", "painted")
    square = ridge * torch.eye(SUMMARY)
    product = torch.zeros(SUMMARY, DIMENSION)
    for summary in seen.summary:
        z = head.standard(summary[rows])
        square += z.T @ z
        product += z.T @ goal.middle[rows]
    head.straight.weight.data = torch.linalg.solve(square, product).T.contiguous()


def _one_target(goal: Targets, row: int, config: HeadConfig) -> Tensor:
    """Return a random mixture of a picture's captions, or at times a text of its record."""
    captions, records = goal.captions[row], goal.records[row]
    if len(records) and (not len(captions) or torch.rand(()) < config.from_records):
        return records[torch.randint(len(records), ())]
    weights = torch.distributions.Dirichlet(torch.full((len(captions),), 0.6)).sample()
    return weights @ captions


def _loss(found: Tensor, wanted: Tensor, middle: Tensor, scale: Tensor) -> Tensor:
    """Contrast with the batch's other texts and pictures, and nearness to one's own mean text."""
    found, wanted, middle = (functional.normalize(v, dim=1) for v in (found, wanted, middle))
    alike = found @ wanted.T * scale
    same = (middle @ middle.T > _SAME).float()
    share = same / same.sum(1, keepdim=True)
    contrast = -(share * (alike.log_softmax(1) + alike.T.log_softmax(1))).sum(1).mean() / 2
    return contrast + (1 - (found * middle).sum(1)).mean()
