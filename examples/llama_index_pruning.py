"""Prune what a LlamaIndex retriever returns, and see where every kept word stands.

    python examples/llama_index_pruning.py

Needs no network and no language model: the nodes are made here, the encoder is the bundled one.
"""

from __future__ import annotations

from llama_index.core.schema import NodeWithScore, TextNode

from rag.attribution import load_attributor
from rag.attribution.encoder import FrozenEncoder
from rag.embedding.registry import bundled_model, bundled_tokenizer
from rag.integrations.llama_index import KEPT_SPANS, FrugalPromptPostprocessor
from rag.pruning import FrugalPrompt
from rag.settings import PruningSettings
from rag.tokens import TokenCounter

DOCUMENT = (
    "The harbour office keeps its records in a brick building near the old fish market. "
    "It counted 412 arrivals in May, 38 more than in April, although two cranes did not work. "
    "Most of the ships carried timber from the northern forests to the paper mills."
)


def main() -> None:
    """Prune two nodes for one question and print what is left."""
    stage = FrugalPrompt(
        load_attributor("adjoint", FrozenEncoder(bundled_model())),
        PruningSettings(mode="on", retention=0.6),
        TokenCounter.from_file(bundled_tokenizer()),
    )
    cut = DOCUMENT.index("Most")
    nodes = [
        NodeWithScore(node=TextNode(text=DOCUMENT[:cut], id_="first", start_char_idx=0), score=0.8),
        NodeWithScore(
            node=TextNode(text=DOCUMENT[cut:], id_="second", start_char_idx=cut), score=0.6
        ),
    ]
    pruned = FrugalPromptPostprocessor(stage).postprocess_nodes(
        nodes, query_str="Who keeps records of the ships?"
    )
    for each in pruned:
        print(f"{each.node.node_id} {each.score}: {each.node.get_content()}")
        for start, end in each.node.metadata[KEPT_SPANS]:
            print(f"    {start}-{end}: {DOCUMENT[start:end]!r}")


if __name__ == "__main__":
    main()
