"""What each stage dropped is the difference of what it was given and what it let through."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from rag.explain import losses
from rag.spans import Span, SpanSet
from rag.types import Chunk, Context, Passage, Remark

TEXT = "Sales rose. Costs fell. The board met."
START = 5


def passage(number: int, *kept: tuple[int, int], doc: str = "d") -> Passage:
    chunk = Chunk(doc, "r", number, Span(START, START + len(TEXT)), TEXT, name=f"{doc}.txt")
    spans = [Span(START + start, START + end) for start, end in kept]
    return Passage(chunk, SpanSet(spans or [chunk.span]))


def context(*passages: Passage, why: str = "") -> Context:
    return Context(
        passages, remark=Remark(why={each.chunk.id: why for each in ALL.passages} if why else {})
    )


ALL = Context((passage(0), passage(1), passage(2)))


def test_a_stage_that_drops_nothing_has_no_loss() -> None:
    assert losses([]) == []
    assert losses([("retrieve", ALL)]) == []
    assert losses([("retrieve", ALL), ("select", replace(ALL, evidence=0.3))]) == []
    backwards = replace(ALL, passages=ALL.passages[::-1])
    assert losses([("retrieve", ALL), ("select", backwards)]) == []


def test_a_passage_that_is_gone_is_lost_whole_with_its_reason() -> None:
    (loss,) = losses([("retrieve", ALL), ("select", context(passage(0), passage(2), why="far"))])
    assert (loss.stage, loss.chunk, loss.whole, loss.why) == (
        "select",
        passage(1).chunk,
        True,
        "far",
    )
    assert loss.spans == passage(1).kept


def test_each_stage_is_charged_with_what_it_dropped_itself() -> None:
    selected = context(passage(0, (0, 23)), passage(1), why="far")
    pruned = context(passage(0, (0, 11)), passage(1, (0, 5)), why="dull")
    found = losses([("retrieve", ALL), ("select", selected), ("prune", pruned)])
    assert [(loss.stage, loss.chunk.ordinal, loss.whole, loss.why) for loss in found] == [
        ("select", 0, False, "far"), ("select", 2, True, "far"),
        ("prune", 0, False, "dull"), ("prune", 1, False, "dull"),
    ]  # fmt: skip
    first, _, second, _ = found
    assert first.chunk.slice(next(iter(first.spans))) == " The board met."
    assert second.chunk.slice(next(iter(second.spans))) == " Costs fell."


def test_white_space_is_no_loss() -> None:
    narrowed = Context((passage(0, (0, 11), (12, 23), (24, len(TEXT))),))
    assert losses([("retrieve", Context((passage(0),))), ("select", narrowed)]) == []


def test_a_reason_that_is_not_known_is_empty() -> None:
    (loss,) = losses([("retrieve", Context((passage(0),))), ("select", Context())])
    assert (loss.whole, loss.why) == (True, "")


def test_of_a_summary_what_it_was_not_written_from_is_lost() -> None:
    told = replace(
        passage(0, (0, 11)), written="Sales rose, costs fell.", beside=(passage(2, (12, 23)),)
    )
    found = losses([("retrieve", ALL), ("cluster", context(told, why="told"))])
    assert [(loss.chunk.ordinal, loss.whole, loss.why) for loss in found] == [
        (0, False, "told"), (1, True, "told"), (2, False, "told"),
    ]  # fmt: skip
    assert (
        losses([("cluster", context(told)), ("select", replace(context(told), evidence=1))]) == []
    )


def test_two_chunks_of_a_document_are_told_apart() -> None:
    other = passage(0, doc="e")
    (loss,) = losses([("retrieve", Context((passage(0), other))), ("select", Context((other,)))])
    assert loss.chunk.doc_id == "d"


def test_a_chunk_in_two_passages_loses_only_what_neither_keeps() -> None:
    twice = Context((passage(0, (0, 11)), passage(0, (12, 23))))
    assert losses([("retrieve", twice), ("select", twice)]) == []


def test_a_passage_of_which_nothing_is_kept_is_lost_whole() -> None:
    emptied = replace(passage(0), kept=SpanSet())
    (loss,) = losses([("retrieve", Context((passage(0),))), ("odd", Context((emptied,)))])
    assert loss.whole


SPAN = st.tuples(st.integers(0, 20), st.integers(1, 17)).map(lambda at: (at[0], at[0] + at[1]))
STEP = st.dictionaries(st.integers(0, 3), st.lists(SPAN, min_size=1, max_size=3), max_size=4)


@given(st.lists(STEP, max_size=4))
def test_losses_and_what_is_left_are_all_there_was(steps: list[dict[int, list]]) -> None:
    contexts = [Context(tuple(passage(number) for number in range(4)))]
    for step in steps:
        before = {each.chunk.ordinal: each for each in contexts[-1].passages}
        narrowed = (
            before[number].narrow(passage(number, *spans).kept)
            for number, spans in step.items()
            if number in before
        )
        contexts.append(Context(tuple(each for each in narrowed if each.kept)))
    found = losses([(str(at), each) for at, each in enumerate(contexts)])
    for first in contexts[0].passages:
        left = next(
            (each.kept for each in contexts[-1].passages if each.chunk == first.chunk), SpanSet()
        )
        lost = SpanSet(span for loss in found if loss.chunk == first.chunk for span in loss.spans)
        assert not lost & left
        missing = first.kept - (lost | left)
        assert not any(first.chunk.slice(span).strip() for span in missing)
    assert len({(loss.stage, loss.chunk.ordinal) for loss in found}) == len(found)
