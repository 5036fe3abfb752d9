"""Copies at ingest: stored once, cited with all their sources, and never lost with an original."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tiny_index import open_tiny

from connectors.base import SourceRef
from pipelines.ingest import IngestReport, ingest
from rag.duplicates import standing
from rag.ids import digest
from rag.index import Index
from rag.types import Document


class Shelf:
    """Documents by name; what is on it can be changed."""

    def __init__(self, texts: Mapping[str, str], namespace: str = "shelf", **meta: Any) -> None:
        self.texts = dict(texts)
        self.namespace = namespace
        self.meta = meta

    def list(self) -> Iterable[SourceRef]:
        return [
            SourceRef(key, f"{self.namespace}/{key}", key, digest([text, self.meta]))
            for key, text in self.texts.items()
        ]

    def covers(self, key: str) -> bool:
        return True

    def fetch(self, ref: SourceRef) -> Document:
        meta = {"shelf": self.namespace, "book": ref.key, **self.meta}
        return Document(
            self.namespace,
            ref.key,
            ref.source,
            ref.name,
            self.texts[ref.key],
            meta=meta,
            fingerprint=ref.fingerprint,
        )


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with open_tiny(tmp_path / "index", max_delete_fraction=1.0) as opened:
        yield opened


def about(word: str, sentences: int = 30) -> str:
    draw = Random(word)
    words = [f"{word}{draw.choice('aeiou')}{draw.choice('lmnr')}" for _ in range(sentences * 6)]
    return " ".join(
        " ".join(words[at : at + 6]).capitalize() + "." for at in range(0, len(words), 6)
    )


def run(index: Index, *shelves: Shelf, prune: bool = True) -> IngestReport:
    return ingest(index, list(shelves), prune=prune)


def held(index: Index) -> dict[str, str]:
    """Every document's source: "" where it is stored, or the source of what it is linked to."""
    records = {record.doc_id: record for record in index.store.documents()}
    return {
        each.source: records[each.twin_of].source if each.twin_of else ""
        for each in records.values()
        if each.live
    }


def check_nothing_is_lost(index: Index, *shelves: Shelf) -> None:
    """Each document can be found: its own text, or that of a stored one that says the same."""
    records = {record.doc_id: record for record in index.store.documents()}
    assert all(record.live for record in records.values())
    for shelf in shelves:
        for ref in shelf.list():
            document = shelf.fetch(ref)
            record = records.pop(document.id)
            assert record.fingerprint == ref.fingerprint
            original = index.store.served(record.twin_of) if record.twin_of else record
            assert original is not None, f"{ref.source} is linked to what is gone"
            assert not original.twin_of
            text = index.store.text(original)
            assert standing(document.text, text, 0.9), f"{ref.source} is not served"
    assert not records, "what is gone is served"
    linked = sum(bool(each) for each in held(index).values())
    served = {
        chunk_id: index.store.chunks([chunk_id])[chunk_id]
        for chunk_id, _ in index.store.rankings(
            index.embedder.embed_queries([""])[0], index.lexical.encode_query(""), 100_000
        ).dense
    }
    assert index.store.count() == len(served)
    told = {(chunk.source, also) for chunk in served.values() for also in chunk.also}
    assert {(original, copy) for copy, original in held(index).items() if original} == told
    by_source = {ref.source: shelf.fetch(ref).text for shelf in shelves for ref in shelf.list()}
    for chunk in served.values():
        for also in chunk.also:
            assert " ".join(chunk.text.split()) in " ".join(by_source[also].split())
    assert len(told) == linked


def test_copies_are_linked_and_cited_with_their_original(index: Index) -> None:
    shelf = Shelf({"a": about("one"), "b": f"  {about('one')}\n", "c": about("two")})
    report = run(index, shelf)
    assert (report.added, report.linked, report.documents) == (2, 1, 3)
    assert held(index) == {"shelf/a": "", "shelf/b": "shelf/a", "shelf/c": ""}
    check_nothing_is_lost(index, shelf)
    (hit, *_) = index.search("oneal")
    assert hit.chunk.source == "shelf/a"
    assert hit.chunk.also == ("shelf/b",)


