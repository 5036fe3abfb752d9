"""The questions of a corpus, and how any system's rankings score; BM25 beside it always."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from embedding_parts import Part
from outcomes import Outcome, mean_of
from searching import LexicalSearch

from eval.located import Located
from eval.metrics.overlap import overlap
from eval.metrics.ranking import ndcg, recall_at
from rag.embedding.base import Vectors
from rag.retrieval.fusion import reciprocal_rank_fusion

__all__ = ["Rankings", "Retrieval", "ranked"]

DEPTH = 100
"""So many of each ranking are fused."""
CANDIDATES = 50
"""So many of BM25's are ranked again."""

Rankings = Sequence[Sequence[int]]
"""Of each question the numbers of chunks, best first."""


class Retrieval:
    """The questions of a part, and how any system's rankings score.

    Args:
        part: with questions.
        whole: the part that it is a sample of, for the statistics of words; or the part itself.
    """

    def __init__(self, part: Part, whole: Part) -> None:
        self.part = part
        numbers = {place: at for at, place in enumerate(part.places)}
        inside = [numbers.get(place) for place in whole.places]
        search = LexicalSearch(whole.texts)
        self.lexical = [
            [
                at
                for each in search.rank(asked, len(whole.texts))
                if (at := inside[each]) is not None
            ]
            for asked in part.asked
        ]
        self._candidates = [
            sorted({*ranked[:CANDIDATES], *(numbers[place] for place in relevant)})
            for ranked, relevant in zip(self.lexical, self._relevant(), strict=True)
        ]

    def _relevant(self) -> list[list[Located]]:
        return [list(self.part.map.touched(each.references)) for each in self.part.questions]

    def outcomes(self, rankings: Rankings, *, reranks: bool = True) -> dict[str, Outcome]:
        """Figures of a system that ranked all chunks for every question."""
        rows = []
        for question, ranking, among in zip(
            self.part.questions, rankings, map(set, self._candidates), strict=True
        ):
            ranked = [self.part.places[at] for at in ranking[:DEPTH]]
            again = [self.part.places[at] for at in ranking if at in among]
            references = question.references
            rows.append(
                (
                    ndcg(references, ranked, self.part.map),
                    recall_at(references, ranked, 10),
                    overlap(references, ranked[:5]).iou,
                    ndcg(references, again, self.part.map),
                )
            )
        names = ("nDCG@10", "recall@10", "IoU of 5", "reranking nDCG@10")
        columns = np.array(rows).T
        figures = {name: mean_of(column) for name, column in zip(names, columns, strict=True)}
        return figures if reranks else {name: figures[name] for name in names[:3]}

    def fused(self, rankings: Rankings) -> Rankings:
        """With BM25, by reciprocal rank."""
        return [
            [
                int(at)
                for at, _ in reciprocal_rank_fusion(
                    {"one": [*map(str, one[:DEPTH])], "other": [*map(str, other[:DEPTH])]},
                    {"one": 1.0, "other": 1.0},
                )
            ]
            for one, other in zip(rankings, self.lexical, strict=True)
        ]


def ranked(asked: Vectors, held: Vectors) -> Rankings:
    """All chunks for every question, best first."""
    found: Rankings = np.argsort(-(asked @ held.T), axis=1, kind="stable").tolist()
    return found
