"""The one protocol of all backbones, and how one is found.

A backbone is frozen. It gives global vectors, image maps at several depths and word pieces, all in
sizes of its own; a system asks for those sizes and never learns which backbone it stands on.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from trsllava.compare.features import Read, Seen, Shapes
from trsllava.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image


class Backbone(Protocol):
    """Frozen encoders of pictures and of texts."""

    @property
    def shapes(self) -> Shapes:
        """The sizes of all features."""

    def identity(self) -> Mapping[str, str | int]:
        """Return all that changes a feature, versions of weights included."""

    def see(self, pictures: "Sequence[Image]") -> Seen:
        """Encode upright RGB pictures of any size."""

    def read(self, texts: Sequence[str]) -> Read:
        """Encode texts."""


def load_backbone(settings: Mapping[str, Any]) -> Backbone:
    """Return the backbone that an experiment names.

    Parameters
    ----------
    settings
        ``name`` is ``efficientnet-lite2`` or ``clip``; the latter needs ``model``, a folder or a
        hub id.

    Returns
    -------
    Backbone
        With its weights loaded.

    Raises
    ------
    InputError
        If there is no such backbone or ``model`` is missing.
    """
    name = settings.get("name")
    if name == "efficientnet-lite2":
        from trsllava.compare.efficientnet import EfficientNetBackbone

        return EfficientNetBackbone()
    if name == "clip":
        from trsllava.compare.clip import ClipBackbone

        if not isinstance(settings.get("model"), str):
            raise InputError(
                "the backbone 'clip' needs 'model' in [backbone]: a folder with a CLIP model "
                "that transformers reads, or a hub id"
            )
        return ClipBackbone(settings["model"])
    raise InputError(f"no backbone is called {name!r}; known are efficientnet-lite2 and clip")
