"""Questions by real models: the bundled one, and a real OpenAI-compatible server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eval.datasets import read_questions
from pipelines.evaluate import read_corpus
from pipelines.synthesize.corpus import open_corpus
from pipelines.synthesize.draft import Task
from pipelines.synthesize.model import ModelEngine
from pipelines.synthesize.run import Budget, Synthesis, synthesize
from pipelines.synthesize.windows import Windows
from rag.embedding.registry import bundled_tokenizer
from rag.generation import bundled, load_generator
from rag.generation.base import Writer
from rag.settings import GenerationSettings, Settings, SynthesisSettings
from rag.tokens import TokenCounter

pytestmark = pytest.mark.slow

MODELS = bundled.model_file().parent  # before a test moves the cache
DOCUMENTS = Path(__file__).parents[2] / "pipelines/demo/documents/biomedical"


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the engine over the sample abstracts; every reference is checked when it is read."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def run(generation: GenerationSettings, attempts: int) -> Synthesis:
        settings = SynthesisSettings(window=1_500)
        out = tmp_path / "q.jsonl"
        with open_corpus(Settings(), str(DOCUMENTS), None) as corpus:
            writer = load_generator(generation, corpus.index.embedder.counter, MODELS)
            assert isinstance(writer, Writer)
            engine = ModelEngine(writer, settings)
            report = synthesize(corpus, engine, settings, Budget(3, attempts), out)
            texts = {each.name: each.text for each in corpus.documents}
            assert len(read_questions(out, texts)) == len(report.lines)
        return report

    return run


@pytest.mark.skipif(not bundled.model_file().is_file(), reason="run `rag models pull`")
def test_the_bundled_model_asks_of_facts(made: Any) -> None:
    report = made(GenerationSettings(kind="bundled", max_tokens=32), 60)
    assert report.lines
    assert report.usage.calls >= report.attempts - report.rejected.get("nothing to ask", 0)
    assert report.usage.tokens > 0
    for line in report.lines:
        assert line["provenance"]["model"].startswith("SmolLM2")
        assert line["answer"] in line["references"][0]["text"]


def test_a_server_is_held_to_the_schema_and_asked_side_by_side(proxy: Any) -> None:
    settings = SynthesisSettings(window=1_500)
    generation = GenerationSettings(
        kind="server", url=proxy.base, model="smollm2", max_tokens=200, retries=0, concurrency=2
    )
    counter = TokenCounter.from_file(bundled_tokenizer(), "all-MiniLM-L6-v2")
    writer = load_generator(generation, counter)
    assert isinstance(writer, Writer)
    engine = ModelEngine(writer, settings, batch=2)
    windows = Windows(read_corpus(DOCUMENTS), settings.window, 0)
    made = engine.draft([Task(n, windows.at(n), settings.kinds[n], "") for n in range(2)])
    # What a model of 135 million parameters writes into the form is not worth a test.
    assert [each.task.number for each in made] == [0, 1]
    assert all(each.usage.calls == 1 and each.usage.tokens > 0 for each in made)
    assert proxy.most_open == 2
    assert len(proxy.requests) == 2
    for request in proxy.requests:
        form = request["response_format"]["json_schema"]["schema"]
        assert form["required"] == ["question", "answer", "excerpts"]
        assert form["properties"]["excerpts"]["maxItems"] == settings.max_references
        assert "Ask " in request["messages"][1]["content"]
