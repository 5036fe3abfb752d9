"""Whose code a model's folder may have run: nobody's but sentence-transformers' and ours."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import pytest
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Module

from rag.embedding.dense import SentenceTransformerEmbedder
from rag.embedding.modules import OURS
from rag.embedding.pooling import with_pooling
from rag.errors import ModelError


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    """A model with a module of ours, so that the way is taken on which ours are allowed."""
    model = with_pooling(SentenceTransformer(str(tiny_model), device="cpu"), "latent")
    model.save_pretrained(str(tmp_path / "model"), create_model_card=False)
    return tmp_path / "model"


def rewrite(folder: Path, **changes: str) -> None:
    """Change the last module of a folder."""
    file = folder / "modules.json"
    modules = json.loads(file.read_text())
    modules[-1] |= changes
    file.write_text(json.dumps(modules))


def refused(folder: Path, match: str) -> None:
    with pytest.raises(ModelError, match=match) as caught:
        SentenceTransformerEmbedder(folder, device="cpu").load()
    assert caught.value.hint


@pytest.mark.parametrize("name", sorted(OURS))
def test_what_is_allowed_is_there(name: str) -> None:
    module, _, kind = name.rpartition(".")
    found = getattr(import_module(module), kind)
    assert issubclass(found, Module)
    assert f"{found.__module__}.{found.__name__}" == name  # as it is written into a folder


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "modeling.Loud",
        "rag.embedding.pooling.nn",
        "rag.embedding.pooling.with_pooling",
        "rag.embedding.dense.SentenceTransformerEmbedder",
        "sentence_transformersevil.Module",
    ],
)
def test_any_other_class_is_refused_and_nothing_is_run(
    folder: Path, tmp_path: Path, name: str
) -> None:
    run = tmp_path / "run"
    (folder / "modeling.py").write_text(f"open({str(run)!r}, 'w').close()\nclass Loud: pass\n")
    rewrite(folder, type=name)
    refused(folder, f"names the class {name}, neither")
    assert not run.exists()


@pytest.mark.parametrize(
    "name", ["sentence_transformers.nothing.X", "sentence_transformers.util.y"]
)
def test_a_class_that_the_library_does_not_have_is_a_model_error(folder: Path, name: str) -> None:
    modules = json.loads((folder / "modules.json").read_text())
    modules.append({"idx": 2, "name": "2", "path": "2_X", "type": name})
    (folder / "modules.json").write_text(json.dumps(modules))
    refused(folder, "cannot load")


def test_a_module_outside_the_folder_is_refused(folder: Path) -> None:
    rewrite(folder, path="../elsewhere")
    refused(folder, "cannot load")


def test_code_named_in_the_configuration_is_not_run(folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    (folder / "modeling.py").write_text(f"open({str(run)!r}, 'w').close()\nclass Loud: pass\n")
    file = folder / "config.json"
    named = {"auto_map": {"AutoConfig": "modeling.Loud", "AutoModel": "modeling.Loud"}}
    file.write_text(json.dumps(json.loads(file.read_text()) | {"model_type": "loud"} | named))
    refused(folder, "cannot load")
    assert not run.exists()


def test_weights_that_are_a_pickle_run_nothing(folder: Path, tmp_path: Path) -> None:
    import os
    import pickle

    class Loud:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "run"),)

    head = folder / "1_LatentAttentionPooling"
    (head / "model.safetensors").unlink()
    (head / "pytorch_model.bin").write_bytes(pickle.dumps(Loud()))
    refused(folder, "cannot load")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("text", ["[", "{}", "[1]", '[{"path": ""}]'])
def test_a_list_of_modules_that_is_none_is_a_model_error(folder: Path, text: str) -> None:
    (folder / "modules.json").write_text(text)
    refused(folder, "cannot load")
