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
RECORD = {"kind": "sentence_transformers", "model": "/models/adapted"}


def test_a_manifest_survives_the_way_through_json() -> None:
    assert IndexManifest.from_payload(json.loads(json.dumps(BUILT.to_payload()))) == BUILT


def test_the_same_settings_are_let_in() -> None:
    assert BUILT.require(replace(BUILT)) is None


def test_every_field_of_a_manifest_is_compared_but_where_the_model_is() -> None:
    assert {*CHANGES, "model"} == {field.name for field in fields(IndexManifest)}
    assert BUILT.require(replace(BUILT, model=RECORD)) is None


def test_a_record_of_the_model_survives_json_and_none_is_written_as_it_always_was() -> None:
    recorded = replace(BUILT, model=RECORD)
    assert IndexManifest.from_payload(json.loads(json.dumps(recorded.to_payload()))) == recorded
    assert BUILT.to_payload().keys() == CHANGES.keys()


DIGESTED = replace(
    BUILT, embedder="adapted:0f1e2d3c:torch:float32", chunker="sentences:adapted:200/0"
)


@pytest.mark.parametrize("name", ["moved", "/from/the/root/adapted", "odd:name", "MiniLM"])
def test_a_model_of_the_same_files_is_the_same_under_any_name(name: str) -> None:
    embedder = f"{name}:0f1e2d3c:torch:float32"
    assert DIGESTED.embedded_by(embedder)
    same = replace(DIGESTED, embedder=embedder, chunker=f"sentences:{name}:200/0")
    assert DIGESTED.require(same) is None
    with pytest.raises(IndexMismatch, match="chunker"):
        DIGESTED.require(replace(same, chunker=f"sentences:{name}:100/0"))


@pytest.mark.parametrize(
    "embedder",
    ["adapted:0f1e2d3d:torch:float32", "adapted:0f1e2d3c:torch:bfloat16", "module:Class:0f1e2d3c"],
)
def test_other_files_or_another_precision_are_another_embedder(embedder: str) -> None:
    assert not DIGESTED.embedded_by(embedder)
    with pytest.raises(IndexMismatch, match="embedder: index has"):
        DIGESTED.require(replace(DIGESTED, embedder=embedder))


def test_a_class_of_another_module_is_another_embedder() -> None:
    assert not replace(BUILT, embedder="one:Class:0f1e2d3c").embedded_by("other:Class:0f1e2d3c")


def test_another_embedder_may_take_the_chunks_as_they_are_cut_and_nothing_else_may_change() -> None:
    other = replace(
        BUILT, embedder="E5:f00d", dimension=768, chunker="sentences:E5:200/0", model=RECORD
    )
    assert BUILT.require_same_cuts(other) is None
    for change in (
        {"chunker": "sentences:E5:100/0"},
        {"chunker": "tokens:E5:200/0"},
        {"lexical": "bm25:german"},
        {"header_tokens": 0},
    ):
        with pytest.raises(IndexMismatch, match=f"{next(iter(change))}: index has") as caught:
            BUILT.require_same_cuts(replace(other, **change))
        assert caught.value.message.count("settings say") == 1
        assert "ingest anew" in caught.value.hint


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
