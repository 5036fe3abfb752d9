"""Ask a LlamaIndex retriever by way of a sticker of facts, and see whether two ways agree.

    rag models pull
    python examples/llama_index_sift.py

Needs no network: the nodes are made here, encoder and language model are the bundled ones. Any
other LlamaIndex `LLM` takes the model's place; one that chats needs no `few_shot`.
"""

from __future__ import annotations

from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from rag.generation.bundled import BundledLlm
from rag.integrations.llama_index import SelectPostprocessor, SiftQueryEngine
from rag.settings import GroundingSettings, SelectionSettings

QUESTION = "How long does the battery of the camera last?"
REVIEWS = {
    "ana": "It came in a blue box. The battery lasts about two days. The strap is too short.",
    "bo": "I took it to the lake, and the lens fogged. Bo at the shop was kind, and mended it.",
}


class Reviews(BaseRetriever):
    """Returns all reviews; yours would search."""

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [
            NodeWithScore(node=TextNode(text=text, id_=name, start_char_idx=0), score=0.5)
            for name, text in REVIEWS.items()
        ]


def main() -> None:
    """Answer one question in both ways, and print what each answer rests on."""
    llm = BundledLlm()
    for mode in ("extractive", "sift"):
        engine = SiftQueryEngine(
            Reviews(),
            llm,
            GroundingSettings(mode=mode),
            [SelectPostprocessor(SelectionSettings(recall_weight=1))],
            few_shot=True,
        )
        response = engine.query(QUESTION)
        told = response.metadata or {}
        print(f"{mode}: {response}")
        print(f"  agreed: {told['agreed']}, in stage {told['stage']}, {told['llm_calls']} calls")
        for fact in told["sticker"]["facts"]:
            places = [(at["node_id"], at["start"], at["end"]) for at in fact["evidence"]]
            print(f"  fact: {fact['text']} {places}")


if __name__ == "__main__":
    main()
