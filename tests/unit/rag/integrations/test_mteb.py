"""MTEB itself judges the embedder; what it finds must be what our own arithmetic finds."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from math import log2
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from rag.embedding.base import Vectors
from rag.embedding.dense import SentenceTransformerEmbedder
from rag.embedding.registry import BUNDLED, bundled_model
from rag.errors import ExtraMissing
from rag.integrations import mteb as wrapper
from rag.integrations.mteb import MtebEncoder

PASSAGES = {
    "p1": "Revenue of the harbour fell by 4 % as fewer ships called.",
    "p2": "The harbour dredged its northern channel for larger ships.",
    "p3": "Otters sleep in the reeds along the river bank.",
    "p4": "The board proposes a dividend of 12 cents a share.",
    "p5": "An otter weighs about 12 kg.",
}
QUESTIONS = {"q1": "Why did the harbour earn less?", "q2": "How heavy is an otter?"}
RELEVANT = {"q1": {"p1": 1, "p4": 1}, "q2": {"p3": 1, "p5": 1}}  # not all of it is found first
PAIRS = [
    (5.0, "Sales rose sharply.", "Revenue increased a lot."),
    (1.0, "Sales rose sharply.", "Sales fell sharply."),
    (0.0, "Sales rose sharply.", "The cat is asleep."),
    (3.0, "The ship left the port.", "The ship reached the port."),
    (4.5, "The ship left the port.", "The vessel sailed from the harbour."),
]


@pytest.fixture(scope="module")
def embedder() -> SentenceTransformerEmbedder:
    return SentenceTransformerEmbedder(
        bundled_model(), name=BUNDLED, device="cpu", precision="float32"
    )


def metadata(kind: str, main_score: str) -> Any:
    from mteb.abstasks.task_metadata import TaskMetadata

    return TaskMetadata(
        name=f"Harbour{kind}",
        description="Written for this test.",
        dataset={"path": "nowhere/harbour", "revision": "1"},
        type=kind,
        eval_langs=["eng-Latn"],
        main_score=main_score,
    )


def judged(task: Any, embedder: Any) -> dict[str, Any]:
    import mteb

    result = mteb.evaluate(
        MtebEncoder(embedder), task, cache=None, co2_tracker=False, show_progress_bar=False
    )
    scores: dict[str, Any] = result.task_results[0].scores["test"][0]
    return scores


def test_retrieval_scores_as_it_does_by_hand(embedder: SentenceTransformerEmbedder) -> None:
    from datasets import Dataset
    from mteb.abstasks import AbsTaskRetrieval

    def rows(texts: dict[str, str]) -> Any:
        return Dataset.from_list([{"id": each, "text": text} for each, text in texts.items()])

    class Harbour(AbsTaskRetrieval):
        metadata = metadata("Retrieval", "ndcg_at_10")

        def load_data(self, *_: Any, **__: Any) -> None:
            split = {
                "corpus": rows(PASSAGES),
                "queries": rows(QUESTIONS),
                "relevant_docs": RELEVANT,
                "top_ranked": None,
            }
            self.dataset = {"default": {"test": split}}
            self.data_loaded = True

    asked = embedder.embed_queries(list(QUESTIONS.values()))
    held = embedder.embed_documents(list(PASSAGES.values()))
    ndcg, recall = [], []
    for scores, relevant in zip(asked @ held.T, RELEVANT.values(), strict=True):
        ranked = [list(PASSAGES)[at] for at in np.argsort(-scores)]
        gains = [1 / log2(rank + 1) for rank, at in enumerate(ranked, 1) if at in relevant]
        ndcg.append(sum(gains) / sum(1 / log2(rank + 2) for rank in range(len(relevant))))
        recall.append(sum(at in relevant for at in ranked[:1]) / len(relevant))
    found = judged(Harbour(), embedder)
    assert found["ndcg_at_10"] == pytest.approx(np.mean(ndcg), abs=1e-5)
    assert found["recall_at_1"] == pytest.approx(np.mean(recall), abs=1e-5)


def test_sts_scores_as_it_does_by_hand(embedder: SentenceTransformerEmbedder) -> None:
    from datasets import Dataset
    from mteb.abstasks import AbsTaskSTS

    class Harbour(AbsTaskSTS):
        metadata = metadata("STS", "cosine_spearman")

        def load_data(self, *_: Any, **__: Any) -> None:
            columns = ("score", "sentence1", "sentence2")
            rows = [dict(zip(columns, pair, strict=True)) for pair in PAIRS]
            self.dataset = {"default": {"test": Dataset.from_list(rows)}}
            self.data_loaded = True

    given, first, second = zip(*PAIRS, strict=True)
    cosines = (embedder.embed_documents(first) * embedder.embed_documents(second)).sum(axis=1)
    found = judged(Harbour(), embedder)
    assert found["spearman"] == pytest.approx(spearmanr(given, cosines).statistic)
    assert found["spearman"] == found["cosine_spearman"]
    assert found["pearson"] == pytest.approx(pearsonr(given, cosines).statistic, abs=1e-5)


class Telling:
    """An embedder whose vectors tell how they were asked for: questions east, passages north."""

    dimension, max_tokens = 2, 8

    def __init__(self, name: str, fingerprint: str) -> None:
        self.name, self.fingerprint = name, fingerprint

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return np.tile(np.float32([1, 0]), (len(texts), 1))

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        return np.tile(np.float32([0, 1]), (len(texts), 1))


def wrapped(name: str = "tiny", fingerprint: str = "1") -> MtebEncoder:
    return MtebEncoder(Telling(name, fingerprint))  # type: ignore[arg-type]  # as far as is used


def test_only_queries_are_embedded_as_questions() -> None:
    from mteb.types import PromptType

    batches = [{"text": ["a", "b"]}, {"text": ["c"]}]
    assert wrapped().encode(batches, prompt_type=PromptType.query).tolist() == [[1, 0]] * 3
    assert wrapped().encode(batches, prompt_type=PromptType.document).tolist() == [[0, 1]] * 3
    assert wrapped().encode(batches).tolist() == [[0, 1]] * 3


def test_a_single_vector_is_compared_like_a_row_of_one() -> None:
    one, rows = [0.6, 0.8], [[1.0, 0.0], [0.0, 1.0]]
    assert wrapped().similarity(one, rows) == pytest.approx(np.array([[0.6, 0.8]]))
    assert wrapped().similarity_pairwise(one, rows[1]) == pytest.approx(np.array([0.8]))


def test_results_are_kept_under_the_state_of_the_model(tmp_path: Path) -> None:
    one, same, other = (wrapped(str(tmp_path / "adapted"), mark) for mark in ("1", "1", "2"))
    assert one.mteb_model_meta.name == "spanrag/adapted"
    assert one.mteb_model_meta.revision == same.mteb_model_meta.revision
    assert one.mteb_model_meta.revision != other.mteb_model_meta.revision
    assert one.mteb_model_meta.embed_dim == 2


def test_without_mteb_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> ModuleSpec | None:
        return None

    monkeypatch.setattr(wrapper, "find_spec", missing)
    with pytest.raises(ExtraMissing, match=r"spanrag\[mteb\]"):
        wrapped()
