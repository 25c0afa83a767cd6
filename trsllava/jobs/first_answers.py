"""Answers: whether the first ones speak of the pictures, and whether a store can hold one."""

from dataclasses import replace

from trsllava.audit.lookalikes import Lookalikes, signature_of
from trsllava.captioning import BUILTIN
from trsllava.captioning.captioner import Captioned, Failed, Outcome
from trsllava.images.source import Picture
from trsllava.records import VARIANTS, canonical_json

COMPARED = 64


class FirstAnswers:
    """Holds the first answers to pictures against each other, without extra calls."""

    def __init__(self, captioner: str) -> None:
        """Begin without pictures.

        Parameters
        ----------
        captioner
            The name of who answers.
        """
        self._signatures: dict[str, bytes] = {}
        # The one that ships is given the pixels by us: if it says the same of two pictures, it
        # knows no better, which no server's remedy mends.
        self._lookalikes = None if captioner == BUILTIN else Lookalikes()
        self._left = COMPARED

    def remember(self, image: str, picture: Picture) -> None:
        """Keep what tells one of the first pictures from others."""
        if self._lookalikes is not None and len(self._signatures) < COMPARED:
            self._signatures[image] = signature_of(picture.pixels)

    def verdict(self, outcome: Outcome) -> str | None:
        """Take an answer in; say once if answers to different pictures do not differ."""
        signature = self._signatures.get(outcome.image)
        if self._lookalikes is None or signature is None or isinstance(outcome, Failed):
            return None
        texts = [text for variant in outcome.variants for text in variant.texts()]
        self._lookalikes.add(outcome.image, signature, texts)
        self._left -= 1
        verdict = self._lookalikes.verdict()
        if verdict is not None or not self._left:
            self._lookalikes = None
        return verdict


def storable(outcome: Outcome) -> Outcome:
    """Return an outcome that a store can hold, whoever wrote the captioner."""
    if isinstance(outcome, Failed):
        plain = [text.encode(errors="replace").decode() for text in (outcome.detail, outcome.raw)]
        return replace(outcome, detail=plain[0], raw=plain[1])
    if _is_full(outcome):
        return outcome
    detail = f"the captioner returned no {VARIANTS} full variants; its author must mend it"
    return Failed(outcome.image, "malformed", detail, repr(outcome.variants)[:4096], outcome.usage)


def _is_full(outcome: Captioned) -> bool:
    texts = [text for variant in outcome.variants for text in variant.texts()]
    try:
        canonical_json(texts)
    except UnicodeEncodeError:
        return False
    return len(outcome.variants) == VARIANTS and all(
        isinstance(text, str) and text.strip() for text in texts
    )
