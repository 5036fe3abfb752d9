from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from connectors.files import FilesConnector
from connectors.jsonl import JsonlConnector
from connectors.registry import _SCHEMES, open_source, schemes
from rag.errors import UsageError


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("docs", FilesConnector),
        ("docs/**/*.md", FilesConnector),
        ("file:docs", FilesConnector),
        ("file:///docs", FilesConnector),
        ("notes: may.txt", FilesConnector),
        ("C:\\docs", FilesConnector),
        ("C:/docs#a=b", FilesConnector),
        ("docs#a=b/rows.jsonl", JsonlConnector),
        ("./s3:notes.txt", FilesConnector),
        ("2s:notes.txt", FilesConnector),
        ("rows.jsonl", JsonlConnector),
        ("ROWS.JSONL", JsonlConnector),
        ("jsonl:rows.txt", JsonlConnector),
        ("JSONL:///data/rows", JsonlConnector),
    ],
)
def test_the_source_says_which_connector(source: str, kind: type) -> None:
    assert type(open_source(source)) is kind


@pytest.mark.parametrize("scheme", [*_SCHEMES])
def test_every_scheme_has_its_opener(scheme: str) -> None:
    module, name = _SCHEMES[scheme].split(":")
    assert callable(getattr(import_module(module), name))


def test_the_schemes_are_named_once_each() -> None:
    assert len(schemes()) == len(set(schemes()))
    assert schemes()[:2] == ["file", "jsonl"]
    assert set(_SCHEMES) <= set(schemes())


def test_what_opens_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.txt"
    path.write_text(json.dumps({"id": 1, "text": "x"}))
    assert open_source(f"jsonl:{path}").namespace == f"jsonl:{path}"
    assert open_source(f"jsonl://{path}").namespace == f"jsonl:{path}"
    (ref,) = open_source(f"file://{path}").list()
    assert ref.key == str(path)


def test_ignore_patterns_reach_the_files(tree: Callable[..., Path]) -> None:
    folder = tree(**{"a.txt": "a", "b.txt": "b"})
    assert [ref.name for ref in open_source(str(folder), ["b*"]).list()] == ["a.txt"]


@pytest.mark.parametrize("source", ["gopher://host/key", "x-y.z+1_2://a"])
def test_an_unknown_scheme_names_what_there_is(source: str) -> None:
    with pytest.raises(UsageError, match=r"no connector reads [\w.+-]+:// .*file:, jsonl:"):
        open_source(source)


@pytest.mark.parametrize("source", ["", "  "])
def test_an_empty_source_is_refused(source: str) -> None:
    with pytest.raises(UsageError, match=r"^empty source"):
        open_source(source)
