"""Text encoders: the protocol, finding one by name, and the canary.

An embedder turns texts into unit vectors. ``minilm`` and ``adapted`` ship with the
package; any sentence-transformers model goes by name or path; a plug-in adds one
through the entry point group ``trsllava.embedders``, loaded only when named.
"""

import hashlib
import importlib
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from trsllava.errors import InputError
from trsllava.records import canonical_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

GROUP = "trsllava.embedders"
DEFAULT_EMBEDDER = "minilm"
SENTENCE_TRANSFORMERS = "sentence-transformers"
# Resolved even in a bare checkout, where no entry points are installed.
_BUILT_IN = {
    DEFAULT_EMBEDDER: "trsllava.embedding.bundled:BundledEmbedder",
    "adapted": "trsllava.embedding.bundled:adapted",
    SENTENCE_TRANSFORMERS: "trsllava.embedding.sentence:SentenceTransformerEmbedder",
}

CANARY = "Several white planes are parked beside the long terminal of an airport."
# Threads, batches and unoptimised graphs move it by 1e-7; the nearest wrong arithmetic that
# docs/encoder.md measured (another quantisation) gives 0.9987. No other processor was at hand.
CANARY_LIMIT = 0.999


class Embedder(Protocol):
    """A frozen text encoder; vectors are float32 (texts, dimension) of unit length.

    A text that the model cannot read may get zeros, which are near nothing.
    """

    @property
    def dimension(self) -> int:
        """The length of a vector."""

    def identity(self) -> Mapping[str, str | int]:
        """Return all that changes a vector: name, revision, window, prompts."""

    def encode(self, texts: Sequence[str]) -> "Vectors":
        """Encode documents in their order; equal texts get equal vectors."""

    def encode_queries(self, texts: Sequence[str]) -> "Vectors":
        """Encode queries one by one, so that a query's vector depends on nothing else."""

    def too_long(self, texts: Sequence[str]) -> list[int]:
        """Return the positions of the texts that exceed the model's window."""


def fingerprint(embedder: Embedder) -> str:
    """Return the short digest of all that changes a vector."""
    return hashlib.sha256(canonical_json(dict(embedder.identity()))).hexdigest()[:16]


def load_embedder(name: str = DEFAULT_EMBEDDER, **options: Any) -> Embedder:
    """Load an embedder by its registered name, or a sentence-transformers model.

    A folder, or an id with a slash such as ``intfloat/e5-small-v2``, is a
    sentence-transformers model. ``options`` go to the embedder. Raises `InputError` if
    nothing has that name, `MissingExtra` if the embedder needs a package that is not here.
    """
    plugins = {point.name: point for point in entry_points(group=GROUP)}
    if name in _BUILT_IN or name in plugins:
        if name == SENTENCE_TRANSFORMERS and "model" not in options:
            raise InputError("give the model itself: --embedder FOLDER or --embedder org/model")
        return _factory(name, plugins)(**options)
    if "/" in name or Path(name).is_dir():
        return _factory(SENTENCE_TRANSFORMERS, plugins)(model=name, **options)
    known = ", ".join(sorted({*_BUILT_IN, *plugins} - {SENTENCE_TRANSFORMERS}))
    raise InputError(
        f"no encoder is called {name!r}; known: {known}, "
        "a folder or an org/model of sentence-transformers"
    )


def _factory(name: str, plugins: Mapping[str, EntryPoint]) -> Callable[..., Embedder]:
    """Import the class of an embedder; a built-in name cannot be taken over."""
    if name in _BUILT_IN:
        module, _, attribute = _BUILT_IN[name].partition(":")
        return cast(Callable[..., Embedder], getattr(importlib.import_module(module), attribute))
    try:
        return cast(Callable[..., Embedder], plugins[name].load())
    except (ImportError, AttributeError) as error:
        raise InputError(f"the encoder {name!r} of another package fails: {error}") from error


def canary_drift(embedder: Embedder, stored: Sequence[float]) -> float:
    """Return the cosine between the canary's vector now and the one stored with an index.

    Below `CANARY_LIMIT` this machine does not compute what the index was built with.
    """
    now = embedder.encode_queries([CANARY])[0]
    if len(stored) != len(now):
        return 0.0
    length = float(sum(x * x for x in stored)) ** 0.5
    return float(sum(float(a) * b for a, b in zip(now, stored, strict=True))) / (length or 1.0)


__all__ = [
    "CANARY",
    "CANARY_LIMIT",
    "DEFAULT_EMBEDDER",
    "Embedder",
    "canary_drift",
    "fingerprint",
    "load_embedder",
]
