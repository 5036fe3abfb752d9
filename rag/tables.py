"""Tables in plain text: rows, or cells on lines of their own, as PDF extraction leaves them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from rag.sentences import is_row, sentence_spans
from rag.spans import Span

__all__ = ["table_spans", "tabular"]

_FEWEST_NUMBERS = 4  # fewer stand in a list or a heading
_PROSE = 60  # letters of a line that is running text whatever it ends in
_SENTENCE = 20  # and of one that ends like a sentence


def table_spans(text: str, within: Span | None = None) -> Iterator[Span]:
    """Stretches of short lines of which a third or more are numbers or rows of them."""
    spans = sentence_spans(text, within)
    for prose, run in groupby(spans, key=lambda span: _is_prose(span.text_in(text))):
        stretch = list(run)
        if not prose and _is_table([span.text_in(text) for span in stretch]):
            yield Span(stretch[0].start, stretch[-1].end)


def tabular(text: str) -> bool:
    """Whether half of a text or more is table."""
    return 2 * sum(map(len, table_spans(text))) >= len(text) > 0


def _is_table(lines: Sequence[str]) -> bool:
    signs = sum(not any(map(str.isalnum, line)) for line in lines)  # a lone $ or dash
    numbers = sum(map(_is_number, lines))
    return numbers >= _FEWEST_NUMBERS and 3 * numbers >= len(lines) - signs


def _is_number(line: str) -> bool:
    bare = any(map(str.isdigit, line)) and not any(map(str.isalpha, line))
    return bare or is_row(line)


def _is_prose(line: str) -> bool:
    letters = sum(map(str.isalpha, line))
    ends = line[-1] in ".?!" and letters >= _SENTENCE
    return (letters >= _PROSE or ends) and not is_row(line)
