"""Questions by real models: the bundled one, and a real OpenAI-compatible server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eval.datasets import read_questions
from pipelines.synthesize.corpus import open_corpus
from pipelines.synthesize.model import ModelEngine
from pipelines.synthesize.run import Budget, Synthesis, synthesize
from rag.generation import bundled, load_generator
from rag.generation.base import Writer
from rag.settings import GenerationSettings, Settings, SynthesisSettings

pytestmark = pytest.mark.slow

MODELS = bundled.model_file().parent  # before a test moves the cache
DOCUMENTS = Path(__file__).parents[2] / "pipelines/demo/documents/biomedical"


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the engine over the sample abstracts; every reference is checked when it is read."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def run(generation: GenerationSettings, attempts: int, batch: int = 1) -> Synthesis:
        settings = SynthesisSettings(window=1_500)
        out = tmp_path / "q.jsonl"
        with open_corpus(Settings(), str(DOCUMENTS), None) as corpus:
            writer = load_generator(generation, corpus.index.embedder.counter, MODELS)
            assert isinstance(writer, Writer)
            engine = ModelEngine(writer, settings, batch)
            report = synthesize(corpus, engine, settings, Budget(3, attempts), out)
            if report.lines:
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


def test_a_server_is_held_to_the_schema_and_asked_side_by_side(made: Any, proxy: Any) -> None:
    report = made(
        GenerationSettings(
            kind="server", url=proxy.base, model="smollm2", max_tokens=200, retries=0
        ),
        4,
        batch=2,
    )
    assert report.attempts == 4
    # A model of 135 million parameters writes the form, and little that is true in it.
    assert "malformed" not in report.rejected
    assert proxy.most_open == 2
    asked = [each for each in proxy.requests if "response_format" in each]
    assert len(asked) >= 4
    for request in asked:
        form = request["response_format"]["json_schema"]["schema"]
        assert form["required"] == ["question", "answer", "excerpts"]
        assert "Ask " in request["messages"][1]["content"]
