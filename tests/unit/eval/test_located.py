from __future__ import annotations

import pytest

from eval.located import Located, by_document, shared_length, total_length
from rag.spans import Span, SpanSet


@pytest.mark.parametrize(("start", "end"), [(-1, 3), (4, 3)])
def test_a_stretch_that_is_no_span_is_refused(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="not a span"):
        Located("a", start, end)


def test_a_stretch_is_true_where_it_holds_a_character() -> None:
    assert Located("a", 0, 1)
    assert not Located("a", 3, 3)
    assert Located("a", 2, 5).span == Span(2, 5)


def test_stretches_are_gathered_document_by_document() -> None:
    found = by_document([Located("b", 5, 9), Located("a", 0, 2), Located("b", 0, 6)])
    assert found == {"a": SpanSet([Span(0, 2)]), "b": SpanSet([Span(0, 9)])}
    assert total_length(found) == 11
    assert by_document([]) == {}


def test_only_what_lies_in_the_same_document_is_shared() -> None:
    one = by_document([Located("a", 0, 10), Located("b", 0, 10)])
    other = by_document([Located("a", 8, 20), Located("c", 0, 10)])
    assert shared_length(one, other) == 2
