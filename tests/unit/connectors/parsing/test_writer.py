from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from connectors.parsing.writer import TextWriter

calls = st.lists(
    st.one_of(
        st.tuples(st.just("words"), st.text(" \n\xa0ab")),
        st.tuples(st.just("gap"), st.integers(1, 2)),
        st.tuples(st.just("start_item"), st.just("- ")),
        st.tuples(st.just("end_item")),
        st.tuples(st.just("line_break")),
        st.tuples(st.just("line"), st.sampled_from(["Title", " | 2 ", "x\n\n\ny"])),
    )
)


@given(calls)
def test_offsets_are_true_and_no_blank_lines_surround_the_text(made: list[tuple]) -> None:
    writer, lines = TextWriter(), []
    for name, *arguments in made:
        got = getattr(writer, name)(*arguments)
        if name == "line":
            lines.append((got, arguments[0]))
    for offset, line in lines:
        assert writer.text[offset : offset + len(line)] == line
    assert writer.text == writer.text.strip("\n")


def test_white_space_between_pieces_collapses_to_one_space() -> None:
    writer = TextWriter()
    for piece in ("one ", " \n", "\xa0two", "three", " ", "four"):
        writer.words(piece)
    assert writer.text == "one twothree four"


def test_an_item_without_text_leaves_nothing() -> None:
    writer = TextWriter()
    writer.start_item("- ")
    writer.end_item()
    writer.words("after")
    assert writer.text == "after"


def test_breaks_leave_one_blank_line_at_most() -> None:
    writer = TextWriter()
    writer.words("a")
    for _ in range(5):
        writer.line_break()
    writer.words("b")
    assert writer.text == "a\n\nb"
