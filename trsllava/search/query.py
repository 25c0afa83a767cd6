"""A question to an archive, and its answer."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

from trsllava.errors import UsageError
from trsllava.images.source import Source
from trsllava.index.scoring import MODES, Mode
from trsllava.records import BBox
from trsllava.search.filters import Filters

Sort = Literal["score", "date"]


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for; `UsageError` if it is nothing.

    ``without`` are things that must not be there. ``where`` are property values that must be as
    given, ``bbox``, ``since`` and ``until`` (UTC) what an image's footprint and time must meet.
    ``min_score`` is compared with the final score, 0 to 1. ``sort="date"`` puts the newest of
    the images that answer the query first.
    """

    text: str
    without: tuple[str, ...] = ()
    top: int = 10
    mode: Mode = "hybrid"
    where: tuple[tuple[str, str], ...] = ()
    bbox: BBox | None = None
    since: datetime | None = None
    until: datetime | None = None
    min_score: float | None = None
    sort: Sort = "score"

    def __post_init__(self) -> None:
        """Refuse what can have no answer."""
        if not self.text.strip():
            raise UsageError("the query is empty; say what the image should show")
        if not all(text.strip() for text in self.without):
            raise UsageError("--not is empty; say what the image must not show")
        if self.top < 1:
            raise UsageError(f"--top must be at least 1, not {self.top}")
        if self.mode not in MODES:
            raise UsageError(f"unknown mode {self.mode!r}; choose one of {', '.join(MODES)}")
        if self.sort not in ("score", "date"):
            raise UsageError(f"unknown order {self.sort!r}; choose score or date")
        if self.min_score is not None and not 0 <= self.min_score <= 1:
            raise UsageError(f"scores lie between 0 and 1; --min-score {self.min_score} does not")
        _ = self.filters  # refuses what nothing can pass

    @property
    def filters(self) -> Filters:
        """What an image must be to be a hit at all."""
        return Filters(self.where, self.bbox, self.since, self.until)


class Explanation(NamedTuple):
    """Where a score comes from.

    ``meaning``, ``words`` and ``picture`` are what each adds to ``raw`` (in deviations),
    ``cosine``, ``bm25`` and ``similarity`` what they are made of, ``matched`` the query's words in
    the record, ``unwanted`` how surely what must not be there is there, 0 to 1, by which the score
    is lowered.
    """

    raw: float
    meaning: float
    words: float
    picture: float
    cosine: float
    bm25: float
    similarity: float
    matched: tuple[str, ...]
    unwanted: float | None


@dataclass(frozen=True, slots=True)
class Hit:
    """An image and the text that won, its evidence.

    ``score`` lies between 0 and 1 and means the same for every query and mode: a ``weak`` one,
    below 0.5, is what images reach that do not answer the query. ``path`` is the file that holds
    the picture, ``source`` says where in it.
    """

    rank: int
    image: str
    score: float
    weak: bool
    evidence: str
    field: str
    variant: int
    bbox: BBox | None = None
    datetime: str | None = None
    path: str | None = None
    source: Source | None = None
    store: str | None = None
    explanation: Explanation | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the hit as ``query --json`` prints it; what is unknown is left out."""
        body: dict[str, Any] = {
            "rank": self.rank,
            "image": self.image,
            "score": round(self.score, 4),
            "weak": self.weak,
            "evidence": self.evidence,
            "field": self.field,
            "variant": self.variant,
        }
        if self.bbox is not None:
            body["bbox"] = list(self.bbox)
        for key in ("datetime", "path", "store"):
            if getattr(self, key) is not None:
                body[key] = getattr(self, key)
        if self.explanation is not None:
            body["explain"] = self.explanation._asdict()
        return body


@dataclass(frozen=True, slots=True)
class Answer:
    """The hits of one query, best first, and what there is to say about them."""

    query: Query
    hits: tuple[Hit, ...]
    elapsed_ms: float
    notes: tuple[str, ...] = ()

    @property
    def answered(self) -> bool:
        """Whether any hit is more than weak."""
        return any(not hit.weak for hit in self.hits)

    def to_json(self) -> dict[str, Any]:
        """Return the object that ``query --json`` prints."""
        return {
            "query": self.query.text,
            "mode": self.query.mode,
            "answered": self.answered,
            "hits": [hit.to_json() for hit in self.hits],
            "notes": list(self.notes),
            "elapsed_ms": round(self.elapsed_ms, 1),
        }
