"""What a system has to give, and where the systems are.

A system is a `torch.nn.Module` that also fits `System`; its class takes the backbone's sizes and
the settings of an experiment file. The trainer does the rest: batches, optimiser, checkpoints,
stopping.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from trsllava.compare.batches import Batch, Pictures, Texts, Training
from trsllava.compare.features import Shapes
from trsllava.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

SYSTEMS = {
    "dual-encoder": "trsllava.compare.dual.model:DualEncoder",
    "msa": "trsllava.compare.msa.model:Msa",
    "rrsitr": "trsllava.compare.rrsitr.model:Rrsitr",
    "chnr": "trsllava.compare.chnr.model:Chnr",
}


@dataclass(frozen=True, slots=True, eq=False)
class Loss:
    """The loss of a batch (a scalar to minimise), and figures for the curve."""

    total: "Tensor"
    figures: Mapping[str, float]


class System(Protocol):
    """A trained system; beside these methods those of `torch.nn.Module` are called."""

    local: bool
    """Whether maps and word pieces are looked at; without, they come with no columns."""

    def prepare(self, training: Training) -> None:
        """Set what is not learnt step by step (means, a closed-form start), once, before step 1.

        What is set must be in the module's state: a run that goes on does not prepare again.
        """

    def groups(self) -> list[dict[str, Any]]:
        """Return AdamW's parameter groups; what one does not state the experiment does."""

    def loss(self, batch: Batch) -> Loss:
        """Return the loss of a batch whose pairs may be wrong."""

    def scores(self, pictures: Pictures, texts: Texts) -> "Tensor":
        """Return the scores (texts, pictures) of a whole split, higher is better.

        Called without gradients, in evaluation mode; long lists are the system's to cut in blocks.
        """


def make_system(name: str, shapes: Shapes, settings: Mapping[str, Any], seed: int) -> Any:
    """Return a system with its parameters drawn.

    Parameters
    ----------
    name
        One of `SYSTEMS`.
    shapes
        The backbone's sizes.
    settings
        The table ``[system]`` of the experiment file.
    seed
        What the parameters are drawn with.

    Returns
    -------
    Any
        A `torch.nn.Module` that fits `System`.

    Raises
    ------
    InputError
        If the name or a setting is unknown.
    """
    import torch

    if name not in SYSTEMS:
        raise InputError(f"no system is called {name!r}; known are {', '.join(SYSTEMS)}")
    module, _, attribute = SYSTEMS[name].partition(":")
    torch.manual_seed(seed)
    return getattr(import_module(module), attribute)(shapes, settings)
