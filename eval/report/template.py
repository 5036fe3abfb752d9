"""From a template and its content to a page, with the style of all reports."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

__all__ = ["render"]

_FOLDER = Path(__file__).parent


def render(template: str, content: Mapping[str, Any]) -> str:
    """The page; a name that the content lacks is an error.

    Args:
        template: the name of a file beside this one.
        content: what the template shows, escaped wherever it is text.
    """
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda value: f"{value * 100:.1f}"
    css = (_FOLDER / "page.css").read_text(encoding="utf-8")
    return environment.get_template(template).render(content, css=css)
