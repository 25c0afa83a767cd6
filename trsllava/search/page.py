"""A page of results that stands alone: pictures and style are inside the one file."""

import base64
import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trsllava.search.query import Answer, Hit
from trsllava.store.files import publish
from trsllava.untrusted import printable

_SIDE = 320  # pixels of a thumbnail's longer side
_MOST_PIXELS = 200_000_000


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
        "without": answer.query.without,
        "notes": answer.notes,
        "hidden": len(answer.hits) - len(hits),
        "hits": [{"hit": hit, **_picture(hit)} for hit in hits],
    }


def _picture(hit: Hit) -> dict[str, Any]:
    if hit.path is None:
        return {"picture": None, "missing": "picture not at hand"}
    picture, reason = thumbnail(Path(hit.path))
    return {"picture": picture, "missing": reason}


def thumbnail(path: Path) -> tuple[str | None, str | None]:
    """Return a small copy of a picture as a ``data:`` address, or None and the reason."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                if image.width * image.height > _MOST_PIXELS:
                    return None, "picture too large to show"
                image.draft("RGB", (_SIDE, _SIDE))
                small = ImageOps.exif_transpose(image).convert("RGB")
        small.thumbnail((_SIDE, _SIDE))
        data = io.BytesIO()
        small.save(data, "JPEG", quality=85)
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError):
        return None, "picture cannot be read"
    return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}", None
