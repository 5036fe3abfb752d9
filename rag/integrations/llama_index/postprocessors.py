"""spanrag's stages as LlamaIndex postprocessors: ids, metadata and exact spans are kept."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.llms import LLM
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle

from rag.attribution import encoder_of, load_attributor
from rag.clustering import ClusterContext, SummariseClusters, SummaryCache
from rag.embedding.base import Embedder
from rag.embedding.lexical import LexicalEncoder
from rag.embedding.memo import RememberingEmbedder
from rag.embedding.registry import load_embedder
from rag.errors import ConfigError
from rag.evidence.reader import load_reader
from rag.generation.llm import LlmGenerator
from rag.integrations.llama_index.nodes import passage_of, renewed
from rag.pruning import FrugalPrompt, SelectSentences
from rag.settings import (
    ClusteringSettings,
    EmbeddingSettings,
    LexicalSettings,
    PruningSettings,
    SelectionSettings,
)
from rag.stages import Stage
from rag.types import Context

__all__ = [
    "ClusterPostprocessor",
    "FrugalPromptPostprocessor",
    "SelectPostprocessor",
]

_SUMMARY_TOKENS = 256

logger = logging.getLogger(__name__)


class _StagePostprocessor(BaseNodePostprocessor):
    """Runs one stage over nodes.

    A node that comes out has the id, metadata and relationships of the one that went in, text made
    of the source's own characters, and under `KEPT_SPANS` where they stand. A summary is the first
    node that it tells of, but with an id of its own and the model's text. What is added to the
    metadata is shown to neither the embedder nor the language model. Nodes that hold no text pass
    unchanged. Where the stage fails all of them do, with a warning.
    """

    _stage: Stage = PrivateAttr()

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        question = query_bundle.query_str if query_bundle else ""
        given = [each for each in nodes if each.node.get_content(MetadataMode.NONE).strip()]
        try:
            narrowed = self._stage(question, self._context(question, given))
        except Exception:  # a question is never lost because an optional stage failed
            logger.warning("%s failed, nodes passed on", self.class_name(), exc_info=True)
            return nodes
        found = [renewed(given, passage) for passage in narrowed.passages]
        for at, each in enumerate(nodes):
            if each not in given:
                found.insert(at, each)
        return found

    def _context(self, question: str, nodes: Sequence[NodeWithScore]) -> Context:
        del question  # most stages judge for themselves
        return Context(tuple(passage_of(number, each) for number, each in enumerate(nodes)))


class ClusterPostprocessor(_StagePostprocessor):
    """Clustered RAG: what many nodes say is said once; nodes that say little twice pass unchanged.

    Args:
        settings: how to group and how much to keep; by default sentences are chosen.
        embedder: by default the bundled one.
        llm: writes the summaries where `settings.mode` is "abstractive".

    Raises:
        ConfigError: summaries are asked for and there is no language model.

    >>> from llama_index.core.schema import TextNode
    >>> from rag.integrations.llama_index import KEPT_SPANS
    >>> nodes = [
    ...     NodeWithScore(node=TextNode(text=text))
    ...     for text in ("The battery lasts two days.", "Nice. The battery lasts for two days.")
    ... ]
    >>> processor = ClusterPostprocessor(ClusteringSettings(share=1.0))
    >>> kept = processor.postprocess_nodes(nodes, query_str="How long does the battery last?")
    >>> [each.node.get_content() for each in kept]
    ['The battery lasts two days.']
    """

    def __init__(
        self,
        settings: ClusteringSettings | None = None,
        embedder: Embedder | None = None,
        llm: LLM | None = None,
        **fields: Any,
    ) -> None:
        super().__init__(**fields)
        settings = settings or ClusteringSettings(mode="extractive")
        embedder = _remembering(embedder)
        if settings.mode != "abstractive":
            self._stage = ClusterContext(embedder, settings)
        elif llm is None:
            raise ConfigError(
                "clustering.mode = abstractive needs a language model", hint="give llm"
            )
        else:
            writer = LlmGenerator(llm, embedder.counter, max_tokens=_SUMMARY_TOKENS)
            cache = SummaryCache(settings.cache)
            self._stage = SummariseClusters(embedder, settings, writer, cache)

    @classmethod
    def class_name(cls) -> str:
        """As LlamaIndex registers it."""
        return "ClusterPostprocessor"


class SelectPostprocessor(_StagePostprocessor):
    """Keeps the sentences with the greatest expected overlap with the evidence.

    A node's score is afterwards the probability that its best sentence is evidence, and nodes are
    in that order. How each was retrieved is measured anew, over the nodes that are given.

    Args:
        settings: how much to keep; by default what suits high recall.
        embedder: by default the bundled one.
        lexical: says what a term is; by default of English.

    >>> from llama_index.core.schema import TextNode
    >>> from rag.integrations.llama_index import KEPT_SPANS
    >>> node = NodeWithScore(
    ...     node=TextNode(text="It rained. The bridge was built of oak by monks. It was cold.")
    ... )
    >>> processor = SelectPostprocessor(SelectionSettings(recall_weight=1))
    >>> (kept,) = processor.postprocess_nodes([node], query_str="Who built the bridge?")
    >>> kept.node.get_content(), kept.node.metadata[KEPT_SPANS]
    ('The bridge was built of oak by monks.', [[11, 48]])
    """

    _embedder: Embedder = PrivateAttr()
    _lexical: LexicalEncoder = PrivateAttr()

    def __init__(
        self,
        settings: SelectionSettings | None = None,
        embedder: Embedder | None = None,
        lexical: LexicalEncoder | None = None,
        **fields: Any,
    ) -> None:
        super().__init__(**fields)
        settings = settings or SelectionSettings()
        self._embedder = _remembering(embedder)
        self._lexical = lexical or LexicalEncoder(LexicalSettings().language)
        reader = load_reader() if settings.reader else None
        self._stage = SelectSentences(self._embedder, self._lexical, settings, reader)

    @classmethod
    def class_name(cls) -> str:
        """As LlamaIndex registers it."""
        return "SelectPostprocessor"

    def _context(self, question: str, nodes: Sequence[NodeWithScore]) -> Context:
        """With the cosine and the BM25 score of each node, which the scorer looks at."""
        texts = [each.node.get_content(MetadataMode.NONE) for each in nodes]
        if not texts:
            return Context()
        query = self._embedder.embed_queries([question])[0]
        cosines = self._embedder.embed_documents(texts) @ query
        words = _bm25(self._lexical, question, texts)
        return Context(
            tuple(
                passage_of(number, each, {"dense": float(cosine), "lexical": score})
                for number, (each, cosine, score) in enumerate(
                    zip(nodes, cosines, words, strict=True)
                )
            )
        )


class FrugalPromptPostprocessor(_StagePostprocessor):
    """Prunes each node to its most salient words; scores and order stay.

    Args:
        settings: how much to keep, of what, and what to protect.
        embedder: its encoder is what is explained; by default the bundled one.

    >>> from llama_index.core.schema import TextNode
    >>> from rag.integrations.llama_index import KEPT_SPANS
    >>> node = NodeWithScore(node=TextNode(text="The old bridge was built of oak by monks."))
    >>> processor = FrugalPromptPostprocessor(PruningSettings(mode="on", retention=0.5))
    >>> (pruned,) = processor.postprocess_nodes([node], query_str="Who built the bridge?")
    >>> pruned.node.metadata[KEPT_SPANS]
    [[8, 24], [28, 34]]
    """

    def __init__(
        self,
        settings: PruningSettings | None = None,
        embedder: Embedder | None = None,
        **fields: Any,
    ) -> None:
        super().__init__(**fields)
        settings = settings or PruningSettings(mode="on")
        embedder = embedder or load_embedder(EmbeddingSettings())
        attributor = load_attributor(settings.method, encoder_of(embedder))
        self._stage = FrugalPrompt(attributor, settings, embedder.counter)

    @classmethod
    def class_name(cls) -> str:
        """As LlamaIndex registers it."""
        return "FrugalPromptPostprocessor"


def _remembering(embedder: Embedder | None) -> RememberingEmbedder:
    return RememberingEmbedder(embedder or load_embedder(EmbeddingSettings()))


def _bm25(lexical: LexicalEncoder, question: str, texts: Sequence[str]) -> list[float]:
    """The BM25 score of each text, terms weighted by how few of these texts hold them."""
    terms = lexical.encode_query(question).indices
    weights = [
        dict(zip(vector.indices, vector.values, strict=True))
        for vector in lexical.encode_documents(texts)
    ]
    found = np.array([[each.get(term, 0.0) for term in terms] for each in weights])
    holding = (found > 0).sum(axis=0)
    rarity = np.log1p((len(texts) - holding + 0.5) / (holding + 0.5))
    return [float(score) for score in found @ rarity]
