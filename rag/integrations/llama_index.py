"""spanrag's stages as LlamaIndex components: ids, scores and exact spans are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import BaseNode, MetadataMode, NodeWithScore, QueryBundle, TextNode

from rag.pruning.frugal import FrugalPrompt
from rag.pruning.render import render
from rag.spans import Span, SpanSet
from rag.types import Chunk, Context, Passage

__all__ = ["KEPT_SPANS", "FrugalPromptPostprocessor"]

KEPT_SPANS = "kept_spans"
"""Metadata key of a pruned node: [[start, end], ...], offsets in the node's document where the node
knows its place there (`start_char_idx`), else in the node's own text."""


class FrugalPromptPostprocessor(BaseNodePostprocessor):
    """Prunes each retrieved node to its most salient words.

    A node that comes out has the id, score, metadata and relationships of the one that went in,
    text made of the source's own characters, and under `KEPT_SPANS` where they stand. That key is
    shown to neither the embedder nor the language model. Nodes that hold no text pass unchanged.

    Args:
        stage: the pruning, with its attribution method and settings.

    >>> from rag.attribution import load_attributor
    >>> from rag.attribution.encoder import FrozenEncoder
    >>> from rag.embedding.registry import bundled_model, bundled_tokenizer
    >>> from rag.settings import PruningSettings
    >>> from rag.tokens import TokenCounter
    >>> stage = FrugalPrompt(
    ...     load_attributor("adjoint", FrozenEncoder(bundled_model())),
    ...     PruningSettings(mode="on", retention=0.5),
    ...     TokenCounter.from_file(bundled_tokenizer()),
    ... )
    >>> node = NodeWithScore(node=TextNode(text="The old bridge was built of oak by monks."))
    >>> (pruned,) = FrugalPromptPostprocessor(stage).postprocess_nodes(
    ...     [node], query_str="Who built the bridge?"
    ... )
    >>> pruned.node.metadata[KEPT_SPANS]
    [[8, 24], [28, 34]]
    """

    _stage: FrugalPrompt = PrivateAttr()

    def __init__(self, stage: FrugalPrompt, **fields: Any) -> None:
        super().__init__(**fields)
        self._stage = stage

    @classmethod
    def class_name(cls) -> str:
        """As LlamaIndex registers it."""
        return "FrugalPromptPostprocessor"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        question = query_bundle.query_str if query_bundle else ""
        texts = [each for each in nodes if each.node.get_content(MetadataMode.NONE).strip()]
        passages = tuple(_passage(number, each) for number, each in enumerate(texts))
        pruned = self._stage(question, Context(passages)).passages
        kept = {passage.chunk.ordinal: passage for passage in pruned}
        renewed = {id(each): kept.get(number) for number, each in enumerate(texts)}
        return [_renewed(each, renewed.get(id(each))) for each in nodes]


def _passage(number: int, scored: NodeWithScore) -> Passage:
    """A node as a passage, all of it kept."""
    text = scored.node.get_content(MetadataMode.NONE)
    start = _start(scored.node)
    span = Span(start, start + len(text))
    chunk = Chunk(scored.node.ref_doc_id or "", "", number, span, text)
    return Passage(chunk, SpanSet([span]), scored.score or 0.0)


def _start(node: BaseNode) -> int:
    return (node.start_char_idx or 0) if isinstance(node, TextNode) else 0


def _renewed(scored: NodeWithScore, passage: Passage | None) -> NodeWithScore:
    if passage is None:
        return scored
    node = scored.node.model_copy(deep=True)
    node.set_content(render(passage))
    spans: Sequence[Span] = passage.kept.spans
    node.metadata[KEPT_SPANS] = [[span.start, span.end] for span in spans]
    for hidden in (node.excluded_embed_metadata_keys, node.excluded_llm_metadata_keys):
        if KEPT_SPANS not in hidden:
            hidden.append(KEPT_SPANS)
    return NodeWithScore(node=node, score=scored.score)
