from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from eval.datasets import Question
from eval.located import Located
from pipelines.adapt.passages import about, divide, passages_of
from rag.errors import UsageError
from rag.index import Encoder
from rag.settings import Settings
from rag.types import Document


def document(name: str, text: str = "") -> Document:
    return Document(namespace="files", key=name, source=name, name=name, text=text or name * 9)


def names(documents: Iterable[Document]) -> set[str]:
    return {each.name for each in documents}


def test_every_document_is_on_one_side() -> None:
    documents = [document(f"{at}.txt") for at in range(40)]
    train, held = divide(documents)
    assert len(train) + len(held) == 40
    assert names(train) | names(held) == names(documents)


def test_a_copy_of_what_is_trained_on_is_not_held_out() -> None:
    documents = [document(f"{at}.txt") for at in range(40)]
    train, held = divide(documents)
    again = [
        replace(each, text=f"\n{train[0].text}\n") if each is held[0] else each
        for each in documents
    ]
    assert names(divide(again).held) == names(held) - {held[0].name}


def test_new_documents_move_no_other() -> None:
    documents = [document(f"{at}.txt") for at in range(40)]
    assert names(divide(documents[:30]).train) <= names(divide(documents).train)


def test_one_document_cannot_be_divided() -> None:
    with pytest.raises(UsageError, match="1 documents cannot be divided"):
        divide([document("one")])


def test_of_a_question_the_evidence_in_the_held_out_documents_counts() -> None:
    both = Question("1", "?", (Located("a", 0, 3), Located("b", 1, 2)))
    other = Question("2", "?", (Located("a", 0, 3),))
    (found,) = about([both, other], [document("b")])
    assert found.id == "1"
    assert found.references == (Located("b", 1, 2),)


def test_passages_are_what_an_index_embeds(tiny_embedder) -> None:
    settings = Settings(chunking={"size": 40, "header_tokens": 16})
    text = "\n\n".join(f"The otter of pond {at} eats trout and more trout." for at in range(12))
    found = passages_of(Encoder(settings, tiny_embedder), [document("river otter.txt", text)])
    assert len(found) >= 8
    assert all(each.header.startswith("river otter") for each in found)
    assert all(each.text in text for each in found)
    assert all(sentence in each.text for each in found for sentence in each.sentences)


def test_too_few_passages_are_a_usage_error(tiny_embedder) -> None:
    with pytest.raises(UsageError, match="too few"):
        passages_of(Encoder(Settings(), tiny_embedder), [document("one.txt", "Short.")])
