"""The options of a source, written behind it: "edgar:AAPL#forms=10-K,10-Q&since=2023-01-01"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar, get_origin, get_type_hints
from urllib.parse import parse_qsl

from pydantic import TypeAdapter, ValidationError

from rag.errors import UsageError

__all__ = ["read_options", "split_options"]

T = TypeVar("T")


def split_options(place: str) -> tuple[str, dict[str, str]]:
    """A place and the options behind its last "#".

    >>> split_options("sql:sqlite:///news.db#table=items&key=id")
    ('sql:sqlite:///news.db', {'table': 'items', 'key': 'id'})
    >>> split_options("https://example.org/#top")
    ('https://example.org/#top', {})
    """
    before, mark, behind = place.rpartition("#")
    if not mark or "=" not in behind:
        return place, {}
    return before, dict(parse_qsl(behind, keep_blank_values=True))


def read_options(kind: type[T], given: Mapping[str, str], scheme: str) -> T:
    """The options of one connector, checked: `kind` is a dataclass, its fields the options.

    A field that is a tuple takes words parted by commas; one named `since_date` is written
    `since-date` or as it is.

    Raises:
        UsageError: an option is not known or malformed.
    """
    hints = get_type_hints(kind)
    values: dict[str, Any] = {name.replace("-", "_"): value for name, value in given.items()}
    known = [each.name for each in fields(kind)]  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            raise UsageError(
                f"unknown option {name!r} of {scheme}: sources",
                hint=f"there are {', '.join(known)}" if known else "it has none",
            )
        if get_origin(hints[name]) is tuple:
            values[name] = tuple(word.strip() for word in values[name].split(",") if word.strip())
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or scheme
        raise UsageError(
            f"option {where} of {scheme}: {first['msg'].removeprefix('Value error, ')}",
            hint="mend the value",
        ) from None
