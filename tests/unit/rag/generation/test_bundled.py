from __future__ import annotations

from pathlib import Path

import pytest

from rag.errors import ModelError
from rag.generation.bundled import BundledLlm, model_file


def test_the_model_file_is_in_the_folder_or_in_the_users_cache(tmp_path: Path) -> None:
    assert model_file(tmp_path).parent == tmp_path
    assert model_file(tmp_path).suffix == ".gguf"
    assert "spanrag" in model_file().parts
    assert model_file().name == model_file(tmp_path).name


def test_a_model_that_was_not_pulled_is_a_model_error_that_says_how(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=str(tmp_path)) as caught:
        BundledLlm(folder=tmp_path).complete("Hello")
    assert caught.value.hint == "run `rag models pull`"


def test_it_tells_llama_index_what_it_can_take(tmp_path: Path) -> None:
    metadata = BundledLlm(folder=tmp_path, context_window=2048, max_tokens=99).metadata
    assert (metadata.context_window, metadata.num_output) == (2048, 99)
    assert metadata.model_name == "SmolLM2-135M-Instruct"
