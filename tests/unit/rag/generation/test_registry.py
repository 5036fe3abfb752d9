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


def test_the_bundled_model_is_not_loaded_before_it_is_asked(
    counter: TokenCounter, tmp_path: Path
) -> None:
    generator = load_generator(GenerationSettings(kind="bundled"), counter, tmp_path)
    assert isinstance(generator, LlmGenerator)
    assert generator.name == "SmolLM2-135M-Instruct"


def test_a_server_is_not_asked_before_a_question_is(counter: TokenCounter) -> None:
    settings = GenerationSettings(kind="server", url="http://127.0.0.1:9/v1", model="some/model")
    assert load_generator(settings, counter).name == "some/model"


def test_a_local_model_that_is_not_there_is_a_model_error(
    counter: TokenCounter, tmp_path: Path
) -> None:
    settings = GenerationSettings(kind="local", model=str(tmp_path / "nowhere"), device="cpu")
    with pytest.raises(ModelError, match="nowhere") as caught:
        load_generator(settings, counter)
    assert "generation.model" in caught.value.hint
