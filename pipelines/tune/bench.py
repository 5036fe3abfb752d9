"""The bench: runs settings on questions, and keeps what one run and the next have in common.

An index depends on how documents are cut and embedded, and on nothing else; a sentence's vector
on the embedder alone. So there is one index for each way of cutting, one embedder for each model,
and one memory of sentences for each embedder; all else is arithmetic on what they hold.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from connectors.base import Connector, SourceRef
from connectors.registry import open_source
from eval.datasets import Question
from eval.metrics.overlap import overlap
from pipelines.evaluate import located
from pipelines.ingest import Progress, ingest
from pipelines.scratch import in_scratch, open_scratch
from pipelines.tune.choose import Means
from rag.embedding.base import Embedder
from rag.embedding.memo import RememberingEmbedder
from rag.embedding.registry import load_embedder
from rag.engine import QueryEngine
from rag.errors import ModelError
from rag.generation import ExtractiveGenerator
from rag.index import Index
from rag.ledger import TokenLedger
from rag.settings import EmbeddingSettings, GroundingSettings, Settings
from rag.tokens import TokenCounter
from rag.types import Document

__all__ = ["Bench", "Embedders", "Figures"]

_REMEMBERED = 100_000  # sentences: 150 MB of 384 numbers each
_OPEN = 8  # indexes held open at a time


@dataclass(frozen=True, slots=True)
class Figures:
    """What settings came to, question by question: what the generator would be given.

    `abstained` is 1 where the engine would find too little evidence to answer.
    """

    ids: tuple[str, ...]
    recall: tuple[float, ...]
    iou: tuple[float, ...]
    tokens: tuple[float, ...]
    abstained: tuple[float, ...]

    @classmethod
    def of_questions(cls, values: Mapping[str, Sequence[float]]) -> Self:
        """From question id to its recall, IoU, tokens and abstention."""
        return cls(tuple(values), *(tuple(each) for each in zip(*values.values(), strict=True)))

    def by_question(self) -> dict[str, tuple[float, ...]]:
        """The reverse of `of_questions`."""
        rows = zip(self.recall, self.iou, self.tokens, self.abstained, strict=True)
        return dict(zip(self.ids, rows, strict=True))

    @property
    def means(self) -> Means:
        """Over questions."""
        return Means(*(_mean(each) for each in (self.recall, self.iou, self.tokens)))

    @property
    def abstention(self) -> float:
        """The share of questions that get no answer."""
        return _mean(self.abstained)


class Embedders:
    """Each embedder once, with its memory of sentences."""

    def __init__(self, *, offline: bool = True) -> None:
        self._offline = offline
        self._loaded: dict[str, tuple[Embedder, RememberingEmbedder]] = {}

    def load(self, settings: EmbeddingSettings) -> tuple[Embedder, RememberingEmbedder]:
        """The embedder of these settings, and the same with a memory.

        Raises:
            ModelError: as `rag.embedding.registry.load_embedder`.
        """
        key = settings.model_dump_json()
        if key not in self._loaded:
            embedder = load_embedder(settings, offline=self._offline)
            self._loaded[key] = embedder, RememberingEmbedder(embedder, _REMEMBERED)
        return self._loaded[key]


class _Corpus:
    """A connector over documents that were read before: they are parsed once, not once an index."""

    def __init__(self, connector: Connector, documents: Iterable[Document]) -> None:
        self._connector = connector
        self._documents = {each.key: each for each in documents}
        self._refs = tuple(connector.list())
        self.namespace = connector.namespace

    def list(self) -> Sequence[SourceRef]:
        return self._refs

    def covers(self, key: str) -> bool:
        return self._connector.covers(key)

    def fetch(self, ref: SourceRef) -> Document:
        return self._documents.get(ref.key) or self._connector.fetch(ref)


class Bench:
    """Runs settings over one corpus. A context manager: it holds indexes open.

    Args:
        corpora: the folder of the corpus, which names the scratch indexes.
        documents: the corpus as it was read.
        ignore: patterns of files that are no documents.
        embedders: may be shared with other benches.
        counter: counts every trial's tokens, so that they can be compared.
        progress: hears of documents, whenever an index is built.
        stop: asked after each document; true ends the run.
    """

    def __init__(
        self,
        corpora: Path,
        documents: Sequence[Document],
        ignore: Sequence[str],
        embedders: Embedders,
        counter: TokenCounter,
        *,
        progress: Progress | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._corpora = corpora
        self._corpus = _Corpus(open_source(str(corpora), ignore=ignore), documents)
        self._embedders = embedders
        self._counter = counter
        self._progress = progress
        self._stop = stop
        self._built: set[Path] = set()
        self._open: OrderedDict[Path, Index] = OrderedDict()

    def measure(self, settings: Settings, questions: Sequence[Question]) -> Figures:
        """Gather what a generator would be given for each question, and compare it.

        Args:
            settings: of the query path; grounding and generation have no part in it.
            questions: each with references.

        Raises:
            KeyboardInterrupt: `stop` said so while an index was built.
            StoreError, ModelError: as `rag.index.open_index`; or a stage failed.
        """
        settings = settings.model_copy(update={"grounding": GroundingSettings()})
        engine = QueryEngine(self._index(settings), ExtractiveGenerator())
        rows: list[tuple[float, ...]] = []
        for question in questions:
            gathered = engine.gather(question.text)
            _require_whole(gathered.ledger)
            context = gathered.context
            found = overlap(question.references, located(context))
            tokens = float(self._counter.total(context.pieces))
            rows.append((found.recall, found.iou, tokens, float(bool(engine.lacking(context)))))
        return Figures(tuple(each.id for each in questions), *zip(*rows, strict=True))

    def _index(self, settings: Settings) -> Index:
        """The index these settings need, built where it is not there, under these settings."""
        settings = in_scratch(settings, self._corpora)
        path = settings.store.path
        embedder, sentences = self._embedders.load(settings.embedding)
        if path not in self._open:
            while len(self._open) >= _OPEN:
                self._open.popitem(last=False)[1].close()
            self._open[path] = open_scratch(settings, embedder)
        self._open.move_to_end(path)
        opened = self._open[path]
        if path not in self._built:
            report = ingest(
                opened, [self._corpus], prune=True, yes=True,
                progress=self._progress, stop=self._stop,
            )  # fmt: skip
            if report.interrupted:
                raise KeyboardInterrupt
            self._built.add(path)
        return Index(settings, opened.store, embedder, sentences)

    def close(self) -> None:
        """Let go of the indexes."""
        while self._open:
            self._open.popitem()[1].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _require_whole(ledger: TokenLedger) -> None:
    """A stage that failed makes figures of other settings than these."""
    for entry in ledger:
        if entry.degraded:
            raise ModelError(f"stage {entry.stage} failed: {entry.degraded}")


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
