"""An answer explained: what each stage kept of every passage, and how the passages lie together.

Only of what the question itself retrieved, so that it tells nobody more than the answer may.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.attribution import encoder_of, load_attributor
from rag.attribution.base import Attributor, TokenScores
from rag.clustering.clusters import find_clusters
from rag.clustering.groups import group
from rag.engine import Searched
from rag.explain import kept_by_chunk
from rag.pruning.protect import PROFILES, protected_spans
from rag.spans import Span, SpanSet
from rag.types import Chunk, Context, Passage

__all__ = ["Explainer", "plane"]

MOST = 20  # passages that are explained: more nobody reads
_SLOW = "sensitivity"  # hundreds of passes for one passage

logger = logging.getLogger(__name__)


class Explainer:
    """Explains answers from an index. It does not touch the store.

    Args:
        index: whose settings and embedder made the answers.
    """

    def __init__(self, index: Searched) -> None:
        self._settings = index.settings
        self._embedder = index.embedder
        self._sentences = index.sentences
        method = self._settings.pruning.method
        self._method = "adjoint" if method == _SLOW else method

    def explain(self, question: str, steps: Sequence[tuple[str, Context]]) -> dict[str, Any]:
        """What became of the passages of a question.

        It takes its seconds, and never fails: what cannot be told is null.

        Args:
            question: what was asked.
            steps: each stage and what it let through, retrieval first.
        """
        retrieved = steps[0][1].passages
        shown = retrieved[:MOST]
        scores = self._scores(question, [each.chunk for each in shown])
        after = [(stage, kept_by_chunk(context), context) for stage, context in steps]
        passages = [
            {
                **_passage_to_json(passage),
                "stages": [
                    {
                        "stage": stage,
                        "kept": _spans_to_json(kept.get(passage.chunk.id, SpanSet())),
                        "why": context.remark.why.get(passage.chunk.id, ""),
                    }
                    for stage, kept, context in after
                ],
                "protected": _spans_to_json(self._protected(passage.chunk)),
                "tokens": None if scores is None else _tokens(passage.chunk, scores[at]),
            }
            for at, passage in enumerate(shown)
        ]
        return {
            "passages": passages,
            "omitted": len(retrieved) - len(shown),
            "attribution": None if scores is None else self._method,
            "points": self._points(Context(shown)),
        }

    @cached_property
    def _attributor(self) -> Attributor | None:
        """Loaded once; None where nobody can look inside the embedder."""
        try:
            return load_attributor(self._method, encoder_of(self._embedder))
        except Exception as error:  # noqa: BLE001  an answer goes without
            logger.info("answers are explained without attribution: %s", error)
            return None

    def _scores(self, question: str, chunks: Sequence[Chunk]) -> list[TokenScores] | None:
        if self._attributor is None:
            return None
        query = question if self._attributor.query_aware else None
        try:
            return self._attributor.scores([chunk.text for chunk in chunks], query=query)
        except Exception:
            logger.warning("attribution failed, going on without it", exc_info=True)
            return None

    def _protected(self, chunk: Chunk) -> SpanSet:
        """What pruning would keep whatever its score."""
        found = protected_spans(chunk.text, PROFILES[self._settings.pruning.profile])
        return SpanSet(span.shift(chunk.span.start) for span in found)

    def _points(self, context: Context) -> list[dict[str, Any]] | None:
        """The sentences in a plane, each with the cluster that clustering puts its passage in.

        Whether it would have been worth clustering does not matter here.
        """
        settings = self._settings.clustering.model_copy(update={"min_redundancy": 0.0})
        try:
            found = find_clusters(context, self._sentences, settings, group)
        except Exception:
            logger.warning("clusters cannot be shown", exc_info=True)
            return None
        if isinstance(found, str):
            return None
        places = plane(found.vectors)
        return [
            {
                "passage": unit.passage,
                "start": unit.span.start,
                "end": unit.span.end,
                "cluster": int(cluster),
                "x": round(float(x), 4),
                "y": round(float(y), 4),
            }
            for unit, cluster, (x, y) in zip(found.units, found.groups, places, strict=True)
        ]


def plane(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Vectors in the plane of their two largest principal components, shape (vectors, 2).

    Signs are those at which the largest entry of each component is positive, so that the same
    vectors always give the same picture.
    """
    centred = np.asarray(vectors, np.float64) - np.mean(vectors, axis=0, dtype=np.float64)
    _, _, components = np.linalg.svd(centred, full_matrices=False)
    largest = np.take_along_axis(components, np.abs(components).argmax(axis=1)[:, None], axis=1)
    components = components * np.where(largest < 0, -1.0, 1.0)
    found = np.zeros((len(centred), 2))
    two = components[:2]
    found[:, : len(two)] = centred @ two.T
    return found


def _passage_to_json(passage: Passage) -> dict[str, Any]:
    chunk = passage.chunk
    place = chunk.place_at(chunk.span.start)
    return {
        "doc": chunk.name,
        "doc_id": chunk.doc_id,
        "revision": chunk.revision,
        "source": chunk.source,
        "title": chunk.title,
        "page": place.page,
        "section": place.section,
        "start": chunk.span.start,
        "end": chunk.span.end,
        "text": chunk.text,
        "score": passage.score,
    }


def _tokens(chunk: Chunk, found: TokenScores) -> list[tuple[int, int, float]]:
    """Start, end and score of every token that stands in the text; the largest score is 1."""
    scores = np.where(found.ranked, np.maximum(found.scores, 0.0), 0.0)
    scores = scores / max(float(scores.max(initial=0.0)), 1e-12)
    start = chunk.span.start
    return [
        (start + int(begin), start + int(end), round(float(score), 3))
        for (begin, end), score, ranked in zip(found.offsets, scores, found.ranked, strict=True)
        if ranked and end > begin
    ]


def _spans_to_json(spans: SpanSet | Sequence[Span]) -> list[dict[str, int]]:
    return [{"start": span.start, "end": span.end} for span in spans]
