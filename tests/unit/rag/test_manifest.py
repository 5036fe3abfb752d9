from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest

from rag.errors import IndexMismatch
from rag.manifest import SCHEMA, IndexManifest

BUILT = IndexManifest(
    embedder="MiniLM:1a2b:torch:float32",
    dimension=384,
    lexical="bm25:english",
    chunker="sentences:MiniLM:200/0",
    header_tokens=32,
)
CHANGES: dict[str, Any] = {
    "embedder": "MiniLM:1a2b:torch:bfloat16",
    "dimension": 768,
    "lexical": "bm25:german",
    "chunker": "tokens:MiniLM:100/10",
    "header_tokens": 0,
    "schema": SCHEMA + 1,
}


def test_a_manifest_survives_the_way_through_json() -> None:
    assert IndexManifest.from_payload(json.loads(json.dumps(BUILT.to_payload()))) == BUILT


def test_the_same_settings_are_let_in() -> None:
    assert BUILT.require(replace(BUILT)) is None


def test_every_field_of_a_manifest_is_compared() -> None:
    assert set(CHANGES) == {field.name for field in fields(IndexManifest)}


@pytest.mark.parametrize("key", CHANGES)
def test_one_difference_is_named_with_both_sides(key: str) -> None:
    with pytest.raises(IndexMismatch) as caught:
        BUILT.require(replace(BUILT, **{key: CHANGES[key]}))
    assert f"{key}: index has {getattr(BUILT, key)}, settings say {CHANGES[key]}" in str(
        caught.value
    )
    others = set(CHANGES) - {key}
    assert not [other for other in others if f"{other}:" in caught.value.message]
    assert "--where" in caught.value.hint
    assert '--profile NAME, or profile = "NAME" in rag.toml' in caught.value.hint
    assert "\n" not in caught.value.hint


def test_all_differences_are_named_at_once() -> None:
    with pytest.raises(IndexMismatch) as caught:
        BUILT.require(replace(BUILT, **CHANGES))
    for key, value in CHANGES.items():
        assert f"{key}: index has {getattr(BUILT, key)}, settings say {value}" in str(caught.value)


@pytest.mark.parametrize("schema", [SCHEMA + 1, None, "1"])
def test_an_index_of_another_schema_is_refused_with_both_numbers(schema: Any) -> None:
    with pytest.raises(IndexMismatch, match=f"schema {schema}, this version reads {SCHEMA}"):
        IndexManifest.from_payload({**BUILT.to_payload(), "schema": schema})


def test_a_manifest_of_a_newer_schema_is_refused_before_its_fields_are_read() -> None:
    with pytest.raises(IndexMismatch, match="schema 99"):
        IndexManifest.from_payload({"schema": 99, "reranker": "new in 99"})
