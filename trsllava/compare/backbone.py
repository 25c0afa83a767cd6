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


_KEYS = {
    "efficientnet-lite2": (),
    "clip": ("model",),
    "resnet-bert": ("image", "text"),
}  # of the table [backbone] beside the name


def load_backbone(settings: Mapping[str, Any]) -> Backbone:
    """Return the backbone that an experiment names.

    Parameters
    ----------
    settings
        ``name`` is ``efficientnet-lite2``, ``clip`` or ``resnet-bert``; clip needs ``model``,
        resnet-bert ``image`` and ``text``, each a folder or a hub id.

    Returns
    -------
    Backbone
        With its weights loaded.

    Raises
    ------
    InputError
        If there is no such backbone or what it needs is missing.
    """
    name = settings.get("name")
    unknown = sorted(set(settings) - {"name", *_KEYS.get(str(name), settings)})
    if unknown:
        raise InputError(f"the backbone {name!r} has no {unknown[0]!r} in [backbone]")
    if name == "efficientnet-lite2":
        from trsllava.compare.efficientnet import EfficientNetBackbone

        return EfficientNetBackbone()
    if name == "clip":
        from trsllava.compare.clip import ClipBackbone

        return ClipBackbone(_named(settings, "model", "CLIP"))
    if name == "resnet-bert":
        from trsllava.compare.resnet_bert import ResNetBertBackbone

        return ResNetBertBackbone(
            _named(settings, "image", "ResNet"), _named(settings, "text", "BERT")
        )
    raise InputError(
        f"no backbone is called {name!r}; known are efficientnet-lite2, clip and resnet-bert"
    )


def _named(settings: Mapping[str, Any], key: str, what: str) -> str:
    found = settings.get(key)
    if not isinstance(found, str):
        raise InputError(
            f"the backbone {settings['name']!r} needs {key!r} in [backbone]: a folder with a "
            f"{what} model that transformers reads, or a hub id"
        )
    return found
