"""LlamaIndex nodes as passages, and back: ids, metadata and exact spans are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from llama_index.core.schema import BaseNode, MetadataMode, NodeWithScore, TextNode

from rag.pruning.render import render
from rag.spans import Span, SpanSet
from rag.types import Chunk, Passage

__all__ = ["KEPT_SPANS", "SOURCE_TEXT", "SUMMARY_OF", "passage_of", "renewed"]

KEPT_SPANS = "kept_spans"
"""Metadata key of a narrowed node: [[start, end], ...], offsets in the node's document where the
node knows its place there (`start_char_idx`), else in the node's own text."""

SOURCE_TEXT = "source_text"
"""Metadata key of a narrowed node: its text as it was, for the postprocessor that comes after."""

SUMMARY_OF = "summary_of"
"""Metadata key of a node that was written: for each node it tells of, its id and KEPT_SPANS."""


def passage_of(
    number: int, scored: NodeWithScore, parts: dict[str, float] | None = None
) -> Passage:
    """A node as a passage; its ordinal leads back to the node.

    A node that one of these postprocessors narrowed before goes on from where that left it.
    """
    node = scored.node
    shown = node.get_content(MetadataMode.NONE)
    source = str(node.metadata.get(SOURCE_TEXT, shown))
    kept = SpanSet(Span(*pair) for pair in node.metadata.get(KEPT_SPANS, []))
    span = _place(node, source)
    if kept.hull and not span.covers(kept.hull):
        span = Span(0, len(source))
    chunk = Chunk(node.ref_doc_id or node.node_id, "", number, span, source)
    kept = kept or SpanSet([span])
    passage = Passage(chunk, kept, scored.score or 0.0, parts or {})
    if SUMMARY_OF in node.metadata:
        return replace(passage, written=shown)
    if render(passage) == shown:
        return passage
    whole = Span(0, len(shown))  # somebody else changed the text: its place is not known
    changed = replace(chunk, span=whole, text=shown)
    return replace(passage, chunk=changed, kept=SpanSet([whole]))


def _place(node: BaseNode, source: str) -> Span:
    """Where the text stands in its document; in itself, where the node does not know."""
    start = (node.start_char_idx or 0) if isinstance(node, TextNode) else 0
    end = node.end_char_idx if isinstance(node, TextNode) else None
    known = end is None or end - start == len(source)  # else its text was replaced
    return Span(start, start + len(source)) if known else Span(0, len(source))


def renewed(nodes: Sequence[NodeWithScore], passage: Passage) -> NodeWithScore:
    """The node of a passage, with what is left of it."""
    scored = nodes[passage.chunk.ordinal]
    if SUMMARY_OF in scored.node.metadata:
        return scored
    node = scored.node.model_copy(deep=True)
    node.set_content(render(passage))
    added: dict[str, Any] = {KEPT_SPANS: _pairs(passage.kept), SOURCE_TEXT: passage.chunk.text}
    if passage.written:
        node.id_ = f"{node.node_id}-summary"  # what it does not say may follow, under the node's id
        added[SUMMARY_OF] = [
            {"node_id": nodes[each.chunk.ordinal].node.node_id, KEPT_SPANS: _pairs(each.kept)}
            for each in passage.sources
        ]
    for key, value in added.items():
        node.metadata[key] = value
        for hidden in (node.excluded_embed_metadata_keys, node.excluded_llm_metadata_keys):
            if key not in hidden:
                hidden.append(key)
    same = passage.score == (scored.score or 0.0)
    return NodeWithScore(node=node, score=scored.score if same else passage.score)


def _pairs(spans: SpanSet) -> list[list[int]]:
    return [[span.start, span.end] for span in spans]
