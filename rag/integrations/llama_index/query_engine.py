"""SIFT as a LlamaIndex query engine: an answer, its sticker, and citations with exact spans."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.response.schema import RESPONSE_TYPE, Response
from llama_index.core.llms import LLM
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.prompts.mixin import PromptMixinType
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle

from rag.embedding.base import Embedder
from rag.embedding.lexical import LexicalEncoder
from rag.embedding.memo import RememberingEmbedder
from rag.embedding.registry import load_embedder
from rag.generation.llm import LlmGenerator
from rag.grounding.citations import resolve_citations
from rag.grounding.sift import SiftGenerator
from rag.grounding.verify import unsupported
from rag.integrations.llama_index.nodes import passage_of
from rag.pruning import SelectSentences
from rag.settings import (
    EmbeddingSettings,
    GroundingSettings,
    LexicalSettings,
    SelectionSettings,
)
from rag.types import Citation, Context, Sticker

__all__ = ["SiftQueryEngine"]


class SiftQueryEngine(BaseQueryEngine):
    """Retrieves, narrows with postprocessors, and answers by way of a sticker of facts (SIFT).

    The response has the answer, its citations numbered [1], and as metadata `agreed`, `stage`,
    `sticker`, `citations`, `unsupported`, `llm_calls`, `llm_tokens` and `degraded`. Each fact and
    citation names its node and where it stands in the node's document.

    Args:
        retriever: any.
        llm: any.
        settings: by default `sift`; `extractive` needs two calls of the model.
        node_postprocessors: run in order; those of this package keep spans exact.
        embedder: chooses the sentences of extractive stickers; by default the bundled one.
        max_tokens: what is kept free of the model's window for its answers.
        few_shot: for a model that completes examples better than it follows orders.
        holds_schema: the engine behind `llm` takes an OpenAI `response_format`.
    """

    def __init__(
        self,
        retriever: BaseRetriever,
        llm: LLM,
        settings: GroundingSettings | None = None,
        node_postprocessors: Sequence[BaseNodePostprocessor] = (),
        embedder: Embedder | None = None,
        *,
        max_tokens: int = 512,
        few_shot: bool = False,
        holds_schema: bool = False,
    ) -> None:
        super().__init__(callback_manager=None)
        self._retriever = retriever
        self._postprocessors = list(node_postprocessors)
        settings = settings or GroundingSettings(mode="sift")
        model = RememberingEmbedder(embedder or load_embedder(EmbeddingSettings()))
        narrow = SelectSentences(
            model,
            LexicalEncoder(LexicalSettings().language),
            SelectionSettings(budget=settings.sticker_tokens),
        )
        writer = LlmGenerator(
            llm,
            model.counter,
            max_tokens=max_tokens,
            few_shot=few_shot,
            holds_schema=holds_schema,
        )
        self._generator = SiftGenerator(writer, settings, narrow, model.counter)

    def _query(self, query_bundle: QueryBundle) -> RESPONSE_TYPE:
        nodes = self._retriever.retrieve(query_bundle)
        for postprocessor in self._postprocessors:
            nodes = postprocessor.postprocess_nodes(nodes, query_bundle)
        nodes = [each for each in nodes if each.node.get_content(MetadataMode.NONE).strip()]
        context = Context(tuple(passage_of(number, each) for number, each in enumerate(nodes)))
        written = self._generator.generate(query_bundle.query_str, context)
        resolved = resolve_citations(written.text, context)
        grounding = written.grounding
        metadata: dict[str, Any] = {
            "agreed": grounding.agreed if grounding else None,
            "stage": grounding.stage if grounding else "",
            "sticker": _sticker_to_json(grounding.sticker, nodes) if grounding else None,
            "citations": [_cited(each, nodes) for each in resolved.citations],
            "unsupported": list(unsupported(resolved.text, resolved.citations)),
            "llm_calls": sum(step.llm_calls for step in written.steps),
            "llm_tokens": sum(step.llm_tokens for step in written.steps),
            "degraded": written.degraded,
        }
        text = resolved.text or written.abstains or None
        return Response(text, source_nodes=nodes, metadata=metadata)

    async def _aquery(self, query_bundle: QueryBundle) -> RESPONSE_TYPE:
        return await asyncio.to_thread(self._query, query_bundle)

    def _get_prompt_modules(self) -> PromptMixinType:
        return {}


def _sticker_to_json(sticker: Sticker, nodes: Sequence[NodeWithScore]) -> dict[str, Any]:
    facts = [
        {"text": fact.text, "evidence": [_cited(each, nodes) for each in fact.evidence]}
        for fact in sticker.facts
    ]
    return {"question": sticker.question, "facts": facts, "dropped": sticker.dropped}


def _cited(citation: Citation, nodes: Sequence[NodeWithScore]) -> dict[str, Any]:
    """A stretch of a document, and the first node that is of it."""
    node = next(
        each.node for each in nodes if citation.doc_id in (each.node.ref_doc_id, each.node.node_id)
    )
    return {
        "node_id": node.node_id,
        "document_id": citation.doc_id,
        "start": citation.span.start,
        "end": citation.span.end,
        "quote": citation.quote,
        "verified": citation.verified,
    }
