from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

import rag

ROOT = Path(rag.__file__).parent
MODULES = sorted(
    ".".join(("rag", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
    for path in ROOT.rglob("*.py")
)
HEAVY = ("torch", "sentence_transformers", "transformers", "llama_index", "qdrant_client")


def loaded_after(code: str) -> set[str]:
    """The heavy libraries a fresh interpreter holds after `code`."""
    report = f"import sys; {code}; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", report], check=True, capture_output=True, text=True, cwd=ROOT.parent
    )
    return set(done.stdout.split())


def public_definitions(module: str) -> set[str]:
    """The classes and functions without an underscore that the module itself defines."""
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    defined = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in tree.body if isinstance(node, defined) and node.name[0] != "_"}


@pytest.mark.parametrize("name", rag.__all__)
def test_every_public_name_is_importable(name: str) -> None:
    assert getattr(rag, name).__name__ == name


def test_nothing_else_is_public() -> None:
    assert sorted(rag._HOMES) == sorted(rag.__all__) == rag.__all__
    with pytest.raises(AttributeError, match="no attribute 'Spam'"):
        _ = rag.Spam
    with pytest.raises(ImportError):
        exec("from rag import Spam", {})


def test_a_star_import_brings_exactly_the_public_names() -> None:
    names: dict[str, object] = {}
    exec("from rag import *", names)
    assert sorted(set(names) - {"__builtins__"}) == rag.__all__


def test_importing_rag_loads_no_heavy_library() -> None:
    assert loaded_after("import rag") == set()


def test_using_every_public_name_loads_no_heavy_library() -> None:
    assert loaded_after("from rag import *") == set()


def test_knowing_the_bundled_tokenizer_loads_no_heavy_library() -> None:
    code = "from rag.embedding.registry import bundled_tokenizer as t; import rag.chunking; t()"
    assert loaded_after(code) == set()


@pytest.mark.parametrize("module", MODULES)
def test_what_a_module_exports_is_there_and_what_it_defines_is_exported(module: str) -> None:
    loaded = import_module(module)
    if not hasattr(loaded, "__all__"):
        assert public_definitions(module) == set()
        return
    assert [name for name in loaded.__all__ if not hasattr(loaded, name)] == []
    if module != "rag":
        assert public_definitions(module) - set(loaded.__all__) == set()
