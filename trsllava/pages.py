"""Pages for people: a template filled in, with everything that comes from outside escaped."""

from pathlib import Path

from trsllava.store.files import publish
from trsllava.untrusted import printable


def publish_page(path: Path, template: Path, **context: object) -> None:
    """Render a template and write the page whole.

    Parameters
    ----------
    path
        The file to write.
    template
        A Jinja template; it may include others of its folder.
    **context
        What it shows. Strings are escaped, and control characters made visible.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(template.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    html = environment.get_template(template.name).render(**context)
    publish(path, html.encode("utf-8", "backslashreplace"))
