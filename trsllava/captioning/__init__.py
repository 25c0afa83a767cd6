"""Captioners: what looks at pictures and writes records.

A captioner is found by name: ``builtin`` (ships with the package), ``openai`` (any compatible
server), ``transformers`` (a model on this machine), or a plug-in of the entry point group
``trsllava.captioners``, loaded when named.
"""

import importlib
import inspect
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from trsllava.captioning.captioner import (
    Captioned,
    Captioner,
    CaptionerUnavailable,
    Failed,
    Outcome,
    Prepared,
    Usage,
)
from trsllava.errors import InputError, UsageError

GROUP = "trsllava.captioners"
BUILTIN = "builtin"
# Resolved even in a bare checkout, where no entry points are installed.
_BUILT_IN = {
    BUILTIN: "trsllava.light.captioner:BuiltinCaptioner",
    "openai": "trsllava.captioning.served:ServedCaptioner",
    "transformers": "trsllava.captioning.local:LocalCaptioner",
}


def load_captioner(name: str, **options: Any) -> Captioner:
    """Load a captioner by its registered name; ``options`` go to its factory.

    Raises `InputError` if nothing has that name, `UsageError` if it does not take an option,
    `MissingExtra` if it needs a package that is not here.
    """
    plugins = {point.name: point for point in entry_points(group=GROUP)}
    if name not in _BUILT_IN and name not in plugins:
        known = ", ".join(sorted({*_BUILT_IN, *plugins}))
        raise InputError(f"no captioner is called {name!r}; known: {known}")
    factory = _factory(name, plugins)
    refused = [f"--{key.replace('_', '-')}" for key in options if not _takes(factory, key)]
    if refused:
        raise UsageError(
            f"the captioner {name!r} does not take {' and '.join(refused)}; leave that out, or "
            "choose a captioner that takes it with --captioner"
        )
    return factory(**options)


def _takes(factory: Callable[..., Captioner], option: str) -> bool:
    """Whether a factory has a parameter of that name, or takes any."""
    parameters = inspect.signature(factory).parameters
    kinds = (parameter.kind for parameter in parameters.values())
    return option in parameters or inspect.Parameter.VAR_KEYWORD in kinds


def _factory(name: str, plugins: Mapping[str, EntryPoint]) -> Callable[..., Captioner]:
    """Import the class of a captioner; a built-in name cannot be taken over."""
    if name in _BUILT_IN:
        module, _, attribute = _BUILT_IN[name].partition(":")
        return cast(Callable[..., Captioner], getattr(importlib.import_module(module), attribute))
    try:
        return cast(Callable[..., Captioner], plugins[name].load())
    except (ImportError, AttributeError) as error:
        raise InputError(f"the captioner {name!r} of another package fails: {error}") from error


__all__ = [
    "BUILTIN",
    "Captioned",
    "Captioner",
    "CaptionerUnavailable",
    "Failed",
    "Outcome",
    "Prepared",
    "Usage",
    "load_captioner",
]
