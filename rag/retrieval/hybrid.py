"""Hybrid retrieval: by meaning and by words, fused."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import PurePosixPath

from rag.embedding.base import Embedder
from rag.embedding.context import split_name
from rag.embedding.lexical import LexicalEncoder
from rag.ids import chunk_id
from rag.retrieval.fusion import reciprocal_rank_fusion
from rag.retrieval.naming import held_share, naming
from rag.settings import RetrievalSettings
from rag.store.base import Hit, Store
from rag.store.filters import Condition
from rag.tables import tabular
from rag.types import Chunk, ScoredChunk

__all__ = ["HybridRetriever"]

_NAMED = 0.5  # share of a document's name that a question holds, from which it names it
_LONGEST_TABLE = 8  # chunks a table brings beside the one that was found


class HybridRetriever:
    """Finds the chunks nearest to a question.

    Args:
        store: the index.
        embedder: the model the index was built with.
        lexical: the encoder the index was built with.
        settings: how many, and how the rankings are weighted.
    """

    def __init__(
        self,
        store: Store,
        embedder: Embedder,
        lexical: LexicalEncoder,
        settings: RetrievalSettings,
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._lexical = lexical
        self._settings = settings

    def retrieve(
        self, question: str, *, top_k: int | None = None, conditions: Sequence[Condition] = ()
    ) -> list[ScoredChunk]:
        """The best `top_k` chunks, best first; fewer where the index holds fewer.

        `parts` of each has the cosine (`dense`) and the BM25 score (`lexical`), where that
        ranking held it among its candidates.
        """
        settings = self._settings
        wanted = top_k or settings.top_k
        rankings = self._store.rankings(
            self._embedder.embed_queries([question])[0].tolist(),
            self._lexical.encode_query(question),
            max(settings.candidates, wanted),
            conditions,
        )._asdict()
        parts: dict[str, dict[str, float]] = {}
        for name, hits in rankings.items():
            for hit in hits:
                parts.setdefault(hit.id, {})[name] = hit.score
        chunks = dict(self._store.chunks(list(parts)))
        fused = self._fused(question, rankings, chunks)
        whole = self._with_tables([chunk_id for chunk_id, _ in fused], chunks, wanted)
        scores = dict(fused)
        return [
            ScoredChunk(chunks[found], scores[cause], rank, parts.get(found, {}))
            for rank, (found, cause) in enumerate(whole.items(), start=1)
        ]

    def _fused(
        self, question: str, rankings: Mapping[str, list[Hit]], chunks: Mapping[str, Chunk]
    ) -> list[tuple[str, float]]:
        """The candidates, best first, those of a document that the question names before others.

        A name counts from half of it on: a descriptive one shares a word with many a question.
        Once it counts, what is left to the ranking by words is what its best hit holds of the
        question; without that, phrases such as "if this is not useful, explain why" decide.
        Chunks gone between two calls (another client's deletion) are left out.
        """
        settings = self._settings
        ids = {
            name: [hit.id for hit in hits if hit.id in chunks] for name, hits in rankings.items()
        }
        weights = {"dense": settings.dense_weight, "lexical": settings.lexical_weight}
        fused = reciprocal_rank_fusion(ids, weights, settings.rrf_k)
        of_document = {
            chunks[each].doc_id: PurePosixPath(chunks[each].name).stem for each, _ in fused
        }
        named = naming(question, of_document, self._lexical)
        if named.share < _NAMED or not settings.name_weight:
            return fused
        if ids["lexical"]:
            texts = [_placed(chunks[each]) for each in ids["lexical"]]
            weights["lexical"] *= held_share(question, texts, self._lexical)
            fused = reciprocal_rank_fusion(ids, weights, settings.rrf_k)
        mass = {each: named.mass[chunks[each].doc_id] for each, _ in fused}
        ascending = sorted(mass.values())
        better = {each: len(mass) - bisect_right(ascending, mass[each]) for each in mass}
        joined = (
            (each, score + settings.name_weight / (settings.rrf_k + 1 + better[each]))
            for each, score in fused
        )
        return sorted(joined, key=lambda pair: (-pair[1], pair[0]))

    def _with_tables(
        self, ranked: Sequence[str], chunks: dict[str, Chunk], wanted: int
    ) -> dict[str, str]:
        """The best `wanted` ids, each with the one it came with; `chunks` gets what was fetched.

        A chunk out of a table brings what its page has of that table: half a table is hard to read.
        """
        found: dict[str, str] = {}
        for each in ranked:
            if len(found) >= wanted:
                break
            for member in (each, *self._rest_of_table(chunks[each], chunks)):
                if len(found) < wanted:
                    found.setdefault(member, each)
        return found

    def _rest_of_table(self, chunk: Chunk, chunks: dict[str, Chunk]) -> list[str]:
        page = chunk.place_at(chunk.span.start).page
        if page is None or not tabular(chunk.text):
            return []
        rest: list[str] = []
        for step in (1, -1):
            for ordinal in count(chunk.ordinal + step, step):
                beside = chunk_id(chunk.doc_id, chunk.revision, ordinal)
                if ordinal < 0 or len(rest) == _LONGEST_TABLE:
                    break
                if beside not in chunks:
                    chunks.update(self._store.chunks([beside]))
                if beside not in chunks or not _continues(chunks[beside], page):
                    break
                rest.append(beside)
        return rest


def _continues(chunk: Chunk, page: int) -> bool:
    return chunk.place_at(chunk.span.start).page == page and tabular(chunk.text)


def _placed(chunk: Chunk) -> str:
    section = chunk.places[0].section if chunk.places else ""
    return f"{split_name(PurePosixPath(chunk.name).stem)} {chunk.title} {section}\n{chunk.text}"
