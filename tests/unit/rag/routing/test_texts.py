from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from tiny_index import open_tiny

from rag.embedding.lexical import LexicalEncoder
from rag.index import Index
from rag.routing.texts import documents_of, route_texts
from rag.routing.vocabulary import counted
from rag.spans import Span
from rag.store.base import DocumentRecord
from rag.types import Document


def document(name: str, sentences: int) -> Document:
    text = " ".join(
        f"Sentence number {at} of {name} speaks of otters and rivers." for at in range(sentences)
    )
    return Document("file", name, f"docs/{name}", name, f"{text} 17.\n\n1,204 1,150")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """Eight short documents, four long ones, a copy, and one that is not served yet."""
    short, long = ([f"{kind}{number}" for number in range(8)] for kind in ("short", "long"))
    every = [*(document(name, 6) for name in short), *(document(name, 40) for name in long[:4])]
    with open_tiny(tmp_path_factory.mktemp("home") / "index") as index:
        for each in [*every, document("unfinished", 3)]:
            chunks = list(index.chunk(each))
            vectors = index.embed(chunks)
            index.store.stage(each, chunks, vectors.dense, vectors.lexical)
            if each in every:
                index.store.commit(each.id, each.revision, 10)
        index.store.link(document("copy", 6), every[0].id, Span(0, 10))
        yield index


def named(index: Index, start: str) -> list[DocumentRecord]:
    return [each for each in documents_of(index.store) if each.name.startswith(start)]


def about(sentences: list[str]) -> set[str]:
    return {sentence.split(" of ")[1].split()[0] for sentence in sentences}


def numbers(sentences: list[str]) -> list[int]:
    return [int(sentence.split()[2]) for sentence in sentences]


def test_links_to_copies_and_what_is_not_served_yet_are_left_out(index) -> None:
    found = [each.name for each in documents_of(index.store)]
    assert sorted(found) == [f"long{at}" for at in range(4)] + [f"short{at}" for at in range(8)]


def test_a_quarter_of_the_documents_is_held_out_and_none_is_on_both_sides(index) -> None:
    found = route_texts(index.store, named(index, "short"), 1_000, LexicalEncoder())
    assert found.documents == 8
    assert (len(about(found.fitted)), len(about(found.held))) == (6, 2)
    assert about(found.fitted) & about(found.held) == set()
    assert (len(found.fitted), len(found.held)) == (36, 12)  # no page number, no row of figures
    assert found.fitted_words.tolist() == counted(found.fitted, LexicalEncoder()).tolist()
    every = counted(found.fitted + found.held, LexicalEncoder())
    assert found.words.tolist() == every.tolist()


def test_many_sentences_are_thinned_out_evenly(index) -> None:
    found = route_texts(index.store, named(index, "long"), 16, LexicalEncoder())
    assert (len(found.fitted), len(found.held)) == (12, 4)
    assert numbers(found.held) == [0, 10, 20, 30]
    taken = counted(found.fitted, LexicalEncoder())
    assert (found.fitted_words >= taken).all()
    assert found.fitted_words.sum() > 3 * taken.sum()  # words are counted of every sentence


def test_of_more_documents_than_wanted_the_first_are_taken(index) -> None:
    documents = named(index, "short")
    found = route_texts(index.store, documents, 4, LexicalEncoder())
    assert about(found.fitted + found.held) == {each.name for each in documents[:4]}


@pytest.mark.parametrize("most", [8, 9, 12, 15, 17])
def test_no_more_sentences_are_taken_than_asked_for(index, most: int) -> None:
    found = route_texts(index.store, named(index, "short"), most, LexicalEncoder())
    assert len(found.fitted) + len(found.held) == most
    each = Counter(sentence.split(" of ")[1].split()[0] for sentence in found.fitted + found.held)
    assert max(each.values()) - min(each.values()) <= 1
    assert len(found.held) == pytest.approx(most / 4, abs=1)  # its documents have no more of them


def test_a_single_document_gives_its_last_quarter(index) -> None:
    found = route_texts(index.store, named(index, "long2"), 1_000, LexicalEncoder())
    assert numbers(found.fitted) == list(range(30))
    assert numbers(found.held) == list(range(30, 40))
    assert found.fitted_words.tolist() == counted(found.fitted, LexicalEncoder()).tolist()


@pytest.mark.parametrize("most", [4, 13, 16, 38])
def test_of_a_single_document_too_no_held_sentence_is_counted_among_the_fitted(
    index, most: int
) -> None:
    found = route_texts(index.store, named(index, "long2"), most, LexicalEncoder())
    assert len(found.fitted) + len(found.held) == most
    assert max(numbers(found.fitted)) < 30 <= min(numbers(found.held))
    thirty = route_texts(index.store, named(index, "long2"), 40, LexicalEncoder()).fitted
    assert found.fitted_words.tolist() == counted(thirty, LexicalEncoder()).tolist()


def test_no_document_teaches_nothing(index) -> None:
    found = route_texts(index.store, [], 100, LexicalEncoder())
    assert found[:3] == ([], [], 0)
    assert not found.words.any()
