"""A local model on a GPU. The same model on the CPU is tested in tests/e2e."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.errors import ModelError
from rag.generation import Generator, load_generator
from rag.settings import GenerationSettings
from rag.spans import Span, SpanSet
from rag.tokens import TokenCounter
from rag.types import Chunk, Context, Passage

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no CUDA device on this machine"
)

QUESTION = "What did the harbour office record?"
TEXT = "The harbour office recorded 412 arrivals in May, 38 more than in April."


def load(folder: Path, counter: TokenCounter, **changed: object) -> Generator:
    chosen = {"kind": "local", "model": str(folder), "context_window": 2048, "max_tokens": 12}
    return load_generator(GenerationSettings(**{**chosen, **changed}), counter)


def given() -> Context:
    chunk = Chunk("d", "r", 0, Span(0, len(TEXT)), TEXT, name="a.txt")
    return Context((Passage(chunk, SpanSet([chunk.span])),))


@pytest.mark.parametrize("device", ["auto", "cuda", "cuda:0"])
def test_a_local_model_answers_on_the_gpu(
    tiny_llama: Path, counter: TokenCounter, device: str
) -> None:
    generator = load(tiny_llama, counter, device=device)
    model = generator._llm._model
    assert (model.device.type, model.dtype) == ("cuda", torch.bfloat16)
    written = generator.generate(QUESTION, given())
    assert (written.llm_calls, written.degraded) == (1, "")
    assert written.llm_tokens > counter.count(TEXT)
    assert written.text == generator.generate(QUESTION, given()).text


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_it_is_loaded_in_the_precision_of_the_settings(
    tiny_llama: Path, counter: TokenCounter, precision: str
) -> None:
    generator = load(tiny_llama, counter, device="cuda", precision=precision)
    assert generator._llm._model.dtype == getattr(torch, precision)
    assert generator.generate(QUESTION, given()).llm_tokens > 0


def test_the_settings_may_keep_it_on_the_cpu(tiny_llama: Path, counter: TokenCounter) -> None:
    generator = load(tiny_llama, counter, device="cpu")
    model = generator._llm._model
    assert (model.device.type, model.dtype) == ("cpu", torch.float32)
    assert generator.generate(QUESTION, given()).llm_tokens > 0


def test_a_gpu_that_is_not_there_is_a_model_error(tiny_llama: Path, counter: TokenCounter) -> None:
    with pytest.raises(ModelError, match="cuda:99"):
        load(tiny_llama, counter, device="cuda:99")
