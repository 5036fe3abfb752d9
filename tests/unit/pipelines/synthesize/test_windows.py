from __future__ import annotations

from itertools import islice, pairwise

import pytest
from harbour import HARBOUR, document, window_of
from hypothesis import given
from hypothesis import strategies as st

from pipelines.synthesize.windows import Windows
from rag.spans import Span

SENTENCES = [f"Sentence number {n} speaks of matter {n * 7 % 31} at length." for n in range(400)]
LONG = document(" ".join(SENTENCES), "long.txt")
SHORT = document("A short note about very little. It has two sentences.", "short.txt")


@given(number=st.integers(0, 5_000), seed=st.integers(0, 50))
def test_a_window_is_whole_sentences_of_its_document_and_about_as_long_as_asked(
    number: int, seed: int
) -> None:
    window = Windows([LONG, SHORT], 1_000, seed).at(number)
    text, span = window.document.text, window.span
    assert Span(0, len(text)).covers(span)
    assert span.text_in(text).startswith(("Sentence", "A short", "It has"))
    assert span.text_in(text).endswith(".")
    assert len(span) <= 1_200
    assert len(span) >= (900 if window.document is LONG else 20)


def test_windows_cover_every_document_and_the_whole_of_a_long_one() -> None:
    windows = [Windows([LONG, SHORT], 1_000, 3).at(number) for number in range(60)]
    inside = sorted(each.span.start for each in windows if each.document is LONG)
    assert sum(each.document is SHORT for each in windows) >= 2
    assert inside[0] < 2_000
    assert inside[-1] > len(LONG.text) - 3_000
    gaps = [after - before for before, after in pairwise(inside)]
    assert max(gaps) < 3_000  # evenly spread: at random the longest of 50 gaps is about 4 times


def test_the_last_sentence_of_a_long_document_has_its_window() -> None:
    windows = Windows([LONG], 1_000, 0)
    ends = {windows.at(number).span.end for number in range(3_000)}
    assert max(ends) == len(LONG.text)


def test_a_piece_ends_with_a_whole_figure() -> None:
    text = (
        f"{HARBOUR}The Kestrel bridge cost the sum of 1,412,000 crowns in all, as the town said. "
    )
    text += "Nothing more was written of it in the town books. " * 40
    text += "Engineers closed the Kestrel bridge after the storm."
    for length in range(2 * len(HARBOUR), 2 * len(HARBOUR) + 160, 3):
        window = Windows([document(text)], length, 0).at(0)
        window = type(window)(window.reading, 0, 22, length)
        for piece in window.pieces(apart=True).texts_in(text):
            assert not piece.endswith(("1", "1,", "1,412", "1,412,", "1,412,00"))


def test_the_same_seed_gives_the_same_windows_and_another_others() -> None:
    def spans(seed: int) -> list[tuple[str, Span]]:
        windows = Windows([LONG, SHORT], 1_000, seed)
        return [(w.document.name, w.span) for w in islice(map(windows.at, range(20)), 20)]

    assert spans(1) == spans(1)
    assert spans(1) != spans(2)


def test_a_topic_is_a_name_that_is_said_again_elsewhere() -> None:
    assert window_of(HARBOUR).topics == []  # all of the text is one window
    ((word, sentences),) = window_of(HARBOUR, until="Dredging").topics
    assert word == "kestrel"
    reading = window_of(HARBOUR).reading
    assert ["Kestrel bridge" in reading.text(at) for at in sentences] == [True, True]


def test_pieces_apart_show_the_topic_elsewhere_and_cut_no_word() -> None:
    text = f"{HARBOUR}{'Nothing happens here at all, for page after page. ' * 100}"
    text += "Engineers closed the Kestrel bridge after the storm."
    window = window_of(text, until="Dredging")
    assert window.pieces(apart=False).spans == (window.span,)
    pieces = window.pieces(apart=True)
    assert len(pieces.spans) >= 2
    for piece in pieces:
        around = text[max(piece.start - 1, 0) : piece.start] + text[piece.end : piece.end + 1]
        assert not around.strip()
    assert "after the storm." in pieces.texts_in(text)[-1]


@pytest.mark.parametrize("text", ["", " \n\n "])
def test_documents_without_text_are_passed_over(text: str) -> None:
    windows = Windows([document(text, "empty.txt"), SHORT], 1_000, 0)
    assert len(windows) == 1
    assert {windows.at(number).document.name for number in range(20)} == {"short.txt"}
