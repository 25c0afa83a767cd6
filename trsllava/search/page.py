"""A page of results that stands alone: pictures and style are inside the one file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trsllava.search.pictures import thumbnail
from trsllava.search.query import Answer, Hit
from trsllava.store.files import publish
from trsllava.untrusted import printable


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
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    sections = [_section(answer) for answer in answers]
    html = environment.get_template("page.html").render(sections=sections, remark=remark)
    publish(path, html.encode("utf-8", "backslashreplace"))


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
