"""SIFT as a query engine: what a LlamaIndex user asks, and where its facts stand."""

from __future__ import annotations

import asyncio
import json
import runpy
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    CompletionResponseGen,
    LLMMetadata,
    MessageRole,
)
from llama_index.core.llms import CustomLLM
from llama_index.core.schema import NodeRelationship, NodeWithScore, RelatedNodeInfo, TextNode

from rag.errors import ModelError
from rag.generation.bundled import model_file
from rag.integrations.llama_index import SelectPostprocessor, SiftQueryEngine
from rag.settings import GroundingSettings, SelectionSettings

DOCUMENT = (
    "A foreword. The harbour office recorded 412 arrivals in May, 38 more than in April. "
    "Most of them carried timber from the north."
)
START = 12
QUESTION = "How many arrivals were recorded in May?"
STICKER = json.dumps(
    {
        "facts": [
            {"text": "412 arrivals were recorded in May.", "quote": "412 arrivals in May"},
            {"text": "999 ships sank.", "quote": "999 ships sank", "source": 1},
        ],
        "question": "How many?",
    }
)


class Chatting(CustomLLM):
    """Writes stickers where it is asked for them, else answers."""

    answer: str = "412 arrivals [S1]."
    failure: Any = None

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(context_window=4096, model_name="chatting", is_chat_model=True)

    def chat(self, messages: list[ChatMessage], **kwargs: Any) -> ChatResponse:
        if self.failure:
            raise self.failure
        asks = "Answer in JSON" in (messages[-1].content or "")
        said = ChatMessage(STICKER if asks else self.answer, role=MessageRole.ASSISTANT)
        return ChatResponse(message=said)

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        raise NotImplementedError

    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        raise NotImplementedError


class Fixed(BaseRetriever):
    """Finds one node, and one without text."""

    def _retrieve(self, query_bundle: Any) -> list[NodeWithScore]:
        node = TextNode(
            text=DOCUMENT[START:],
            id_="node",
            start_char_idx=START,
            end_char_idx=len(DOCUMENT),
            relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id="port.txt")},
        )
        return [NodeWithScore(node=TextNode(text=" ")), NodeWithScore(node=node, score=0.7)]


def test_the_answer_its_sticker_and_where_both_stand() -> None:
    response = SiftQueryEngine(Fixed(), Chatting()).query(QUESTION)
    assert str(response) == "412 arrivals [1]."
    assert [each.node.node_id for each in response.source_nodes] == ["node"]
    found = response.metadata
    assert found is not None
    assert (found["agreed"], found["stage"], found["llm_calls"]) == (True, "sticker", 3)
    assert found["unsupported"] == []
    assert found["sticker"]["dropped"] == 1
    (fact,) = found["sticker"]["facts"]
    for each in (*fact["evidence"], *found["citations"]):
        assert (each["node_id"], each["document_id"]) == ("node", "port.txt")
        assert each["quote"] == DOCUMENT[each["start"] : each["end"]]
        assert "412 arrivals" in each["quote"]


def test_what_no_quote_holds_is_named() -> None:
    found = SiftQueryEngine(Fixed(), Chatting(answer="413 arrivals in May [S1].")).query(QUESTION)
    assert found.metadata is not None
    assert found.metadata["unsupported"] == ["413"]


def test_postprocessors_narrow_first_and_an_extractive_sticker_takes_two_calls() -> None:
    engine = SiftQueryEngine(
        Fixed(),
        Chatting(),
        GroundingSettings(mode="extractive"),
        [SelectPostprocessor(SelectionSettings(recall_weight=0.1))],
    )
    response = asyncio.run(engine.aquery(QUESTION))
    assert response.metadata is not None
    assert response.metadata["llm_calls"] == 2
    texts = [each.node.get_content() for each in response.source_nodes]
    assert texts == ["The harbour office recorded 412 arrivals in May, 38 more than in April."]


def test_a_model_that_does_not_answer_is_a_model_error() -> None:
    with pytest.raises(ModelError, match="chatting did not answer: RuntimeError: gone"):
        SiftQueryEngine(Fixed(), Chatting(failure=RuntimeError("gone"))).query(QUESTION)


def test_nothing_agreed_may_be_no_answer() -> None:
    class Wavering(Chatting):
        def chat(self, messages: list[ChatMessage], **kwargs: Any) -> ChatResponse:
            text = messages[-1].content or ""
            if "<source" not in text and "JSON" not in text:
                return ChatResponse(message=ChatMessage("13", role=MessageRole.ASSISTANT))
            return super().chat(messages, **kwargs)

    settings = GroundingSettings(mode="sift", fallback="abstain")
    response = SiftQueryEngine(Fixed(), Wavering(), settings).query(QUESTION)
    assert "never agreed" in str(response)
    assert response.metadata is not None
    assert response.metadata["agreed"] is False


@pytest.mark.skipif(not model_file().is_file(), reason="no bundled model: run `rag models pull`")
def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    example = Path(__file__).resolve().parents[4] / "examples" / "llama_index_sift.py"
    runpy.run_path(str(example), run_name="__main__")
    printed = capsys.readouterr().out
    for mode in ("extractive: ", "sift: "):
        assert f"{mode}The battery lasts about two days. [1]\n  agreed: True" in printed
    assert "fact: The battery lasts about two days. [('ana', 23, 56)]" in printed
