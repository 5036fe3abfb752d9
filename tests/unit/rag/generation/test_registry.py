from __future__ import annotations

from pathlib import Path

import pytest

from rag.errors import ModelError
from rag.generation import ExtractiveGenerator, load_generator
from rag.generation.llm import LlmGenerator
from rag.settings import GenerationSettings
from rag.tokens import TokenCounter


def test_the_default_needs_no_model(counter: TokenCounter) -> None:
    generator = load_generator(GenerationSettings(), counter)
    assert isinstance(generator, ExtractiveGenerator)
    assert generator.name == "extractive"


def test_a_bundled_model_that_was_not_pulled_is_refused_before_any_question(
    counter: TokenCounter, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=str(tmp_path)) as caught:
        load_generator(GenerationSettings(kind="bundled"), counter, tmp_path)
    assert caught.value.hint == "run `rag models pull`"


def test_a_server_is_not_asked_before_a_question_is(counter: TokenCounter) -> None:
    settings = GenerationSettings(kind="server", url="http://127.0.0.1:9/v1", model="some/model")
    generator = load_generator(settings, counter)
    assert isinstance(generator, LlmGenerator)
    assert generator.name == "some/model"


def test_a_local_model_that_is_not_there_is_a_model_error(
    counter: TokenCounter, tmp_path: Path
) -> None:
    settings = GenerationSettings(kind="local", model=str(tmp_path / "nowhere"), device="cpu")
    with pytest.raises(ModelError, match="nowhere") as caught:
        load_generator(settings, counter)
    assert "generation.model" in caught.value.hint
