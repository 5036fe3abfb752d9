"""What is trained on and what is held out: documents first, then their passages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from eval.datasets import Question
from eval.split import on_tuning_side
from rag.embedding.context import embedded_text
from rag.errors import UsageError
from rag.index import Encoder
from rag.sentences import sentence_spans
from rag.types import Document

__all__ = ["Divided", "Passage", "about", "divide", "passages_of"]

_FEWEST = 8
"""Passages to train on: a query needs others to be told from."""


class Passage(NamedTuple):
    """A chunk as the embedder reads it: a header that says where it stands, then its own words."""

    doc: str
    header: str
    text: str

    @property
    def whole(self) -> str:
        """Both together."""
        return self.header + self.text

    @property
    def sentences(self) -> list[str]:
        """Those long enough to mean something by themselves."""
        spans = sentence_spans(self.text)
        return [span.text_in(self.text) for span in spans if 30 <= span.end - span.start <= 400]


class Divided(NamedTuple):
    """Documents to train on, and others that training never sees."""

    train: tuple[Document, ...]
    held: tuple[Document, ...]


def divide(documents: Sequence[Document], share: float = 0.5, seed: int = 0) -> Divided:
    """Divide documents by a digest of their names; a copy of one trained on is left out.

    A copy is told by its words, whatever white space parts them; one with other words is not known
    for one.

    Args:
        documents: of the corpus.
        share: the part to train on.
        seed: another seed is another division.

    Raises:
        UsageError: one side is empty.
    """
    train = tuple(each for each in documents if on_tuning_side(each.name, share, seed))
    texts = {_words(each) for each in train}
    chosen = {each.name for each in train}
    held = tuple(
        each for each in documents if each.name not in chosen and _words(each) not in texts
    )
    if not train or not held:
        raise UsageError(
            f"{len(documents)} documents cannot be divided into some to train on and some to "
            "test on",
            hint="adapt on a corpus of more documents",
        )
    return Divided(train, held)


def _words(document: Document) -> str:
    return " ".join(document.text.split())


def about(questions: Sequence[Question], documents: Sequence[Document]) -> list[Question]:
    """The questions with evidence in these documents, and of their evidence what lies there."""
    names = {each.name for each in documents}
    own = [
        replace(each, references=tuple(ref for ref in each.references if ref.doc in names))
        for each in questions
    ]
    return [each for each in own if each.references]


def passages_of(encoder: Encoder, documents: Sequence[Document]) -> list[Passage]:
    """Every chunk that has a sentence, as the index would have it embedded; no text twice.

    Raises:
        UsageError: there are too few to train on.
    """
    counter, room = encoder.embedder.counter, encoder.settings.chunking.header_tokens
    found: dict[str, Passage] = {}
    for document in documents:
        for chunk in encoder.chunk(document):
            whole = embedded_text(chunk, counter, room)
            body = embedded_text(chunk, counter, 0)
            passage = Passage(document.name, whole.removesuffix(body), body)
            if passage.sentences:
                found.setdefault(passage.text, passage)
    if len(found) < _FEWEST:
        raise UsageError(
            f"{len(found)} passages with sentences to train on are too few, {_FEWEST} are needed",
            hint="adapt on more documents, with whole sentences in them",
        )
    return [*found.values()]
