"""Any sentence-transformers model, by name or folder, with its own prompts.

Prompts come from the model's ``config_sentence_transformers.json``: the query
prompt for queries, the document (or passage) prompt for documents. Code that
comes with a model is never run.
"""

import hashlib
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trsllava.embedding.bundled import unit
from trsllava.errors import InputError, MissingExtra

Vectors = NDArray[np.float32]

log = logging.getLogger(__name__)

_QUERY_PROMPTS = ("query",)
_DOCUMENT_PROMPTS = ("document", "passage", "corpus")
_WANTS_PROMPTS = re.compile(r"(?<![a-z0-9])(e5|bge)(?![a-z0-9])")


class SentenceTransformerEmbedder:
    """A sentence-transformers model as an embedder.

    Parameters
    ----------
    model
        A folder, which works offline, or an id such as ``intfloat/e5-small-v2``.
    revision
        The commit of an id; a folder has none.
    device
        ``cpu``, ``cuda``, ``mps``; by default what sentence-transformers picks.

    Raises
    ------
    MissingExtra
        If sentence-transformers is not installed.
    InputError
        If the model cannot be loaded.
    """

    def __init__(
        self, model: str, *, revision: str | None = None, device: str | None = None
    ) -> None:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise MissingExtra(f"the encoder {model!r}", "st") from error
        folder = Path(model).expanduser()
        local = folder.is_dir()
        try:
            self._model: Any = SentenceTransformer(
                str(folder) if local else model,
                revision=None if local else revision,
                device=device,
                trust_remote_code=False,
                local_files_only=local,
            )
        except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
            raise InputError(
                f"{model} is no sentence-transformers model that can be loaded here: {error}"
            ) from error
        self._name = folder.resolve().name if local else model
        self._revision = folder_digest(folder) if local else self._weights_revision()
        self._query_prompt = self._prompt(_QUERY_PROMPTS)
        self._document_prompt = self._prompt(_DOCUMENT_PROMPTS)
        if _WANTS_PROMPTS.search(model.lower()) and not self._query_prompt:
            log.warning(
                "%s looks like a model that wants prompts such as 'query: ', and its "
                "config_sentence_transformers.json has none; results may be worse",
                model,
            )

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        ask = getattr(self._model, "get_embedding_dimension", None)
        return int((ask or self._model.get_sentence_embedding_dimension)())

    def identity(self) -> Mapping[str, str | int]:
        """Return all that changes a vector."""
        return {
            "name": self._name,
            "revision": self._revision,
            "window": self._window() or 0,
            "query_prompt": self._query_prompt,
            "document_prompt": self._document_prompt,
            "long_texts": "cut",
        }

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Encode documents in their order, each distinct text once."""
        place: dict[str, int] = {}
        rows = [place.setdefault(text, len(place)) for text in texts]
        return self._encode("encode_document", list(place), self._document_prompt)[rows]

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encode queries one by one."""
        found = [self._encode("encode_query", [text], self._query_prompt) for text in texts]
        return np.concatenate(found) if found else self._encode("encode_query", [], "")

    def too_long(self, texts: Sequence[str]) -> list[int]:
        """Return the positions of the texts that the model cuts at its window."""
        window = self._window()
        if window is None:
            return []
        suspects = [n for n, t in enumerate(texts) if len(self._document_prompt + t) > window - 2]
        return [n for n in suspects if self._count(texts[n]) > window]

    def _encode(self, method: str, texts: list[str], prompt: str) -> Vectors:
        if not texts:
            return np.zeros((0, self.dimension), np.float32)
        # Models with two towers choose by the method; before version 5 there is only encode.
        encode = getattr(self._model, method, self._model.encode)
        clean = [text.encode("utf-8", "replace").decode() for text in texts]
        vectors = encode(clean, prompt=prompt, show_progress_bar=False, convert_to_numpy=True)
        return unit(np.asarray(vectors, np.float32))

    def _count(self, text: str) -> int:
        clean = (self._document_prompt + text).encode("utf-8", "replace").decode()
        ids = self._model.tokenizer(clean, truncation=False, verbose=False)["input_ids"]
        return len(ids)

    def _window(self) -> int | None:
        length = getattr(self._model, "max_seq_length", None)
        # Models without a window give None, infinity or a huge number.
        return int(length) if length is not None and length < 1 << 30 else None

    def _prompt(self, names: Sequence[str]) -> str:
        prompts: Mapping[str, str] = self._model.prompts or {}
        default = prompts.get(self._model.default_prompt_name or "", "")
        return next((prompts[name] for name in names if prompts.get(name)), default)

    def _weights_revision(self) -> str:
        """Return the digest of the weights in memory, for a model that came by name."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self._model.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().float().numpy().tobytes())
        return digest.hexdigest()


def folder_digest(folder: Path) -> str:
    """Return the digest of a model's weights, tokenizer and configuration files."""
    digest = hashlib.sha256()
    wanted = {".safetensors", ".bin", ".json", ".txt", ".model"}
    for path in sorted(folder.rglob("*")):
        if path.suffix in wanted and path.is_file():
            digest.update(path.relative_to(folder).as_posix().encode())
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
