"""What a reader is shown of a document is what stands there, marked as it was."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eval.located import Located
from eval.report.excerpts import Piece, excerpts

TEXT = "".join(chr(ord("a") + at % 26) for at in range(600))

stretches = st.lists(
    st.tuples(st.integers(0, 599), st.integers(1, 80)).map(
        lambda pair: Located("doc", pair[0], min(pair[0] + pair[1], 600))
    ),
    max_size=5,
)


def offsets(marked: list[Located]) -> set[int]:
    return {at for each in marked for at in range(each.start, each.end)}


@given(stretches, stretches)
def test_every_character_is_marked_by_what_became_of_it(
    references: list[Located], kept: list[Located]
) -> None:
    found: dict[str, set[int]] = {"hit": set(), "missed": set(), "wasted": set(), "plain": set()}
    for excerpt in excerpts(references, kept, {"doc": TEXT}):
        assert "".join(piece.text for piece in excerpt.pieces) == TEXT[excerpt.start : excerpt.end]
        at = excerpt.start
        for piece in excerpt.pieces:
            found[piece.kind] |= set(range(at, at + len(piece.text)))
            at += len(piece.text)
    wanted, had = offsets(references), offsets(kept)
    assert found["hit"] == wanted & had
    assert found["missed"] == wanted - had
    assert found["wasted"] == had - wanted
    assert not found["plain"] & (wanted | had)


def test_the_middle_of_a_long_stretch_is_left_out_and_counted() -> None:
    text = "x" * 5_000
    (excerpt,) = excerpts([Located("doc", 100, 4_900)], [], {"doc": text})
    assert excerpt.pieces[1:4] == [
        Piece("missed", "x" * 600),
        Piece("gap", " … 3,600 characters … "),
        Piece("missed", "x" * 600),
    ]


def test_documents_come_one_after_the_other_those_of_the_references_first() -> None:
    texts = {"a": "x" * 2_000, "b": "y" * 2_000}
    found = list(
        excerpts([Located("b", 10, 20)], [Located("a", 0, 5), Located("b", 1_500, 1_510)], texts)
    )
    assert [(each.doc, each.start, each.end) for each in found] == [
        ("b", 0, 180),
        ("b", 1_340, 1_670),
        ("a", 0, 165),
    ]
