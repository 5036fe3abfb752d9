"""The options of a source, written behind it: "edgar:AAPL#forms=10-K,10-Q&since=2023-01-01"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar, get_origin, get_type_hints
from urllib.parse import unquote

from pydantic import TypeAdapter, ValidationError

from rag.errors import UsageError

__all__ = ["read_options", "split_options"]

T = TypeVar("T")

_MARK = re.compile(r"#(?=[A-Za-z_][\w.-]*=)")


def split_options(place: str) -> tuple[str, dict[str, str]]:
    """A place and the options behind its last "#" that a name and "=" follow.

    Values are percent-decoded, so a "&" or "#" in one is written %26 or %23; a "+" is a "+".

    >>> split_options("sql:sqlite:///news.db#table=items&key=id")
    ('sql:sqlite:///news.db', {'table': 'items', 'key': 'id'})
    >>> split_options("https://example.org/#top")
    ('https://example.org/#top', {})
    >>> split_options("pubmed:C# or C++#since=2024&query=C%23%20or%20C++")
    ('pubmed:C# or C++', {'since': '2024', 'query': 'C# or C++'})

    Raises:
        UsageError: an option has no value, or is given twice.
    """
    marks = [*_MARK.finditer(place)]
    if not marks:
        return place, {}
    given: dict[str, str] = {}
    for piece in place[marks[-1].end() :].split("&"):
        name, equals, value = piece.partition("=")
        if not equals and piece:
            # Not shown: it may be the second half of a password with a "&" in it.
            raise UsageError('an option without "="', hint='a "&" in a value is written %26')
        if (name := unquote(name)) in given:
            raise UsageError(f"option {name!r} is given twice", hint="remove one of them")
        if piece:
            given[name] = unquote(value)
    return place[: marks[-1].start()], given


def read_options(kind: type[T], given: Mapping[str, str], scheme: str) -> T:
    """The options of one connector, checked: `kind` is a dataclass, its fields the options.

    A field that is a tuple takes words parted by commas; one named `since_date` is written
    `since-date` or as it is.

    Raises:
        UsageError: an option is not known or malformed.
    """
    hints = get_type_hints(kind)
    known = [each.name for each in fields(kind)]  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for written, value in given.items():
        name = written.replace("-", "_")
        if name not in known:
            raise UsageError(
                f"unknown option {written!r} of {scheme}: sources",
                hint=f"there are {', '.join(known)}" if known else "it has none",
            )
        if name in values:
            raise UsageError(f"option {name!r} is given twice", hint="remove one of them")
        is_list = get_origin(hints[name]) is tuple
        values[name] = tuple(filter(None, map(str.strip, value.split(",")))) if is_list else value
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        raise _told(error, scheme) from None


def _told(error: ValidationError, scheme: str) -> UsageError:
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(map(str, first["loc"]))
    if first["type"] == "missing":
        return UsageError(
            f"{scheme}: sources need the option {where!r}",
            hint=f"write {scheme}:PLACE#{where}=VALUE",
        )
    what = f"option {where} of {scheme}:" if where else f"options of {scheme}:"
    return UsageError(f"{what} {first['msg'].removeprefix('Value error, ')}", hint="mend the value")
