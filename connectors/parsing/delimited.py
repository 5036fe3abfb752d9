"""CSV and TSV: one table, a row a line."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Iterator

from connectors.parsing.base import Parsed
from connectors.parsing.grid import Grid
from connectors.parsing.outline import Outline
from connectors.parsing.text import decode

__all__ = ["PARSER_VERSION", "parse_csv", "parse_tsv"]

PARSER_VERSION = "delimited-1"

_DELIMITERS = ",;\t|"
_SAMPLE = 1 << 14  # characters
_SEPARATOR = re.compile(r"sep=(.)\r?\n")  # as Excel writes it on a line of its own


def parse_csv(data: bytes) -> Parsed:
    """A table whose rows are lines, cells joined by " | ".

    Where it has a header, each row names its columns (`Grid`). The delimiter is what a first line
    "sep=;" says, else what the first lines look like, else a comma. Blank rows and columns are
    left out, and line ends in quoted cells are spaces.

    Raises:
        DocumentError: the bytes are not text, or it is too long.
    """
    text = decode(data)
    if said := _SEPARATOR.match(text):
        return _parse(text[said.end() :], said[1])
    return _parse(text, _delimiter(text))


def parse_tsv(data: bytes) -> Parsed:
    """As `parse_csv`, its cells parted by tabs.

    Raises:
        DocumentError: the bytes are not text, or it is too long.
    """
    return _parse(decode(data), "\t")


def _parse(text: str, delimiter: str) -> Parsed:
    grid, outline = Grid(), Outline()
    for row in _reader(text, delimiter):
        grid.add(enumerate(row))
    lines = grid.labelled_lines()
    if lines:
        outline.block("table", lines)
    return Parsed(outline.text, sections=outline.sections)


def _delimiter(text: str) -> str:
    """What parts the rows at the start best: all into as many cells, else the most of them.

    Not Python's own sniffer, which takes the commas of "1,5;2,5" for delimiters.
    """
    sample = text[:_SAMPLE]
    if len(text) > _SAMPLE:
        sample = sample[: sample.rfind("\n") + 1] or sample
    return max(_DELIMITERS, key=lambda delimiter: _fit(sample, delimiter))


def _fit(sample: str, delimiter: str) -> tuple[bool, int, int]:
    """How well a delimiter fits: are rows as long, how many have cells, how many cells."""
    widths = [len(row) for row in _reader(sample, delimiter) if row]
    parted = [width for width in widths if width > 1]
    return len(set(widths)) == 1 and bool(parted), len(parted), sum(parted)


def _reader(text: str, delimiter: str) -> Iterator[list[str]]:
    # The module has one limit for everybody, and it is 128 kB; ours is that of the file.
    csv.field_size_limit(sys.maxsize)
    # Quoted cells may hold line ends, so the reader has to see them as they are.
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
