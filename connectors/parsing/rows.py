"""JSON lines: one line of bytes to one checked row."""

from __future__ import annotations

import codecs
import json
import math
import re
from typing import Any, Never

from rag.errors import DocumentError

__all__ = ["MAX_LINE", "PARSER_VERSION", "facts", "parse_row", "row_id", "row_text", "whole"]

PARSER_VERSION = "rows-1"

_LONGEST = 1_000  # characters of a fact
MAX_LINE = 64 * 2**20

_SURROGATE = re.compile("[\ud800-\udfff]")


def parse_row(line: bytes) -> dict[str, Any]:
    """The object on one line.

    Raises:
        DocumentError: the line is too long, or not a JSON object.
    """
    if len(line) > MAX_LINE:
        raise DocumentError(f"line too long: over {MAX_LINE >> 20} MB")
    try:
        text = line.removeprefix(codecs.BOM_UTF8).decode("utf-8")
        row = json.loads(text, parse_constant=_refuse)
    except UnicodeDecodeError as error:
        raise DocumentError("not UTF-8") from error
    except json.JSONDecodeError as error:
        raise DocumentError(f"not JSON: {error.msg} at character {error.pos + 1}") from error
    except (ValueError, RecursionError) as error:  # NaN, endless digits, endless nesting
        raise DocumentError(f"not JSON: {error}") from error
    if not isinstance(row, dict):
        raise DocumentError("not a JSON object")
    return row


def row_id(row: dict[str, Any], field: str) -> str:
    """The row's id, a string or an integer, as a string.

    Raises:
        DocumentError: it has none.
    """
    value = row.get(field)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise DocumentError(f"no id: {field!r} must be a string or an integer")
    return whole(str(value))


def row_text(row: dict[str, Any], field: str) -> str:
    """The row's text, with its white space as it is.

    Raises:
        DocumentError: it has none, or nothing but white space.
    """
    value = row.get(field)
    if not isinstance(value, str):
        raise DocumentError(f"no text: {field!r} must be a string")
    if not value.strip():
        raise DocumentError(f"empty text: {field!r} is blank")
    return whole(value)


def facts(row: dict[str, Any]) -> dict[str, Any]:
    """The fields a store can hold and filter by: flat, finite, of at most 64 bits, short.

    Every chunk carries them, so a field as long as a text is no fact.
    """
    return {whole(name): _mend(value) for name, value in row.items() if _is_fact(value)}


def _is_fact(value: Any) -> bool:
    if isinstance(value, list):
        return all(isinstance(item, str) for item in value) and sum(map(len, value)) <= _LONGEST
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, str):
        return len(value) <= _LONGEST
    return isinstance(value, int) and -(2**63) <= value < 2**63


def _mend(value: Any) -> Any:
    if isinstance(value, list):
        return [whole(item) for item in value]
    return whole(value) if isinstance(value, str) else value


def whole(text: str) -> str:
    r"""Without halves of surrogate pairs ("\ud83d"): no UTF-8 holds them. Offsets stay."""
    return _SURROGATE.sub("\ufffd", text)


def _refuse(constant: str) -> Never:
    raise ValueError(f"{constant} is not a number")
