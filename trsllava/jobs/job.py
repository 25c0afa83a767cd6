"""A job: which records of which store, written by what; small enough to hand to any worker."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trsllava.captioning import Captioner, load_captioner
from trsllava.images.source import Reading
from trsllava.records import canonical_json
from trsllava.store.view import Lot


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker must know; it travels to other processes and machines."""

    store: str
    set: str
    captioner: str
    options: Mapping[str, Any]
    reading: Reading
    shard: tuple[int, int] = (1, 1)

    def load(self) -> Captioner:
        """Load the captioner."""
        return load_captioner(self.captioner, **self.options)

    def has(self, lot: Lot) -> bool:
        """Whether a lot belongs to this job's shard; any number of shards divides them all."""
        number, of = self.shard
        digest = int(lot.ref.name.rpartition("-")[2], 16)
        return digest % of == number - 1


@dataclass(slots=True)
class Tally:
    """What happened so far, in images; tokens and calls as the captioner counts them.

    ``adopted`` were done by workers that are gone, ``copied`` have the bytes of another image.
    """

    records: int = 0
    quarantined: int = 0
    copied: int = 0
    adopted: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    calls: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    @property
    def images(self) -> int:
        """How many images got their record or their reason."""
        return self.records + self.quarantined

    def cost(self, price: tuple[float, float]) -> float:
        """Return what the tokens cost at a price of so much a million in and out."""
        return (self.prompt_tokens * price[0] + self.completion_tokens * price[1]) / 1e6

    def add(self, other: "Tally") -> None:
        """Take in what another worker has counted."""
        self.records += other.records
        self.quarantined += other.quarantined
        self.copied += other.copied
        self.adopted += other.adopted
        self.prompt_tokens += other.prompt_tokens
        self.completion_tokens += other.completion_tokens
        self.calls += other.calls
        for reason, count in other.reasons.items():
            self.reasons[reason] = self.reasons.get(reason, 0) + count


def identity_of(captioner: Captioner, reading: Reading) -> dict[str, Any]:
    """Return all that changes the records which a captioner writes about pictures read so."""
    from trsllava.captioning.dialogue import CHECKS_VERSION
    from trsllava.captioning.schema import SCHEMA_VERSION
    from trsllava.images.prepare import identity

    return {
        "captioner": dict(captioner.identity()),
        "reading": identity(reading),
        "schema": SCHEMA_VERSION,
        "checks": CHECKS_VERSION,
    }


def fingerprint_of(identity: Mapping[str, Any]) -> str:
    """Return the name of the record set: a short digest of what it stands for."""
    return hashlib.sha256(canonical_json(dict(identity))).hexdigest()[:16]


def difference(old: Mapping[str, Any], new: Mapping[str, Any], where: str = "") -> list[str]:
    """Say in which settings two record sets differ."""
    found = []
    for key in sorted(old.keys() | new.keys()):
        left, right = old.get(key), new.get(key)
        if isinstance(left, Mapping) and isinstance(right, Mapping):
            found += difference(left, right, f"{where}{key}.")
        elif left != right:
            found.append(f"{where}{key}: {left} before, {right} now")
    return found
