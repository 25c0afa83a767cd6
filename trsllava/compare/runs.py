"""A run: the folder that a training leaves behind.

``run.json`` says what was asked for, ``checkpoint.pt`` and ``scalars.jsonl`` grow with the epochs,
``weights.safetensors`` (the best epoch) and ``trained.json`` appear at the end, ``curve.png`` where
matplotlib is installed, and ``evaluation-SPLIT.json`` for each split that was evaluated.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trsllava.compare.experiment import Experiment, parse_experiment
from trsllava.compare.features import Shapes
from trsllava.errors import InputError, StoreDamaged, UsageError
from trsllava.records import canonical_json
from trsllava.store.files import publish, seal, unseal

VERSION = 1
RUN, TRAINED, WEIGHTS = "run.json", "trained.json", "weights.safetensors"


@dataclass(frozen=True, slots=True)
class Run:
    """What a run was asked for.

    ``noise`` is its kind, rate and share of wrong pairs, or None; ``pairs`` the digest of what was
    learnt from, noise included; ``backbone`` the identity of the features.
    """

    experiment: Experiment
    seed: int
    dataset: str
    pairs: str
    noise: Mapping[str, Any] | None
    backbone: Mapping[str, Any]
    shapes: Shapes

    def to_json(self) -> dict[str, Any]:
        """Return the content of ``run.json``."""
        return {
            "version": VERSION,
            "experiment": self.experiment.to_json(),
            "seed": self.seed,
            "dataset": self.dataset,
            "pairs": self.pairs,
            "noise": self.noise,
            "backbone": dict(self.backbone),
            "shapes": asdict(self.shapes),
        }

    def label(self) -> str:
        """Return what people call it, seed and all."""
        noise = f", {noise_label(self.noise)}" if self.noise else ""
        return f"{self.experiment.title}{noise}, seed {self.seed}, {self.backbone['name']}"


def noise_label(noise: Mapping[str, Any] | None) -> str:
    """Return a noise in words."""
    return f"{noise['kind']} {noise['rate']:.0%}" if noise else "no noise added"


def views_label(views: int) -> str:
    """Return what a method's name is followed by if several views of a picture were averaged."""
    return f", {views} views" if views > 1 else ""


def begin(folder: Path, run: Run) -> None:
    """Make a run's folder, or make sure that the one that is there was asked for the same.

    Raises `UsageError` if it was not.
    """
    path = folder / RUN
    if not path.exists():
        publish(path, seal(run.to_json()))
        return
    known, wanted = unseal(path, VERSION), json.loads(canonical_json(run.to_json()))
    for key in wanted:
        if known.get(key) != wanted[key]:
            raise UsageError(
                f"{folder} holds a run with another {key}; give another --out, or delete it"
            )


def finish(folder: Path, system: Any, about: Mapping[str, Any]) -> None:
    """Write the weights, then ``trained.json``, which says that the run is finished."""
    from safetensors.torch import save

    tensors = {key: value.contiguous() for key, value in system.state_dict().items()}
    data = save(tensors)
    publish(folder / WEIGHTS, data)
    digest = hashlib.sha256(data).hexdigest()
    publish(folder / TRAINED, seal({"version": VERSION, **about, "weights": digest}))


def read_run(folder: Path) -> tuple[Run, dict[str, Any]]:
    """Return a finished run, and what ``trained.json`` says of it.

    Raises `InputError` if the folder holds none or the run is not finished. `StoreDamaged` if a
    file is not what was written.
    """
    if not (folder / RUN).exists():
        raise InputError(f"{folder} holds no run; make one with: trsllava compare train")
    if not (folder / TRAINED).exists():
        raise InputError(
            f"the run in {folder} is not finished; type its trsllava compare train again"
        )
    body = unseal(folder / RUN, VERSION)
    try:
        run = Run(
            experiment=parse_experiment(
                body["experiment"], body["experiment"]["name"], str(folder / RUN)
            ),
            seed=body["seed"],
            dataset=body["dataset"],
            pairs=body["pairs"],
            noise=body["noise"],
            backbone=body["backbone"],
            shapes=Shapes(**body["shapes"]),
        )
    except (KeyError, TypeError) as error:
        raise StoreDamaged(f"{folder / RUN} lacks {error}; train again") from error
    return run, unseal(folder / TRAINED, VERSION)


def load_weights(folder: Path, system: Any) -> None:
    """Give a system the weights of a finished run.

    Raises `StoreDamaged` if they are not what was written or do not fit.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    path = folder / WEIGHTS
    try:
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != unseal(folder / TRAINED, VERSION)["weights"]:
            raise StoreDamaged(f"{path} is damaged or of another run; train again")
        system.load_state_dict(load(data))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise StoreDamaged(f"{path} is damaged ({error}); train again") from error


def write_evaluation(folder: Path, split: str, body: Mapping[str, Any], views: int = 1) -> None:
    """Keep what an evaluation found beside the run, with the number of views."""
    data = json.dumps({**body, "views": views}, indent=1).encode() + b"\n"
    publish(_evaluation(folder, split, views), data)


def read_evaluations(folder: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """Return what was found on each split with so many views.

    Raises `InputError` if a file is not what was written.
    """
    found = {}
    for path in sorted(folder.glob("evaluation-*.json")):
        try:
            body = json.loads(path.read_text(encoding="utf-8"))
            found[str(body["split"]), int(body["views"])] = body
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path} is damaged ({error}); make it again with: trsllava compare evaluate"
            ) from error
    return found


def _evaluation(folder: Path, split: str, views: int) -> Path:
    plain = "".join(char if char.isalnum() else "-" for char in split.lower())
    many = f"-{views}-views" if views > 1 else ""
    return folder / f"evaluation-{plain}{many}.json"