def test_a_second_run_over_copies_writes_nothing(index: Index) -> None:
    shelf = Shelf({"a": about("one"), "b": about("one")})
    run(index, shelf)
    again = run(index, shelf)
    assert (again.unchanged, again.added, again.linked, again.replaced) == (2, 0, 0, 0)
    assert again.embedded_tokens == 0


def test_copies_are_found_across_sources_runs_and_windows(index: Index) -> None:
    one, other = Shelf({"a": about("one")}, "first"), Shelf({"b": about("one")}, "second")
    run(index, one)
    run(index, other)
    assert held(index) == {"first/a": "", "second/b": "first/a"}
    check_nothing_is_lost(index, one, other)


def test_a_near_copy_is_linked_and_another_year_is_not(index: Index) -> None:
    text = f"Filed in 2022. {about('one')}"
    shelf = Shelf({"a": f"{text} Printed.", "b": text, "c": text.replace("2022", "2023")})
    run(index, shelf)
    assert held(index) == {"shelf/a": "", "shelf/b": "shelf/a", "shelf/c": ""}


@pytest.mark.parametrize(
    ("kind", "linked"), [("near", {"exact", "near"}), ("exact", {"exact"}), ("keep", set())]
)
def test_what_counts_as_a_copy_is_a_setting(index: Index, kind: str, linked: set[str]) -> None:
    ingest_settings = index.settings.ingest.model_copy(update={"duplicates": kind})
    index.settings = index.settings.model_copy(update={"ingest": ingest_settings})
    text = f"{about('one')} Printed."
    texts = {"a": text, "exact": text, "near": about("one")}
    run(index, Shelf(texts))
    assert {source.split("/")[1] for source, of in held(index).items() if of} == linked


def test_an_original_that_changes_leaves_its_text_to_its_copies(index: Index) -> None:
    shelf = Shelf({"a": about("one"), "b": about("one"), "c": about("one")})
    run(index, shelf)
    shelf.texts["a"] = about("two")
    run(index, shelf)
    assert held(index) in (
        {"shelf/a": "", "shelf/b": "", "shelf/c": "shelf/b"},
        {"shelf/a": "", "shelf/c": "", "shelf/b": "shelf/c"},
    )
    check_nothing_is_lost(index, shelf)


def test_an_original_that_goes_leaves_its_text_to_a_copy_in_another_source(index: Index) -> None:
    one, other = Shelf({"a": about("one"), "z": about("six")}), Shelf({"b": about("one")}, "other")
    run(index, one, other)
    del one.texts["a"]
    report = run(index, one)
    assert report.retired == 1
    assert held(index) == {"shelf/z": "", "other/b": ""}
    assert {hit.chunk.source for hit in index.search("oneal", top_k=3)} >= {"other/b"}
    run(index, one, other)
    check_nothing_is_lost(index, one, other)


def test_a_copy_that_goes_its_own_way_or_goes_is_told_of_no_more(index: Index) -> None:
    shelf = Shelf({"a": about("one"), "b": about("one"), "c": about("one")})
    run(index, shelf)
    shelf.texts["b"] = about("two")
    del shelf.texts["c"]
    run(index, shelf)
    assert held(index) == {"shelf/a": "", "shelf/b": ""}
    check_nothing_is_lost(index, shelf)


def test_a_document_that_becomes_a_copy_hands_its_own_copies_on(index: Index) -> None:
    shelf = Shelf({"a": about("one"), "b": about("two"), "c": about("two")})
    run(index, shelf)
    shelf.texts["b"] = about("one")
    run(index, shelf)
    assert held(index) == {"shelf/a": "", "shelf/b": "shelf/a", "shelf/c": ""}
    check_nothing_is_lost(index, shelf)


