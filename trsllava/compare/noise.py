"""Wrong captions on purpose, in two published ways, as files that anyone can make again.

``permuted`` (RRSITR, arXiv 2603.28134): at a rate of 0, 0.2, 0.4, 0.6 or 0.8, ``int(pairs * rate)``
pairs are drawn and their captions permuted among them; one generator (seed 42) runs through the
rates in that order, so the noise of one rate depends on none but those below it.

``other-class`` (CHNR, arXiv 2202.13117): each pair whose picture has a known class gets, with a
probability of 0.05 to 0.5, the caption of a random picture of another class. Rates are nested: what
is wrong at one is wrong, in the same way, at all higher ones. The pairs of trusted pictures
(`pairs.trusted`) stay clean, as the paper's method presumes.

A file names rows of the pairs, no caption, and the digest of the pairs. What is read is compared
with what the same kind, rate and seed make again.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trsllava.compare.pairs import Pairs, trusted
from trsllava.errors import InputError
from trsllava.store.files import publish, seal, unseal

VERSION = 1
SEED = 42  # RRSITR's
PERMUTED, OTHER_CLASS = "permuted", "other-class"
RATES = {
    PERMUTED: (0.0, 0.2, 0.4, 0.6, 0.8),
    OTHER_CLASS: (0.05, 0.1, 0.2, 0.3, 0.4, 0.5),
}


@dataclass(frozen=True, slots=True, eq=False)
class Noise:
    """Pair ``rows[i]`` gets the caption of pair ``sources[i]``; both are (replaced,).

    ``wrong`` is the share of all pairs whose caption is none of its picture's own afterwards.
    """

    kind: str
    rate: float
    seed: int
    pairs: str
    rows: NDArray[np.int64]
    sources: NDArray[np.int64]
    wrong: float

    def apply(self, pairs: Pairs) -> Pairs:
        """Return the pairs with the captions replaced."""
        return pairs.with_text(_replaced(pairs, self.rows, self.sources))

    def to_json(self) -> dict[str, Any]:
        """Return the content of its file."""
        return {
            "version": VERSION,
            "kind": self.kind,
            "rate": self.rate,
            "seed": self.seed,
            "pairs": self.pairs,
            "rows": self.rows.tolist(),
            "sources": self.sources.tolist(),
            "wrong": self.wrong,
        }


def make_noise(pairs: Pairs, kind: str, rate: float, seed: int = SEED) -> Noise:
    """Draw the noise of one rate.

    Parameters
    ----------
    pairs
        Clean pairs.
    kind
        `PERMUTED` or `OTHER_CLASS`.
    rate
        One of `RATES` of that kind.
    seed
        Of numpy's old generator, whose stream never changes.

    Returns
    -------
    Noise
        The same for the same arguments, on every machine.

    Raises
    ------
    InputError
        If the kind or the rate is unknown, or no two classes are known.
    """
    if kind not in RATES:
        raise InputError(f"no noise is called {kind!r}; known are {', '.join(RATES)}")
    if rate not in RATES[kind]:
        known = ", ".join(f"{one:g}" for one in RATES[kind])
        raise InputError(f"{kind} noise is defined at the rates {known}, not at {rate:g}")
    draw = _permuted if kind == PERMUTED else _other_class
    rows, sources = draw(pairs, rate, np.random.RandomState(seed))
    numbers = pairs.image * len(pairs.texts) + _replaced(pairs, rows, sources)
    wrong = float((~np.isin(numbers, pairs.known())).mean())
    return Noise(kind, rate, seed, pairs.digest(), rows, sources, round(wrong, 6))


def write_noise(path: Path, noise: Noise) -> None:
    """Write a noise file."""
    publish(path, seal(noise.to_json()))


def read_noise(path: Path, pairs: Pairs) -> Noise:
    """Read a noise file and make sure that it is what its kind, rate and seed give on these pairs.

    Raises `InputError` if it belongs to other pairs or was made in another way. `StoreDamaged` if
    it is missing or not what was written.
    """
    body = unseal(path, VERSION)
    again = f"make it again with: python pipelines/compare/make_noise.py ... --out {path.parent}"
    try:
        kind, rate, seed = str(body["kind"]), float(body["rate"]), int(body["seed"])
        known = str(body["pairs"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is no noise file ({error!r}); {again}") from error
    if known != pairs.digest():
        raise InputError(
            f"{path} was made for other pairs than those of these annotations' train split "
            f"(without the cut that stops training); {again}"
        )
    noise = make_noise(pairs, kind, rate, seed)
    if noise.to_json() != body:
        raise InputError(
            f"{path} is not what {kind} noise at {rate:g} with seed {seed} gives on these pairs; "
            f"{again}"
        )
    return noise


def _replaced(
    pairs: Pairs, rows: NDArray[np.int64], sources: NDArray[np.int64]
) -> NDArray[np.int64]:
    text = pairs.text.copy()
    text[rows] = pairs.text[sources]
    return text


def _permuted(
    pairs: Pairs, rate: float, random: np.random.RandomState
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rows = sources = np.zeros(0, np.int64)
    for step in RATES[PERMUTED]:
        if step > rate:
            break
        rows = random.choice(len(pairs), int(len(pairs) * step), replace=False).astype(np.int64)
        sources = random.permutation(rows)
    order = np.argsort(rows)
    return rows[order], sources[order]


def _other_class(
    pairs: Pairs, rate: float, random: np.random.RandomState
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    names = sorted({name for name in pairs.classes if name is not None})
    if len(names) < 2:
        raise InputError(
            f"{OTHER_CLASS} noise needs pictures of at least two classes; a class is read from a "
            "file name such as airport_1.jpg"
        )
    number = {name: n for n, name in enumerate(names)}
    own = np.array([number[c] if c is not None else -1 for c in pairs.classes])[pairs.image]
    # Everything is drawn at once, so that a higher rate only adds to a lower one.
    lot, place = random.random_sample(len(pairs)), random.random_sample(len(pairs))
    rows = np.flatnonzero((lot < rate) & (own >= 0) & ~trusted(pairs)).astype(np.int64)
    sources = np.empty_like(rows)
    for n in range(len(names)):
        mine = own[rows] == n
        others = np.flatnonzero((own >= 0) & (own != n))
        sources[mine] = others[(place[rows[mine]] * len(others)).astype(np.int64)]
    return rows, sources
