"""Cluster, select and prune what a LlamaIndex retriever returns, and see where it stands.

    python examples/llama_index_narrowing.py

Needs no network and no language model: the nodes are made here, the encoder is the bundled one.
"""

from __future__ import annotations

from llama_index.core.schema import NodeWithScore, TextNode

from rag.embedding.registry import load_embedder
from rag.integrations.llama_index import (
    KEPT_SPANS,
    ClusterPostprocessor,
    FrugalPromptPostprocessor,
    SelectPostprocessor,
)
from rag.settings import ClusteringSettings, EmbeddingSettings, PruningSettings, SelectionSettings

QUESTION = "Does the battery of the camera last all day?"
REVIEWS = {
    "ana": "It came in a blue box. The battery lasts about two days. The strap is too short.",
    "bo": "The battery lasts for about two days. I took it to the lake, and the lens fogged.",
    "cy": "A birthday gift for my aunt. The battery lasts around two days. She likes the colour.",
    "di": "The battery of mine lasts nine hours, since I film all day. The strap broke in May.",
}


def main() -> None:
    """Narrow four reviews for one question, one stage after the other, and print what is left."""
    nodes = [
        NodeWithScore(node=TextNode(text=text, id_=name, start_char_idx=0), score=0.5)
        for name, text in REVIEWS.items()
    ]
    embedder = load_embedder(EmbeddingSettings())  # one model for all three
    processors = (
        ClusterPostprocessor(
            ClusteringSettings(mode="extractive", share=1.0, min_redundancy=0.2), embedder
        ),
        SelectPostprocessor(SelectionSettings(recall_weight=1), embedder),
        FrugalPromptPostprocessor(PruningSettings(mode="on", retention=0.7), embedder),
    )
    for processor in processors:
        nodes = processor.postprocess_nodes(nodes, query_str=QUESTION)
        print(f"{processor.class_name()}:")
        for each in nodes:
            print(f"  {each.node.node_id} {each.score:.2f}: {each.node.get_content()}")
    print("Where it stands:")
    for each in nodes:
        for start, end in each.node.metadata[KEPT_SPANS]:
            print(f"  {each.node.node_id} {start}-{end}: {REVIEWS[each.node.node_id][start:end]!r}")


if __name__ == "__main__":
    main()
