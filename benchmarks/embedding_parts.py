"""What the benchmarks of embedders work on: a corpus cut as an index cuts it, and its questions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from eval.datasets import Question, read_questions
from eval.located import Located
from eval.metrics.overlap import ChunkMap
from eval.split import Side, split_questions
from pipelines.evaluate import read_corpus
from rag.embedding.base import Embedder
from rag.embedding.context import embedded_text
from rag.index import Encoder
from rag.settings import Settings
from rag.types import Chunk, Document

__all__ = ["Part"]


@dataclass(frozen=True)
class Part:
    """One index, and what is asked about it.

    Every model is given the same chunks, those of spanrag's default settings with the bundled
    tokenizer, so that models with other tokenizers are asked the same.

    Args:
        name: how tables name it.
        chunks: all of them, document by document.
        texts: what an index embeds of each: its text under its header.
        questions: those whose references lie in the corpus; may be none.
    """

    name: str
    chunks: Sequence[Chunk]
    texts: Sequence[str]
    questions: Sequence[Question]

    @classmethod
    def read(
        cls, folder: Path, embedder: Embedder, *, corpora: Collection[str] = (), side: Side = "all"
    ) -> Self:
        """The part in a folder: documents below `corpora`, and `questions.jsonl` if it is there.

        Args:
            folder: as `rag eval run` takes it.
            embedder: whose tokenizer measures chunks.
            corpora: folders below `corpora` to keep to; all where none is named.
            side: keep to the documents of one side of the split that `eval.split` makes, and to
                the questions about them.
        """
        documents = [
            each
            for each in read_corpus(folder / "corpora")
            if not corpora or each.name.partition("/")[0] in corpora
        ]
        names = {each.name for each in documents}
        file = folder / "questions.jsonl"
        asked = read_questions(file) if file.is_file() else []
        asked = [
            each for each in asked if each.references and {r.doc for r in each.references} <= names
        ]
        documents, questions = _side(documents, asked, side)
        settings = Settings()
        encoder = Encoder(settings, embedder)
        chunks = [chunk for document in documents for chunk in encoder.chunk(document)]
        header = settings.chunking.header_tokens
        texts = [embedded_text(chunk, embedder.counter, header) for chunk in chunks]
        name = ", ".join([folder.name, *corpora])
        return cls(name if side == "all" else f"{name} ({side})", chunks, texts, questions)

    @cached_property
    def places(self) -> list[Located]:
        """Where each chunk stands."""
        return [Located(chunk.name, chunk.span.start, chunk.span.end) for chunk in self.chunks]

    @cached_property
    def map(self) -> ChunkMap:
        """All chunks, for nDCG's ideal ranking."""
        return ChunkMap(self.places)

    @cached_property
    def asked(self) -> list[str]:
        """The questions' texts."""
        return [question.text for question in self.questions]

    @cached_property
    def relevant(self) -> list[int]:
        """Numbers of the chunks with evidence of any question."""
        numbers = {place: at for at, place in enumerate(self.places)}
        return sorted(
            {
                numbers[place]
                for question in self.questions
                for place in self.map.touched(question.references)
            }
        )

    def kept(self, numbers: Sequence[int]) -> Part:
        """The same questions over some of the chunks."""
        return Part(
            self.name,
            [self.chunks[at] for at in numbers],
            [self.texts[at] for at in numbers],
            self.questions,
        )


def _side(
    documents: list[Document], questions: list[Question], side: Side
) -> tuple[list[Document], list[Question]]:
    """The documents and questions of one side; a document nobody asks about has a side too."""
    if side == "all":
        return documents, questions
    alone = [Question(each.name, "", (Located(each.name, 0, 1),)) for each in documents]
    chosen = split_questions([*questions, *alone], side)
    names = {question.id for question in chosen if not question.text}
    return (
        [each for each in documents if each.name in names],
        [question for question in chosen if question.text],
    )
