"""The pruning stage among LlamaIndex's postprocessors."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from llama_index.core.schema import ImageNode, MetadataMode, NodeWithScore, TextNode

from rag.attribution import load_attributor
from rag.attribution.encoder import FrozenEncoder
from rag.embedding.registry import bundled_model
from rag.integrations.llama_index import KEPT_SPANS, FrugalPromptPostprocessor
from rag.pruning import FrugalPrompt
from rag.settings import PruningSettings
from rag.tokens import TokenCounter

TEXT = "Prelude. The bridge was built of oak by monks, and it did not fall in 1987."
START = 9
QUESTION = "Who built the bridge?"
EXAMPLES = Path(__file__).resolve().parents[4] / "examples"


@pytest.fixture(scope="module")
def processor(counter: TokenCounter) -> FrugalPromptPostprocessor:
    attributor = load_attributor("adjoint", FrozenEncoder(bundled_model()))
    settings = PruningSettings(mode="on", retention=0.5)
    return FrugalPromptPostprocessor(FrugalPrompt(attributor, settings, counter))


def node(**fields: object) -> NodeWithScore:
    made = TextNode(text=TEXT[START:], id_="n1", metadata={"file": "a.txt"}, **fields)
    return NodeWithScore(node=made, score=0.7)


def test_id_score_and_metadata_stay_and_spans_lead_to_the_document(
    processor: FrugalPromptPostprocessor,
) -> None:
    given = node(start_char_idx=START, end_char_idx=len(TEXT))
    (pruned,) = processor.postprocess_nodes([given], query_str=QUESTION)
    assert (pruned.node.node_id, pruned.score) == ("n1", 0.7)
    assert pruned.node.metadata["file"] == "a.txt"
    spans = pruned.node.metadata[KEPT_SPANS]
    words = [word for start, end in spans for word in TEXT[start:end].split()]
    assert words == pruned.node.get_content(MetadataMode.NONE).split()
    assert {"not", "1987."} <= set(words)
    assert len(words) < len(TEXT[START:].split())
    assert KEPT_SPANS not in pruned.node.get_content(MetadataMode.LLM)
    assert given.node.get_content() == TEXT[START:], "the node that went in was changed"


def test_without_a_place_spans_are_in_the_nodes_own_text(
    processor: FrugalPromptPostprocessor,
) -> None:
    (pruned,) = processor.postprocess_nodes([node()], query_str=QUESTION)
    own = TEXT[START:]
    spans = pruned.node.metadata[KEPT_SPANS]
    assert " ".join(own[start:end] for start, end in spans).split() == (
        pruned.node.get_content(MetadataMode.NONE).split()
    )


def test_what_holds_no_text_passes_unchanged(processor: FrugalPromptPostprocessor) -> None:
    empty = [NodeWithScore(node=TextNode(text=" ")), NodeWithScore(node=ImageNode(image="aGk="))]
    assert processor.postprocess_nodes(empty, query_str=QUESTION) == empty
    assert processor.postprocess_nodes([], query_str=QUESTION) == []


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "llama_index_pruning.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert printed.startswith("first 0.8: ")
    assert "412" in printed
