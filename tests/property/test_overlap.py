"""Overlap metrics against plain sets of (document, offset) pairs."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from eval.located import Located, by_document, shared_length, total_length
from eval.metrics.overlap import ChunkMap, Compat, overlap

LENGTH = 30

offsets = st.integers(0, LENGTH)
docs = st.sampled_from(["a", "b", "c"])


def stretch(doc: str, one: int, other: int) -> Located:
    return Located(doc, min(one, other), max(one, other))


stretches = st.builds(stretch, docs, offsets, offsets)
lists = st.lists(stretches, max_size=6)
# In one document, so that they overlap, nest and meet often.
crowds = st.lists(st.builds(stretch, st.just("a"), offsets, offsets), max_size=8)
modes: st.SearchStrategy[Compat | None] = st.sampled_from([None, "chroma"])

Points = set[tuple[str, int]]


def points(held: Iterable[Located]) -> Points:
    """Every character of some stretches, one by one."""
    return {(each.doc, offset) for each in held for offset in range(each.start, each.end)}


def touch(chunk: Located, reference: Located, compat: Compat | None) -> bool:
    """Whether they share a character or, in the published code, meet end to end."""
    if not (chunk and reference) or chunk.doc != reference.doc:
        return False
    start, end = max(chunk.start, reference.start), min(chunk.end, reference.end)
    return start < end or (compat == "chroma" and start == end)


def omega(references: list[Located], chunks: list[Located], compat: Compat | None) -> float:
    reached = [each for each in chunks if any(touch(each, ref, compat) for ref in references)]
    wanted, held = points(references), points(reached)
    return len(wanted & held) / len(wanted | held) if wanted | held else 0.0


# --- precision, recall, IoU --------------------------------------------------------------------


@given(lists, lists)
def test_the_four_lengths_are_those_of_the_sets(
    references: list[Located], retrieved: list[Located]
) -> None:
    found = overlap(references, retrieved)
    wanted, had = points(references), points(retrieved)
    assert found == (len(wanted & had), len(wanted - had), len(wanted), len(had))
    assert found.precision == (len(wanted & had) / len(had) if had else 0)
    assert found.recall == (len(wanted & had) / len(wanted) if wanted else 0)
    assert found.iou == (len(wanted & had) / len(wanted | had) if wanted | had else 0)


@given(crowds, crowds)
def test_the_lengths_of_the_published_code_are_sums(
    references: list[Located], retrieved: list[Located]
) -> None:
    found = overlap(references, retrieved, "chroma")
    had = points(retrieved)
    hit = len(points(references) & had)
    missed = sum(len(points([each]) - had) for each in references)
    referenced = sum(len(points([each])) for each in references)
    paid = sum(len(points([each])) for each in retrieved)
    assert found == (hit, missed, referenced, paid)
    assert found.recall == (hit / referenced if referenced else 0)
    assert found.precision == (hit / paid if paid else 0)
    assert found.iou == (hit / (paid + missed) if paid + missed else 0)


@given(lists, lists)
def test_every_ratio_lies_between_nought_and_one_and_iou_is_the_least(
    references: list[Located], retrieved: list[Located]
) -> None:
    found = overlap(references, retrieved)
    assert 0 <= found.iou <= min(found.precision, found.recall)
    assert max(found.precision, found.recall) <= 1


@given(crowds, crowds)
def test_every_ratio_of_the_published_code_lies_between_nought_and_one(
    references: list[Located], retrieved: list[Located]
) -> None:
    found = overlap(references, retrieved, "chroma")
    assert 0 <= found.iou <= found.precision <= 1
    assert 0 <= found.recall <= 1


@given(lists, lists)
def test_precision_is_recall_the_other_way_round(one: list[Located], other: list[Located]) -> None:
    there, back = overlap(one, other), overlap(other, one)
    assert there.precision == back.recall
    assert there.iou == back.iou


@given(lists, lists, lists, modes)
def test_retrieving_more_never_lowers_recall(
    references: list[Located], retrieved: list[Located], more: list[Located], compat: Compat | None
) -> None:
    before = overlap(references, retrieved, compat)
    assert overlap(references, [*retrieved, *more], compat).recall >= before.recall


@given(lists, lists, st.lists(st.tuples(offsets, offsets), min_size=6, max_size=6))
def test_narrowing_never_raises_recall(
    references: list[Located], retrieved: list[Located], windows: list[tuple[int, int]]
) -> None:
    narrowed = [
        Located(each.doc, start, end)
        for each, window in zip(retrieved, windows, strict=False)
        if (start := max(each.start, min(window))) < (end := min(each.end, max(window)))
    ]
    assert points(narrowed) <= points(retrieved)
    assert overlap(references, narrowed).recall <= overlap(references, retrieved).recall


@given(lists, lists)
def test_leaving_out_what_is_no_evidence_never_lowers_precision_or_iou(
    references: list[Located], retrieved: list[Located]
) -> None:
    wanted = points(references)
    useful = [each for each in retrieved if points([each]) & wanted]
    before, after = overlap(references, retrieved), overlap(references, useful)
    assert after.recall == before.recall
    assert after.precision >= before.precision
    assert after.iou >= before.iou


@given(lists, lists)
def test_iou_follows_from_precision_and_recall(
    references: list[Located], retrieved: list[Located]
) -> None:
    found = overlap(references, retrieved)
    assume(found.hit)
    assert found.iou == pytest.approx(1 / (1 / found.precision + 1 / found.recall - 1))


@given(lists, lists, st.randoms(use_true_random=False))
def test_order_and_repetition_do_not_matter(
    references: list[Located], retrieved: list[Located], chance: object
) -> None:
    found = overlap(references, retrieved)
    again = [*references, *references], [*retrieved, *retrieved]
    for each in again:
        chance.shuffle(each)  # type: ignore[attr-defined]
    assert overlap(*again) == found


@given(lists, lists, st.randoms(use_true_random=False), modes)
def test_order_does_not_matter_in_either_arithmetic(
    references: list[Located], retrieved: list[Located], chance: object, compat: Compat | None
) -> None:
    shuffled = list(references), list(retrieved)
    for each in shuffled:
        chance.shuffle(each)  # type: ignore[attr-defined]
    assert overlap(*shuffled, compat) == overlap(references, retrieved, compat)


@given(lists, lists, offsets)
def test_a_stretch_in_two_pieces_counts_as_the_whole(
    references: list[Located], retrieved: list[Located], at: int
) -> None:
    pieces = [
        Located(each.doc, start, end)
        for each in retrieved
        for start, end in pairwise(sorted({each.start, each.end, *({at} & inside(each))}))
    ]
    assert overlap(references, pieces) == overlap(references, retrieved)
    assert overlap(pieces, references) == overlap(retrieved, references)


def inside(stretch: Located) -> set[int]:
    return set(range(stretch.start, stretch.end))


@given(lists, lists, modes)
def test_documents_are_apart_and_add_up(
    references: list[Located], retrieved: list[Located], compat: Compat | None
) -> None:
    parts = [
        overlap(
            [each for each in references if each.doc == doc],
            [each for each in retrieved if each.doc == doc],
            compat,
        )
        for doc in "abc"
    ]
    assert overlap(references, retrieved, compat) == tuple(map(sum, zip(*parts, strict=True)))
    elsewhere = [Located(f"not {each.doc}", each.start, each.end) for each in retrieved]
    assert overlap(references, elsewhere, compat).hit == 0


@given(lists, lists)
def test_both_arithmetics_agree_where_nothing_overlaps(
    references: list[Located], retrieved: list[Located]
) -> None:
    def apart(held: list[Located]) -> list[Located]:
        return [
            Located(doc, span.start, span.end)
            for doc, spans in by_document(held).items()
            for span in spans
        ]

    wanted, had = apart(references), apart(retrieved)
    assert overlap(wanted, had, "chroma") == overlap(references, retrieved)


@given(crowds, crowds)
def test_the_published_sums_never_flatter(
    references: list[Located], retrieved: list[Located]
) -> None:
    ours, theirs = overlap(references, retrieved), overlap(references, retrieved, "chroma")
    assert theirs.precision <= ours.precision
    assert theirs.recall <= ours.recall
    assert theirs.iou <= ours.iou


@given(lists, lists)
def test_lengths_of_maps_are_those_of_the_sets(one: list[Located], other: list[Located]) -> None:
    a, b = by_document(one), by_document(other)
    assert total_length(a) == len(points(one))
    assert shared_length(a, b) == len(points(one) & points(other)) == shared_length(b, a)


# --- Precision-Omega ---------------------------------------------------------------------------


@given(crowds, crowds, modes)
def test_precision_omega_is_that_of_the_sets(
    references: list[Located], chunks: list[Located], compat: Compat | None
) -> None:
    found = ChunkMap(chunks).precision_omega(references, compat)
    assert found == pytest.approx(omega(references, chunks, compat))


@given(lists, st.lists(stretches, max_size=9), modes)
def test_precision_omega_over_several_documents_is_that_of_the_sets(
    references: list[Located], chunks: list[Located], compat: Compat | None
) -> None:
    found = ChunkMap(chunks).precision_omega(references, compat)
    assert found == pytest.approx(omega(references, chunks, compat))
    assert 0 <= found <= 1


@given(st.sets(st.integers(1, LENGTH - 1)), lists, modes)
def test_of_a_lossless_splitter_precision_omega_is_the_references_share_of_their_chunks(
    cuts: set[int], references: list[Located], compat: Compat | None
) -> None:
    edges = [0, *sorted(cuts), LENGTH]
    chunks = [Located(doc, *edge) for doc in "abc" for edge in pairwise(edges)]
    reached = [each for each in chunks if any(touch(each, ref, compat) for ref in references)]
    share = len(points(references)) / len(points(reached)) if reached else 0
    assert ChunkMap(chunks).precision_omega(references, compat) == pytest.approx(share)


@given(lists, st.lists(stretches, max_size=9))
def test_precision_omega_is_the_iou_of_retrieving_just_what_touches(
    references: list[Located], chunks: list[Located]
) -> None:
    known = ChunkMap(chunks)
    best = overlap(references, known.touched(references))
    assert known.precision_omega(references) == pytest.approx(best.iou)


@given(lists, st.lists(stretches, max_size=9), st.randoms(use_true_random=False), modes)
def test_order_and_repetition_of_chunks_and_references_do_not_matter(
    references: list[Located], chunks: list[Located], chance: object, compat: Compat | None
) -> None:
    again = [*references, *references], [*chunks, *chunks]
    for each in again:
        chance.shuffle(each)  # type: ignore[attr-defined]
    found = ChunkMap(again[1]).precision_omega(again[0], compat)
    assert found == ChunkMap(chunks).precision_omega(references, compat)


@given(lists | crowds, st.lists(stretches, max_size=9) | crowds)
def test_chunks_that_touch_are_those_that_share_a_character(
    references: list[Located], chunks: list[Located]
) -> None:
    wanted = points(references)
    touching = [each for each in chunks if points([each]) & wanted]
    assert sorted(ChunkMap(chunks).touched(references)) == sorted(touching)


@given(st.lists(stretches, max_size=9))
def test_a_map_knows_its_documents_and_where_their_chunks_end(chunks: list[Located]) -> None:
    known = ChunkMap(chunks)
    for doc in "abcd":
        ends = [each.end for each in chunks if each.doc == doc and each]
        assert (doc in known) == bool(ends)
        assert known.end(doc) == max(ends, default=0)
