"""The one trainer of all systems: AdamW, warm-up and cosine, checkpoints, early stopping.

Everything random in an epoch follows from the seed and the epoch's number, so a run that was killed
goes on from its last epoch and ends as an undisturbed one (on the same machine and threads).
"""

import hashlib
import io
import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trsllava.compare.batches import Training
from trsllava.compare.experiment import TrainingSettings
from trsllava.compare.runs import RUN
from trsllava.errors import StoreDamaged, TrsllavaError
from trsllava.store.files import publish

log = logging.getLogger(__name__)

CHECKPOINT, SCALARS = "checkpoint.pt", "scalars.jsonl"
_DIGEST = hashlib.sha256().digest_size


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished training: mR on the cut of the best epoch (counted from 1), and every epoch."""

    epoch: int
    cut_mr: float
    curve: tuple[dict[str, float], ...]


class _State:
    """What a checkpoint holds beside the tensors."""

    def __init__(self) -> None:
        self.curve: list[dict[str, float]] = []
        self.best: dict[str, Any] = {}
        self.best_epoch = 0
        self.best_mr = -1.0


def train(
    system: Any,
    training: Training,
    settings: TrainingSettings,
    seed: int,
    run: Path,
    cut_mr: Callable[[Any], float],
) -> Trained:
    """Train a system, or go on with it; at the end it holds the weights of the best epoch.

    Parameters
    ----------
    system
        Fits `System`, its parameters freshly drawn.
    training
        What is learnt from.
    settings
        How.
    seed
        Of order, views and dropout.
    run
        The folder for the checkpoint and the scalars.
    cut_mr
        Measures the system on the cut.

    Returns
    -------
    Trained
        What happened.

    Raises
    ------
    TrsllavaError
        If the loss is no number.
    StoreDamaged
        If the checkpoint is damaged.
    """
    import torch

    groups = [{**group, "lr": group.get("lr", settings.rate)} for group in system.groups()]
    for group in groups:
        group["highest"] = group["lr"]
    optimiser = torch.optim.AdamW(
        groups, lr=settings.rate, weight_decay=settings.decay, betas=settings.betas
    )
    state = _State()
    path = run / CHECKPOINT
    if path.exists():
        _load(path, system, optimiser, state)
    else:
        system.prepare(training)
    size = min(settings.batch, len(training.pairs))
    steps = len(training.pairs) // size
    while not _over(state, settings):
        started = time.monotonic()
        epoch = len(state.curve)
        torch.manual_seed(1_000_003 * seed + epoch)
        with _quick_products():
            line = _epoch(system, training, optimiser, settings, seed, epoch, steps)
        line["cut_mr"] = round(cut_mr(system), 4)
        line["seconds"] = round(time.monotonic() - started, 2)
        state.curve.append(line)
        if line["cut_mr"] > state.best_mr:
            state.best_mr, state.best_epoch = line["cut_mr"], epoch + 1
            state.best = {key: value.clone() for key, value in system.state_dict().items()}
        _save(path, system, optimiser, state)
        write_scalars(run / SCALARS, state.curve)
        log.info(
            "epoch %d: loss %.4f, mR on the cut %.2f (best %.2f, epoch %d), %.0f s",
            *(epoch + 1, line["loss"], line["cut_mr"]),
            *(state.best_mr, state.best_epoch, line["seconds"]),
        )
    system.load_state_dict(state.best)
    return Trained(state.best_epoch, state.best_mr, tuple(state.curve))


def _over(state: _State, settings: TrainingSettings) -> bool:
    done = len(state.curve)
    return done >= settings.epochs or (done > 0 and done - state.best_epoch >= settings.patience)


def _epoch(
    system: Any,
    training: Training,
    optimiser: Any,
    settings: TrainingSettings,
    seed: int,
    epoch: int,
    steps: int,
) -> dict[str, float]:
    """Do one epoch and return the means of its figures."""
    import torch

    system.train()
    sums: dict[str, float] = {}
    for number, batch in enumerate(training.batches(settings.batch, epoch, seed)):
        step = epoch * steps + number
        share = pace(step, settings.warmup, settings.epochs * steps)
        for group in optimiser.param_groups:
            group["lr"] = group["highest"] * share
        loss = system.loss(batch)
        value = float(loss.total.detach())
        if not math.isfinite(value):
            raise TrsllavaError(
                f"the loss is {value} in epoch {epoch + 1}, step {number + 1}: lower 'rate' in "
                "[training] of the experiment file"
            )
        optimiser.zero_grad()
        loss.total.backward()
        torch.nn.utils.clip_grad_norm_(system.parameters(), settings.clip)
        optimiser.step()
        for key, figure in {"loss": value, **loss.figures}.items():
            sums[key] = sums.get(key, 0.0) + figure
    return {
        "epoch": epoch + 1,
        "step": (epoch + 1) * steps,
        **{key: round(total / steps, 6) for key, total in sums.items()},
    }


@contextmanager
def _quick_products() -> Iterator[None]:
    """Let matrix products read bfloat16 where the processor has it; they add up in float32.

    Scores and closed forms stay exact.
    """
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def pace(step: int, warmup: int, steps: int) -> float:
    """Return the share of the highest learning rate: linear up, then a cosine down to 0."""
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(steps - warmup, 1)
    return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def write_scalars(path: Path, curve: list[dict[str, float]]) -> None:
    """Write one JSON line an epoch."""
    publish(path, "".join(json.dumps(line) + "\n" for line in curve).encode())


def _save(path: Path, system: Any, optimiser: Any, state: _State) -> None:
    import torch

    body = {
        "system": system.state_dict(),
        "optimiser": optimiser.state_dict(),
        "curve": state.curve,
        "best": state.best,
        "best_epoch": state.best_epoch,
        "best_mr": state.best_mr,
    }
    file = io.BytesIO()
    torch.save(body, file)
    data = file.getvalue()
    publish(path, _digest(path, data) + data)


def _digest(path: Path, data: bytes) -> bytes:
    """Return what a checkpoint begins with: the digest of it and of what its run was asked for."""
    asked = path.with_name(RUN)
    about = asked.read_bytes() if asked.exists() else b""
    return hashlib.sha256(about + data).digest()


def _load(path: Path, system: Any, optimiser: Any, state: _State) -> None:
    from pickle import UnpicklingError  # what torch.load raises; nothing is unpickled

    import torch

    kept = path.read_bytes()
    data = kept[_DIGEST:]
    if kept[:_DIGEST] != _digest(path, data):
        raise StoreDamaged(
            f"{path} is damaged or of another run; delete it and the run starts again"
        )
    try:
        body = torch.load(io.BytesIO(data), weights_only=True)
        system.load_state_dict(body["system"])
        optimiser.load_state_dict(body["optimiser"])
        state.curve, state.best = body["curve"], body["best"]
        state.best_epoch, state.best_mr = body["best_epoch"], body["best_mr"]
    except (RuntimeError, ValueError, KeyError, UnpicklingError) as error:
        raise StoreDamaged(
            f"{path} does not fit ({error}); delete it and the run starts again"
        ) from error
    log.info("going on after epoch %d of %s", len(state.curve), path.parent)
