"""`rag serve`: bodies that are meant to break whoever reads them."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

sys.path.insert(0, str(Path(__file__).parent))
from serving import client, finished, serving
from tenants import indexed

from pipelines.serve.documents import PostIngest
from pipelines.serve.schemas import PostChat, PostQuery, PostSearch


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    where = indexed(tmp_path_factory.mktemp("bodies") / "index")
    with serving(where, requests_per_minute=0) as address:
        yield address


@pytest.fixture(autouse=True)
def _still_there(base: str) -> Iterator[None]:
    yield
    with client(base) as asking:
        assert asking.get("/readyz").is_success


DEEP = 100_000
HUGE = ["a=" + "9" * 490, "a<-1e308", "a=" + "9" * 25, "a>9999-12-31", "a<0001-01-01"]
BODIES: dict[str, tuple[bytes, set[int]]] = {
    "nothing": (b"", {422}),
    "deep lists": (b"[" * DEEP, {400, 422}),
    "deep lists, closed": (b"[" * DEEP + b"]" * DEEP, {400, 422}),
    "a deep object": (b'{"a":' * DEEP + b"1" + b"}" * DEEP, {400, 422}),
    "a deep question": (b'{"question":' + b"[" * 900 + b"]" * 900 + b"}", {422}),
    "deep options": (
        b'{"question":"x","options":' + b'{"budget":' * 400 + b"1}" + b"}" * 400, {422},
    ),
    "a key twice": (b'{"question":"x","question":"y","top_k":200,"top_k":1}', {200}),
    "no number": (b'{"question":"x","top_k":NaN}', {400, 422}),
    "no number of recall": (b'{"question":"x","options":{"target_recall":NaN}}', {400, 422}),
    "infinitely many": (b'{"question":"x","top_k":Infinity}', {400, 422}),
    "1e999": (b'{"question":"x","top_k":1e999}', {400, 422}),
    "a number of 5,000 digits": (b'{"question":"x","top_k":' + b"9" * 5_000 + b"}", {400, 422}),
    "a number of 500,000 digits": (b'{"question":"x","top_k":' + b"9" * 500_000 + b"}", {400, 422}),
    "a fraction": (b'{"question":"x","top_k":1.5}', {422}),
    "invalid UTF-8": (b'{"question":"\xff\xfe"}', {400}),
    "half a character": (b'{"question":"\xf0\x9f"}', {400}),
    "UTF-16": ('{"question":"x"}'.encode("utf-16"), {200, 400}),  # RFC 4627 had it
    "a BOM": (b'\xef\xbb\xbf{"question":"x"}', {200, 400}),
    "a lone surrogate": (b'{"question":"\\ud800 how many?"}', {200, 400, 422}),
    "control characters": (b'{"question":"how\\u0000many\\u001b[31m\\u202e?"}', {200, 422}),
    "a raw NUL": (b'{"question":"a\x00b"}', {400, 422}),
    "more after the end": (b'{"question":"x"}{"question":"y"}', {400, 422}),
    "a list": (b'[{"question":"x"}]', {422}),
    "a word": (b'"question"', {422}),
    "null": (b"null", {422}),
    "100,000 filters": (
        json.dumps({"question": "x", "filters": ["a=b"] * 100_000}).encode(), {422},
    ),
    "a filter that goes far back": (
        json.dumps({"question": "x", "filters": ["a" * 250 + " " * 240]}).encode(), {400},
    ),
    "filters with huge numbers": (
        json.dumps({"question": "x", "filters": HUGE}).encode(), {200},
    ),
    "filters without a number": (b'{"question":"x","filters":["a>1e999"]}', {400}),
    "50,000 unknown fields": (
        json.dumps({"question": "x"} | {f"f{n}": n for n in range(50_000)}).encode(), {422},
    ),
    "a name of its own": (b'{"question":"x","__proto__":{"a":1},"__class__":"x"}', {422}),
    "a form": (b"question=x", {400, 422}),
    "XML": (b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', {400, 422}),
    "YAML": (b"!!python/object/apply:os.system ['id']", {400, 422}),
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_an_odd_body_is_refused_or_answered(base: str, name: str) -> None:
    body, expected = BODIES[name]
    for path in ("/v1/search", "/v1/query"):
        with client(base) as asking:
            answer = asking.post(path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in expected, answer.text
        if not answer.is_success:
            assert answer.headers["content-type"] == "application/problem+json"
            assert len(answer.content) < 4_096
        assert "root:" not in answer.text


def test_a_packed_body_is_not_unpacked(base: str) -> None:
    bomb = gzip.compress(b'{"question": "' + b" " * 50_000_000 + b'"}')
    for encoding in ("gzip", "deflate", "br", "identity, gzip"):
        head = {"Content-Type": "application/json", "Content-Encoding": encoding}
        with client(base) as asking:
            assert asking.post("/v1/search", content=bomb, headers=head).status_code in (400, 415)


HALF = "half a pair: \ud800"
ASKED = {"role": "user", "content": "How many?"}
HALVES: list[tuple[str, dict[str, Any]]] = [
    ("/v1/search", {"question": HALF}),
    ("/v1/search", {"question": "x", "filters": [f"site={HALF}"]}),
    ("/v1/query", {"question": HALF}),
    ("/v1/query", {"question": HALF, "stream": True}),
    ("/v1/query", {"question": "x", HALF: 1}),
    ("/v1/query", {"question": "x", "options": {"pruning": HALF}}),
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": HALF}]}),
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": HALF}], "stream": True}),
    ("/v1/chat/completions", {"messages": [
        {"role": "user", "content": [{"type": "text", "text": HALF}]}]}),
    ("/v1/chat/completions", {"messages": [{"role": "system", "content": HALF}, ASKED]}),
    ("/v1/chat/completions", {"messages": [ASKED], "model": HALF}),
    ("/v1/ingest", {"documents": [{"id": HALF, "text": "x"}]}),
    ("/v1/ingest", {"documents": [{"id": "x", "text": HALF}]}),
    ("/v1/ingest", {"documents": [{"id": "x", "text": "x", "name": HALF}]}),
    ("/v1/ingest", {"documents": [{"id": "x", "text": "x", "title": HALF}]}),
    ("/v1/ingest", {"documents": [{"id": "x", "text": "x", "meta": {HALF: 1}}]}),
    ("/v1/ingest", {"documents": [{"id": "x", "text": "x", "meta": {"a": HALF}}]}),
    ("/v1/ingest", {"documents": [{"id": "x", "text": "x", "meta": {"a": [HALF]}}]}),
    ("/v1/ingest", {"sources": [HALF]}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body"), HALVES, ids=ascii)
def test_what_is_no_text_is_no_ones_fault_but_the_senders(
    base: str, path: str, body: dict[str, Any]
) -> None:
    with client(base) as asking:
        answer = asking.post(
            path, content=json.dumps(body), headers={"Content-Type": "application/json"}
        )
        assert answer.status_code in (200, 202, 400, 403, 422), answer.text
        if answer.status_code == 202:  # taken on, it is done
            job = finished(asking, answer)
            assert (job["state"], job["report"]["failed"]) == ("done", [])


MANY = 5_000
UNKNOWN = {f"f{number}": 0 for number in range(MANY)}
ODD = [0] * MANY
DOCUMENT = {"id": "x", "text": "x"}
FAULTY: list[tuple[type[BaseModel], dict[str, Any]]] = [
    (PostSearch, {"question": "x", **UNKNOWN}),
    (PostSearch, {"question": "x", "filters": ODD}),
    (PostQuery, {"question": "x", "options": UNKNOWN}),
    (PostChat, {"messages": ODD}),
    (PostChat, {"messages": [{"role": "user", "content": ODD}]}),
    (PostChat, {"messages": [{"role": "user", "content": ODD[:90]}] * 400}),
    (PostIngest, {"sources": ODD}),
    (PostIngest, {"documents": [DOCUMENT], **UNKNOWN}),
    (PostIngest, {"documents": ODD}),
    (PostIngest, {"documents": ODD[:900]}),
    (PostIngest, {"documents": [{**DOCUMENT, **UNKNOWN}]}),
    (PostIngest, {"documents": [{**DOCUMENT, "meta": dict.fromkeys(UNKNOWN, ODD[:1])}]}),
    (PostIngest, {"documents": [{**DOCUMENT, "meta": {"a": ODD}}]}),
    (PostIngest, {"documents": [{**DOCUMENT, "meta": {str(n): [0] for n in range(60)}}] * 900}),
]


@pytest.mark.parametrize(("model", "body"), FAULTY, ids=range(len(FAULTY)))
def test_a_body_has_few_faults_however_large_it_is(
    model: type[BaseModel], body: dict[str, Any]
) -> None:
    """Each costs time and memory, and while they are gathered nobody else is answered."""
    with pytest.raises(ValidationError) as raised:
        model.model_validate(body)
    assert raised.value.error_count() < 1_000
