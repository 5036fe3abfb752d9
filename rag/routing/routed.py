"""Several indexes behind a router, in the place of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

from rag.embedding.lexical import LexicalEncoder
from rag.errors import RagError, StoreError
from rag.index import Index
from rag.retrieval.fusion import reciprocal_rank_fusion
from rag.routing.routes import Router, Routing
from rag.settings import Settings
from rag.store import Condition
from rag.types import ScoredChunk

__all__ = ["Found", "RoutedIndex", "share_places"]


class Found(NamedTuple):
    """What was found for a question, best first, and where it was looked for.

    `failed` are the routes that should have been searched and could not be, and why.
    """

    chunks: list[ScoredChunk]
    routing: Routing
    searched: tuple[str, ...]
    failed: Mapping[str, RagError]

    @property
    def note(self) -> str:
        """As the ledger shows it: where the question went, and how probable that was."""
        return "to " + ", ".join(
            f"{name} ({self.routing.probabilities[name]:.2f})" for name in self.searched
        )

    @property
    def degraded(self) -> str:
        """As the ledger shows it: which routes are missing, and why; or ""."""
        return "; ".join(f"without {name}: {why.message}" for name, why in self.failed.items())


class RoutedIndex:
    """What the query engine needs of an index, out of several.

    What is found is narrowed with the router's embedder, which is the same for all routes: a domain
    embedder ranks its own domain, and passages of several may lie side by side here.

    Args:
        settings: of the query path.
        router: says where a question goes.
        indexes: the open index of each route; the routed index closes them.
        lost: why the others could not be opened.
    """

    def __init__(
        self,
        settings: Settings,
        router: Router,
        indexes: Mapping[str, Index],
        lost: Mapping[str, RagError],
    ) -> None:
        self.settings = settings
        self.router = router
        self.indexes = indexes
        self.lost = lost
        self.embedder = router.embedder
        self.sentences = router.sentences
        self.lexical = LexicalEncoder(settings.lexical.language)

    def search(
        self, question: str, *, top_k: int | None = None, conditions: Sequence[Condition] = ()
    ) -> list[ScoredChunk]:
        """The chunks nearest to a question, best first."""
        return self.retrieve(question, top_k=top_k, conditions=conditions).chunks

    def retrieve(
        self, question: str, *, top_k: int | None = None, conditions: Sequence[Condition] = ()
    ) -> Found:
        """The same, and where they were looked for.

        A route that fails, be it its index or its embedder, is left out and named. Where those that
        were chosen fail, or hold nothing that meets the conditions, the most probable of the others
        that does takes their place.

        Raises:
            StoreError: no route could be searched; the message says why of each.
        """
        routing = self.router.route(question)
        hits: dict[str, list[ScoredChunk]] = {}
        failed: dict[str, RagError] = {}
        for name in routing.probabilities:  # the chosen come first
            if any(hits.values()) and name not in routing.chosen:
                break
            if name in self.lost:
                failed[name] = self.lost[name]
                continue
            try:
                hits[name] = self.indexes[name].search(question, top_k=top_k, conditions=conditions)
            except RagError as error:
                failed[name] = error
        if not hits:
            each = "; ".join(f"{name}: {error.message}" for name, error in failed.items())
            hint = next(iter(failed.values())).hint
            raise StoreError(f"no route could be searched ({each})", hint=hint)
        chunks = share_places(hits, routing.probabilities, top_k or self.settings.retrieval.top_k)
        return Found(chunks, routing, tuple(hits), failed)

    def require_whole(self) -> None:
        """Have every route's index open, and its embedder loaded.

        Raises:
            RagError: one is not; the message names the route.
        """
        for name in self.router.routes.indexes:
            try:
                if name in self.lost:
                    raise self.lost[name]
                self.indexes[name].embedder.load()
            except RagError as error:
                raise error.within(f"the route {name}") from None

    def under(self, settings: Settings) -> RoutedIndex:
        """The same with another query path, so long as nobody closes this one."""
        return RoutedIndex(settings, self.router, self.indexes, self.lost)

    def replaced(self, route: str, index: Index) -> RoutedIndex:
        """The same with another index of a route; who has the old one closes it."""
        indexes = {**self.indexes, route: index}
        return RoutedIndex(self.settings, self.router, indexes, self.lost)

    def close(self) -> None:
        """Let go of every index."""
        for index in self.indexes.values():
            index.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def share_places(
    hits: Mapping[str, Sequence[ScoredChunk]], weights: Mapping[str, float], wanted: int
) -> list[ScoredChunk]:
    """One ranking, in which routes have places in proportion to their probability.

    A place is worth probability / rank (the rule of d'Hondt, which is reciprocal rank fusion with
    k = 0). The usual k = 60 would hardly mix them: few chunks stand in two indexes (where one
    document is in both, its probabilities add up), and then the tenth of a route of 0.6 comes
    before the first of one of 0.4.
    """
    if len(hits) == 1:
        return list(next(iter(hits.values())))
    found = {hit.chunk.id: hit for each in hits.values() for hit in each}
    rankings = {name: [hit.chunk.id for hit in each] for name, each in hits.items()}
    fused = reciprocal_rank_fusion(rankings, weights, k=0)[:wanted]
    return [
        ScoredChunk(found[each].chunk, score, rank, found[each].parts)
        for rank, (each, score) in enumerate(fused, start=1)
    ]
