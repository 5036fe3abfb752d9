"""Ids and digests: equal for equal things, different for different ones."""

from __future__ import annotations

import json
import subprocess
import sys
from uuid import UUID

from hypothesis import example, given
from hypothesis import strategies as st

from rag.ids import chunk_id, digest, document_id, reserved_id

# Lone surrogates among them: broken input that survived decoding.
texts = st.text(alphabet=st.characters(exclude_categories=()), max_size=12)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
few = st.text(alphabet="ab:/\n", max_size=5)


@given(texts, texts)
@example("\ud83d\ude00", "\U0001f600")  # a pair of halves is two code points, the emoji is one
@example("\ud83d", "\ude00")
def test_texts_have_one_digest_exactly_where_they_are_equal(one: str, other: str) -> None:
    assert (digest(one) == digest(other)) == (one == other)


@given(values)
def test_a_digest_survives_the_way_through_json(value: object) -> None:
    assert digest(json.loads(json.dumps(value))) == digest(value)


@given(st.dictionaries(texts, scalars, max_size=6))
def test_the_order_of_keys_does_not_matter(value: dict[str, object]) -> None:
    assert digest(dict(reversed(value.items()))) == digest(value)


@given(values)
def test_a_digest_is_128_bits_of_hex(value: object) -> None:
    assert len(digest(value)) == 32
    assert int(digest(value), 16) >= 0


@given(st.lists(texts, min_size=2, max_size=4))
def test_where_one_text_ends_and_the_next_begins_matters(parts: list[str]) -> None:
    joined = [parts[0] + parts[1], *parts[2:]]
    assert digest(joined) != digest(parts)


@given(few, few, few, few)
@example("a", "b\nc", "a\nb", "c")
def test_documents_have_one_id_exactly_where_namespace_and_key_are_equal(
    namespace: str, key: str, other_namespace: str, other_key: str
) -> None:
    same = (namespace, key) == (other_namespace, other_key)
    assert (document_id(namespace, key) == document_id(other_namespace, other_key)) == same


@given(texts, texts)
@example("file", "/docs/caf\udce9.txt")  # a file name that is not UTF-8, as Python has it
def test_every_document_has_an_id(namespace: str, key: str) -> None:
    assert UUID(document_id(namespace, key)).version == 5


@given(st.integers(0, 50), st.integers(0, 50))
def test_chunks_have_one_id_exactly_where_their_ordinals_are_equal(one: int, other: int) -> None:
    doc = document_id("file", "/a.txt")
    assert (chunk_id(doc, "r", one) == chunk_id(doc, "r", other)) == (one == other)


def test_ids_of_different_kinds_never_meet() -> None:
    doc = document_id("file", "/a.txt")
    ids = {doc, chunk_id(doc, "r", 0), chunk_id(doc, "s", 0), reserved_id("manifest")}
    assert len(ids) == 4


def test_ids_and_digests_are_the_same_in_another_process() -> None:
    code = (
        "from rag.ids import *; "
        "print(document_id('file', '/a'), chunk_id('d', 'r', 3), digest({'b': 1, 'a': [2, 'x']}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONHASHSEED": "7", "PYTHONPATH": ":".join(sys.path)},
    )
    assert done.stdout.split() == [
        document_id("file", "/a"),
        chunk_id("d", "r", 3),
        digest({"a": [2, "x"], "b": 1}),
    ]
