"""Answers that come back from outside for images that the store took in."""

from collections import OrderedDict

from trsllava.records import Metadata
from trsllava.store.layout import IntakeRef, LotRef
from trsllava.store.lots import read_rows
from trsllava.store.view import View

_LOTS_KEPT = 8


class Awaited:
    """What a view knows about images of which an answer speaks."""

    def __init__(self, view: View) -> None:
        """Take the newest state."""
        self._view = view
        # The view's own set is asked first, then the newest of the others.
        self._intakes = sorted(view.intakes, key=lambda i: (i.set != view.set, -i.number))
        self._lots: OrderedDict[str, dict[str, Metadata]] = OrderedDict()

    def knows(self, image: str) -> bool:
        """Say whether an answer may be about an image.

        A store that never took images in cannot tell, and lets all pass.
        """
        return (
            not self._view.intakes
            or self._view.took_in(image)
            or self._view.find(image) is not None
            or image in self._view.refused
        )

    def metadata(self, image: str) -> Metadata:
        """Return where and when an image was taken, as far as that was known without a look at it.

        That is what its intake lists, or else what its record says.
        """
        for intake in self._intakes:
            if self._view.tombs.get(image, 0) > intake.number:
                continue
            for ref in intake.lots:
                if ref.first <= image <= ref.last:
                    found = self._lot(intake, ref).get(image)
                    if found is not None:
                        return found
        place = self._view.find(image)
        return Metadata() if place is None else self._view.record(place).metadata

    def _lot(self, intake: IntakeRef, ref: LotRef) -> dict[str, Metadata]:
        """Return the metadata of a lot's images; answers are asked about in order of the ids."""
        kept = self._lots.get(ref.name)
        if kept is None:
            rows = read_rows(self._view.layout, intake, ref)
            kept = {row["image"]: Metadata.from_json(row) for row in rows}
            self._lots[ref.name] = kept
            if len(self._lots) > _LOTS_KEPT:
                self._lots.popitem(last=False)
        return kept
