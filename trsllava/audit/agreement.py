"""Whether a record agrees: with its picture, with the records around it, and within itself.

Everything is told by comparison with a sample of the archive. A record that was written from its
picture fits few other pictures better; one that was written from another picture fits as many
better as chance has it. Three such shares are taken:

- *picture*: how many other pictures the texts fit better than their own (the light head's vectors);
- *neighbours*: how many other pictures' neighbourhoods they fit better, where a neighbourhood is
  what the records of the most alike pictures say;
- *variant*: of the variant that agrees least, how many other records it fits better than the
  other variants of its own, or how many other records' neighbourhoods better than that of these
  (by their texts); and, where its picture was looked at, how many pictures and pictures'
  neighbourhoods: the least of all, so that whatever backs a variant clears it.

What they add to the score of a record: picture and neighbours 0.9 times the cube of twice their
mean, all of it from one half on; the variant nothing up to 0.2 and from there on evenly to 0.6.
"""

import heapq
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trsllava.audit.gists import Entry, Gist, Vectors, unit
from trsllava.audit.suspicions import LEAST, WORTH_SAYING, Suspicion, joined

OTHERS = 1000  # records that a record is compared with
LEAST_OTHERS = 10
_NEAREST = 20  # records that make a neighbourhood, of few at most a tenth of all
_ROUNDING = 1e-6
_TELLING = 0.1  # a share that is worth saying
_ORDINARY = 0.2  # the share of a variant that says nothing yet

_Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How a record agrees: shares of the ``others`` that it fits better, 0 to about one half.

    A share is None where it cannot be told; ``number`` is the variant that agrees least,
    ``missing`` the word that says why the picture could not be looked at.
    """

    image: str
    picture: float | None = None
    neighbours: float | None = None
    variant: float | None = None
    number: int = 0
    others: int = 0
    missing: str | None = None

    @property
    def parts(self) -> Mapping[str, float]:
        """What the record's score is made of, each 0 to 1."""
        shares = [share for share in (self.picture, self.neighbours) if share is not None]
        doubt = sum(shares) / len(shares) if shares else 0.0
        odd = max(0.0, (self.variant or 0.0) - _ORDINARY) / (1 - _ORDINARY)
        return {
            "picture": 0.9 * min(1.0, 2 * doubt) ** 3,
            "variants": 0.6 * odd,
        }

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons in words."""
        parts, said = self.parts, []
        tells = parts["picture"] >= WORTH_SAYING
        if tells and (self.picture or 0.0) >= _TELLING:
            said.append(
                f"its texts fit {self.picture:.0%} of {self.others} other pictures better than "
                "its own"
            )
        if tells and (self.neighbours or 0.0) >= _TELLING:
            said.append(
                f"its texts fit what is said around {self.neighbours:.0%} of {self.others} other "
                "pictures better than what is said of pictures like its own"
            )
        if parts["variants"] >= WORTH_SAYING:
            said.append(
                f"variant {self.number} fits {self.variant:.0%} of {self.others} other records "
                "better than the rest of its own"
            )
        return tuple(said)


def agreements(vectors: Vectors) -> Iterator[Agreement]:
    """Hold every record against a sample of the archive; none is held for longer than that.

    Parameters
    ----------
    vectors
        The records' vectors. What has none agrees with nobody and blames nobody.

    Yields
    ------
    Agreement
        One a record, in no order.
    """
    drawn = draw(vectors.entries())
    if vectors.text_mean is None and drawn:
        vectors = replace(vectors, text_mean=vectors.mean_of(drawn))
    sample = list(vectors.gists(drawn))
    archive = Sample(sample)
    yield from map(archive.agreement, sample)
    known = {gist.image for gist in sample}
    rest = (entry for entry in vectors.entries() if entry.place.image not in known)
    yield from map(archive.agreement, vectors.gists(rest))


def draw(entries: Iterable[Entry]) -> list[Entry]:
    """Draw records, those first whose picture is at hand, and the same ones every time."""
    dice = random.Random(0)  # noqa: S311 - a sample, no secret
    keyed = (((entry.source is None, dice.random()), entry) for entry in entries)
    drawn = heapq.nsmallest(OTHERS, keyed, key=lambda pair: pair[0])
    return sorted((entry for _, entry in drawn), key=lambda entry: entry.place[1:])


class Sample:
    """The records that others are held against."""

    def __init__(self, gists: Sequence[Gist]) -> None:
        """Take in the records of the sample; those without readable texts are left out."""
        gists = [gist for gist in gists if gist.numbers]
        self._images = np.array([gist.image for gist in gists], str)
        self._seen = np.array([gist.picture is not None for gist in gists], bool)
        self._centres = np.array([gist.centre for gist in gists], np.float32)
        size = self._centres.shape[-1:]
        pictures = [gist.picture if gist.picture is not None else np.zeros(size) for gist in gists]
        self._pictures = np.array(pictures, np.float32)
        self._around = self._centres
        self._around_pictures = self._centres
        everyone = [self._images != image for image in self._images]
        if len(gists) > LEAST_OTHERS:
            pairs = list(zip(self._centres, everyone, strict=True))
            self._around = np.stack([self._near(own, self._centres, who) for own, who in pairs])
        if self._seen.sum() > LEAST_OTHERS:
            seen = list(zip(self._pictures, everyone, strict=True))
            self._around_pictures = np.stack(
                [self._near(own, self._pictures, who & self._seen) for own, who in seen]
            )

    def agreement(self, gist: Gist) -> Agreement:
        """Hold one record against the sample."""
        others = self._images != gist.image
        count = int(others.sum())
        if not gist.numbers or count < LEAST_OTHERS:
            return Agreement(gist.image, others=count, missing=gist.missing)
        told = Agreement(gist.image, others=count, missing=gist.missing)
        backing: list[NDArray[np.float64]] = []  # for each variant
        seen = others & self._seen
        if gist.picture is not None and seen.sum() >= LEAST_OTHERS:
            texts = np.concatenate([gist.centre[None], gist.variants])
            around = self._near(gist.picture, self._pictures, seen)
            fits = _better(texts, gist.picture, self._pictures[seen])
            suits = _better(texts, around, self._around_pictures[seen])
            told = replace(told, picture=float(fits[0]), neighbours=float(suits[0]))
            told = replace(told, others=int(seen.sum()))
            backing = [fits[1:], suits[1:]]
        if len(gist.numbers) < 2:
            return told
        shares = np.array([self._odd(gist, at, others) for at in range(len(gist.numbers))])
        shares = np.minimum.reduce([shares, *backing])
        worst = int(np.argmax(shares))
        return replace(told, variant=float(shares[worst]), number=gist.numbers[worst])

    def _odd(self, gist: Gist, at: int, others: NDArray[np.bool_]) -> float:
        """Return the share of other records that one variant fits better, texts alone."""
        own, text = gist.variants, gist.variants[at : at + 1]
        rest = unit(own.sum(axis=0) - own[at])
        around = self._near(rest, self._centres, others)
        # A record of equal texts is no better: many may rightly say the same.
        one = _better(text, rest, self._centres[others], tie=0.0)
        other = _better(text, around, self._around[others], tie=0.0)
        return float(min(one[0], other[0]))

    def _near(self, own: _Floats, keys: _Floats, among: NDArray[np.bool_]) -> _Floats:
        """Return what the records say whose keys are nearest, as one direction."""
        count = max(1, min(_NEAREST, int(among.sum()) // 10))
        closeness = np.where(among, keys @ own, -np.inf)
        nearest = np.argsort(-closeness, kind="stable")[:count]
        return unit(self._centres[nearest].sum(axis=0))


def _better(texts: _Floats, own: _Floats, others: _Floats, tie: float = 0.5) -> NDArray[np.float64]:
    """Return for each text which share of the others it fits better than its own."""
    lead = texts @ others.T - (texts @ own)[:, None]
    tied = np.abs(lead) < _ROUNDING  # a picture of equal bytes, for example
    return np.asarray(np.where(tied, tie, lead > 0).mean(axis=1), np.float64)


def add_agreements(found: Iterable[Suspicion], told: Iterable[Agreement]) -> list[Suspicion]:
    """Join what words alone told with how records agree; worst first."""
    known = {suspicion.image: suspicion for suspicion in found}
    for agreement in told:
        own = known.get(agreement.image, Suspicion(agreement.image, 0.0, ()))
        parts = {**agreement.parts, **own.parts}
        told_of = joined(agreement.image, parts, (*agreement.reasons, *own.reasons))
        if told_of.score >= LEAST:
            known[agreement.image] = told_of
    return sorted(known.values(), key=lambda suspicion: (-suspicion.score, suspicion.image))
