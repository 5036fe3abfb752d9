"""The page at `/`: ask, and see where an answer comes from.

Its files ask no key: there is nothing in them but the page, and a browser has to get it before it
can send a key.
"""

from __future__ import annotations

from importlib.resources import files

from fastapi import APIRouter, Response

from pipelines.serve.problems import Problem

__all__ = ["router"]

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
_SCRIPT = "text/javascript"
_TYPES = {
    "page.css": "text/css",
    "page.js": _SCRIPT,
    "asking.js": _SCRIPT,
    "key.js": _SCRIPT,
    "making.js": _SCRIPT,
    "answer.js": _SCRIPT,
    "source.js": _SCRIPT,
    "passages.js": _SCRIPT,
    "figures.js": _SCRIPT,
    "compare.js": _SCRIPT,
}
"""The files there are; no other name leads anywhere."""

router = APIRouter(include_in_schema=False)


@router.get("/")
def page() -> Response:
    """The page."""
    return _file("index.html", "text/html")


@router.get("/page/{name}")
def part(name: str) -> Response:
    """What it is made of."""
    if name not in _TYPES:
        raise Problem(404, "not_found", "the page has no such part")
    return _file(name, _TYPES[name])


def _file(name: str, kind: str) -> Response:
    content = files("pipelines.serve").joinpath("page", name).read_bytes()
    return Response(content, headers=_HEADERS, media_type=kind)
