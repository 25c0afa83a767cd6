"""An experiment: one TOML file that says what is trained on what, and how."""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from trsllava.errors import InputError, UsageError
from trsllava.resources import find

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """How the trainer works.

    ``batch`` pairs a step; ``rate`` is AdamW's highest, reached after ``warmup`` steps and then
    brought to 0 along a cosine; ``decay`` its weight decay, ``betas`` its averages; gradients are
    cut at the norm ``clip``. Training ends after ``epochs``, or when ``patience`` epochs brought
    nothing better on the cut. ``views`` of each picture are looked at, 1 to 4.
    """

    epochs: int = 20
    batch: int = 512
    rate: float = 3e-4
    decay: float = 0.1
    warmup: int = 50
    clip: float = 5.0
    patience: int = 5
    views: int = 4
    betas: tuple[float, float] = (0.9, 0.98)

    def __post_init__(self) -> None:
        """Refuse what no training can go by."""
        wanted = {
            "epochs": self.epochs >= 1,
            "batch": self.batch >= 2,
            "rate": 0 < self.rate < math.inf,
            "decay": 0 <= self.decay < math.inf,
            "warmup": self.warmup >= 0,
            "clip": self.clip > 0,
            "patience": self.patience >= 1,
            "views": 1 <= self.views <= 4,
            "betas": len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas),
        }
        for key, fits in wanted.items():
            if not fits:
                raise UsageError(f"[training]: {key} = {getattr(self, key)} makes no sense")


@dataclass(frozen=True, slots=True)
class Paper:
    """The published figures to show beside ours: names in ``datasets/published.csv``."""

    methods: tuple[str, ...] = ()
    differs: str = ""


@dataclass(frozen=True, slots=True)
class Experiment:
    """One experiment; ``system`` and ``backbone`` go to `make_system` and `load_backbone`."""

    name: str
    title: str
    backbone: Mapping[str, Any]
    system: Mapping[str, Any] = field(default_factory=dict)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    paper: Paper = field(default_factory=Paper)

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON."""
        return {
            **asdict(self),
            "training": {**asdict(self.training), "betas": list(self.training.betas)},
            "paper": {"methods": list(self.paper.methods), "differs": self.paper.differs},
        }


def shipped(system: str) -> Path:
    """Return the experiment file that ships for a system."""
    return find(f"pipelines/compare/{system}.toml")


def read_experiment(path: Path, system: str) -> Experiment:
    """Read an experiment file.

    Parameters
    ----------
    path
        The TOML file.
    system
        The system that is asked for.

    Returns
    -------
    Experiment
        With defaults where the file is silent.

    Raises
    ------
    InputError
        If the file is unreadable, of another system, or has a key or value that is not known.
    """
    try:
        body = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path} is not TOML in UTF-8: {error}") from error
    return parse_experiment(body, system, str(path))


def parse_experiment(body: Mapping[str, Any], system: str, where: str) -> Experiment:
    """Return an experiment from its tables; raises `InputError` as `read_experiment` does."""
    known = ("name", "title", "backbone", "system", "training", "paper")
    _check_keys(body, known, where, "the file")
    if body.get("name") != system:
        raise InputError(f"{where} is of the system {body.get('name')!r}, not of {system!r}")
    tables = {key: body.get(key, {}) for key in known[2:]}
    for key, table in tables.items():
        if not isinstance(table, Mapping):
            raise InputError(f"{where}: {key} must be a table, [{key}]")
    paper = tables["paper"]
    _check_keys(paper, ("methods", "differs"), where, "[paper]")
    return Experiment(
        name=system,
        title=str(body.get("title", system)),
        backbone=dict(tables["backbone"]),
        system=dict(tables["system"]),
        training=settings_of(TrainingSettings, tables["training"], f"{where}: [training]"),
        paper=Paper(tuple(map(str, paper.get("methods", ()))), str(paper.get("differs", ""))),
    )


def settings_of(kind: type[Value], table: Mapping[str, Any], where: str) -> Value:
    """Return a dataclass of settings from a table, each value of the type of its default.

    Raises `InputError` if a key is unknown or a value has another type.
    """
    defaults = {one.name: one.default for one in fields(kind)}  # type: ignore[arg-type]
    _check_keys(table, tuple(defaults), where, "it")
    values: dict[str, Any] = {}
    for key, value in table.items():
        default = defaults[key]
        found: Any = tuple(value) if isinstance(value, list) else value
        if isinstance(default, float) and isinstance(found, int) and not isinstance(found, bool):
            found = float(found)
        if type(found) is not type(default):
            raise InputError(
                f"{where}: {key} = {value!r} must be like {default!r}, a {type(default).__name__}"
            )
        values[key] = found
    return kind(**values)


def _check_keys(table: Mapping[str, Any], known: tuple[str, ...], where: str, what: str) -> None:
    unknown = sorted(set(table) - set(known))
    if unknown:
        raise InputError(f"{where}: {what} has no {unknown[0]!r}; known are {', '.join(known)}")