def test_rows_of_different_titles_are_no_copies(index: Index) -> None:
    class Titled(Shelf):
        def fetch(self, ref: SourceRef) -> Document:
            return replace(super().fetch(ref), title=f"Report of {ref.key}")

    run(index, Titled({"a": about("one"), "b": about("one")}))
    assert held(index) == {"shelf/a": "", "shelf/b": ""}


def test_an_original_has_so_many_copies_and_no_more(index: Index) -> None:
    shelf = Shelf({f"{n:03}": about("one") for n in range(103)})
    run(index, shelf)
    assert sorted(source for source, of in held(index).items() if not of) == [
        "shelf/000",
        "shelf/101",
    ]
    check_nothing_is_lost(index, shelf)


def test_copies_are_linked_within_a_circle_only(index: Index) -> None:
    ours = Shelf({"a": about("alpha"), "b": about("alpha")}, "ours", tenant="acme")
    theirs = Shelf({"a": about("alpha"), "b": about("alpha")}, "theirs", tenant=["globex", "xy"])
    same = Shelf({"a": about("alpha")}, "same", tenant=["xy", "globex"])
    nobodys = Shelf({"a": about("alpha")}, "nobodys")
    assert run(index, ours, theirs, same, nobodys).linked == 3
    assert held(index) == {
        "ours/a": "", "ours/b": "ours/a",
        "theirs/a": "", "theirs/b": "theirs/a", "same/a": "theirs/a",
        "nobodys/a": "",
    }  # fmt: skip
    check_nothing_is_lost(index, ours, theirs, same, nobodys)


@pytest.mark.parametrize("moves", ["a", "b"], ids=["the original", "the copy"])
def test_what_moves_to_another_circle_leaves_its_copies_behind(index: Index, moves: str) -> None:
    moving = Shelf({moves: about("alpha")}, f"0{moves}" if moves == "a" else "2b", tenant="acme")
    stays = Shelf({"stays": about("alpha")}, "1", tenant="acme")
    shelves = (moving, stays) if moves == "a" else (stays, moving)
    assert run(index, *shelves).linked == 1
    moving.meta["tenant"] = "globex"
    run(index, *shelves)
    assert set(held(index).values()) == {""}
    check_nothing_is_lost(index, *shelves)
    beside = Shelf({"beside": about("alpha")}, "3", tenant="globex")
    run(index, *shelves, beside)
    assert held(index)["3/beside"] == f"{moving.namespace}/{moves}"
    check_nothing_is_lost(index, *shelves, beside)


def test_an_heir_is_no_change_in_the_report(index: Index) -> None:
    shelf = Shelf({"a": about("one"), "b": about("one"), "c": about("two")})
    run(index, shelf)
    shelf.texts["a"] = about("six")
    report = run(index, shelf)
    assert (report.added, report.replaced, report.linked, report.unchanged) == (0, 1, 0, 2)


def test_a_renamed_document_is_not_linked_to_what_is_pruned(index: Index) -> None:
    shelf = Shelf({"old": about("one")})
    run(index, shelf)
    shelf.texts = {"new": about("one")}
    run(index, shelf)
    assert held(index) == {"shelf/new": ""}
    check_nothing_is_lost(index, shelf)


@pytest.mark.parametrize("seed", range(6))
def test_whatever_changes_nothing_is_lost(index: Index, seed: int) -> None:
    """Five texts on two shelves of six places each, changed at random, run after run."""
    draw = Random(seed)
    texts = [about(word) for word in ("one", "two", "six", "ten", "twelve")]
    texts.append(f"{texts[0]} Printed and bound.")
    shelves = [Shelf({}, "left"), Shelf({}, "right")]
    for _ in range(8):
        for shelf in shelves:
            for place in draw.sample("uvwxyz", 3):
                if draw.random() < 0.3:
                    shelf.texts.pop(place, None)
                else:
                    shelf.texts[place] = draw.choice(texts)
        if draw.random() < 0.3:  # one of them alone: what the other rests on may go
            run(index, draw.choice(shelves))
        run(index, *shelves)
        check_nothing_is_lost(index, *shelves)
