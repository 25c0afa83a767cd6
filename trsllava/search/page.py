"""A page of results that stands alone: pictures and style are inside the one file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trsllava.pages import publish_page
from trsllava.search.pictures import thumbnail
from trsllava.search.query import Answer, Hit


def write_page(path: Path, answers: Sequence[Answer], remark: str = "") -> None:
    """Write the hits of some queries as one HTML file.

    Parameters
    ----------
    path
        The file.
    answers
        One section each.
    remark
        What to say under the title.
    """
    sections = [_section(answer) for answer in answers]
    publish_page(path, Path(__file__).with_name("page.html"), sections=sections, remark=remark)


def _section(answer: Answer) -> dict[str, Any]:
    hits = [hit for hit in answer.hits if not hit.weak or answer.query.min_score is not None]
    return {
        "query": answer.query.text,
        "without": ", ".join(answer.query.without),
        "notes": answer.notes,
        "hidden": len(answer.hits) - len(hits),
        "hits": [{"hit": hit, **_picture(hit)} for hit in hits],
    }


def _picture(hit: Hit) -> dict[str, Any]:
    if hit.source is None:
        return {"picture": None, "missing": "picture not at hand"}
    picture, reason = thumbnail(hit.source)
    return {"picture": picture, "missing": reason}
