"""A company's filings as EDGAR lists them: one array a field."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from connectors.edgar.filing import Filing

__all__ = ["rows"]

_ACCESSION = re.compile(r"\d{10}-\d{2}-\d{6}")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_FIELDS = ("accessionNumber", "filingDate", "reportDate", "form", "primaryDocument")
_FILE = re.compile(r"(?:[\w.-]+/)?[\w.-]+")


def rows(columns: Mapping[str, Any], cik: int, company: str, ticker: str) -> Iterator[Filing]:
    """The filings of a table of columns.

    Raises:
        KeyError, TypeError, ValueError: it is not as EDGAR documents it.
    """
    items = columns.get("items") or [""] * len(columns["form"])
    for row in zip(*(columns[name] for name in _FIELDS), items, strict=True):
        accession, filed, period, form, document, item = map(_text, row)
        if not (_ACCESSION.fullmatch(accession) and _DAY.fullmatch(filed)):
            raise ValueError(accession)
        # Filings of the first years have no document by itself.
        named = document if _FILE.fullmatch(document) else f"{accession}.txt"
        yield Filing(
            cik=cik,
            company=company,
            ticker=ticker,
            form=form,
            filed=filed,
            period=period if _DAY.fullmatch(period) else "",
            accession=accession,
            document=named,
            items=tuple(filter(None, item.split(","))),
        )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(type(value).__name__)
    return value.strip()
