"""Worked by hand; tests/property/test_overlap.py has the same against plain sets."""

from __future__ import annotations

import pytest

from eval.located import Located
from eval.metrics.overlap import ChunkMap, Compat, overlap

REFERENCE = Located("a", 10, 20)


def test_nothing_retrieved_is_nought_and_no_division() -> None:
    found = overlap([REFERENCE], [])
    assert found == (0, 10, 10, 0)
    assert (found.precision, found.recall, found.iou) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("compat", [None, "chroma"])
def test_no_references_are_nought_and_no_division(compat: Compat | None) -> None:
    found = overlap([], [REFERENCE], compat)
    assert (found.precision, found.recall, found.iou) == (0.0, 0.0, 0.0)
    assert overlap([], [], compat).iou == 0.0
    assert ChunkMap([REFERENCE]).precision_omega([], compat) == 0.0


def test_overlapping_references_count_once_and_twice_in_the_published_code() -> None:
    references = [Located("a", 0, 10), Located("a", 5, 15)]
    retrieved = [Located("a", 0, 15)]
    assert overlap(references, retrieved).recall == 1.0
    assert overlap(references, retrieved, "chroma").recall == 15 / 20


def test_a_chunk_retrieved_twice_counts_once_and_is_paid_for_twice_in_the_published_code() -> None:
    retrieved = [Located("a", 10, 30)] * 2
    assert overlap([REFERENCE], retrieved).precision == 10 / 20
    assert overlap([REFERENCE], retrieved, "chroma").precision == 10 / 40
    assert overlap([REFERENCE], retrieved, "chroma").recall == 1.0


def test_chunks_of_other_documents_are_paid_for() -> None:
    retrieved = [Located("a", 10, 20), Located("b", 10, 20)]
    found = overlap([REFERENCE], retrieved)
    assert (found.precision, found.recall, found.iou) == (0.5, 1.0, 0.5)


def test_evidence_in_pieces_of_several_documents_is_one_evidence() -> None:
    references = [Located("a", 0, 10), Located("a", 90, 100), Located("b", 0, 20)]
    found = overlap(references, [Located("a", 5, 95)])
    assert found == (10, 30, 40, 90)
    assert (found.precision, found.recall, found.iou) == (10 / 90, 10 / 40, 10 / 120)


def test_a_chunk_that_only_meets_a_reference_touches_it_in_the_published_code_alone() -> None:
    chunks = ChunkMap([Located("a", 0, 10), Located("a", 10, 20), Located("a", 20, 40)])
    assert chunks.precision_omega([REFERENCE]) == 1.0
    assert chunks.precision_omega([REFERENCE], "chroma") == 10 / 40
    assert chunks.touched([REFERENCE]) == [Located("a", 10, 20)]


def test_a_chunk_that_ends_where_the_evidence_begins_is_not_touched_by_it() -> None:
    nested = [Located("a", 0, 40), Located("a", 5, 10), Located("a", 8, 11), Located("a", 20, 30)]
    assert ChunkMap(nested).touched([REFERENCE]) == [Located("a", 0, 40), Located("a", 8, 11)]


def test_a_chunk_that_nests_in_another_adds_nothing() -> None:
    chunks = ChunkMap([Located("a", 0, 40), Located("a", 12, 14), Located("a", 60, 80)])
    assert chunks.precision_omega([REFERENCE]) == 10 / 40


def test_evidence_that_no_chunk_holds_counts_against_precision_omega() -> None:
    chunks = ChunkMap([Located("a", 15, 25)])
    assert chunks.precision_omega([REFERENCE]) == 5 / 15
    assert ChunkMap([]).precision_omega([REFERENCE]) == 0.0
    assert ChunkMap([Located("b", 0, 50)]).precision_omega([REFERENCE]) == 0.0


def test_empty_chunks_are_none() -> None:
    chunks = ChunkMap([Located("a", 10, 10), Located("b", 3, 3)])
    assert "a" not in chunks
    assert chunks.precision_omega([REFERENCE], "chroma") == 0.0
    assert chunks.touched([REFERENCE]) == []
