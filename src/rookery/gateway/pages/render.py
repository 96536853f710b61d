"""Templates, filled in: what the pages share. Everything that people wrote is escaped."""

from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from rookery.gateway.pages.highlight import highlighted

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(name: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a template, filled with the values, as a response."""
    return HTMLResponse(_templates.get_template(name).render(**values), status)


def render_error(status: int, what: str) -> HTMLResponse:
    """Return a page that states in one sentence what went wrong."""
    return render("error.html", status, title="That did not work", what=what, is_operator=False)


def address(path: str, **values: str | None) -> str:
    """Return the address of a page here, with those values that are not empty.

    >>> address("/", q="a & b", cursor=None)
    '/?q=a+%26+b'
    """
    query = urlencode({name: value for name, value in values.items() if value})
    return f"{path}?{query}" if query else path


def post_address(post_id: str, query: str = "", zone: str = "") -> str:
    """Return the address of a post's own page.

    >>> post_address("https://rooks.example/1")
    '/posts/https%3A%2F%2Frooks.example%2F1'
    """
    return address(f"/posts/{quote(post_id, safe='')}", q=query, zone=zone)


def local(moment: datetime, zone: tzinfo) -> datetime:
    """Return a moment in a zone; in UTC where the zone's year would leave the calendar."""
    try:
        return moment.astimezone(zone)
    except OverflowError:
        return moment


_templates.globals.update(
    address=address, post_address=post_address, highlighted=highlighted, local=local
)
