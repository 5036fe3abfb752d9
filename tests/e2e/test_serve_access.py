"""`rag serve`: who may do what, decided for every route, and keys that are sent in odd ways."""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

sys.path.insert(0, str(Path(__file__).parent))
import serving as server
from serving import KEYS, TABLE, client, serving

from pipelines.serve.app import create_app
from rag.generation.base import Generator
from rag.index import Index

NOBODYS = "00000000-0000-5000-8000-000000000000"
ASK = {"question": "How many?"}
OPEN, READ, INGEST = "open", "read", "ingest"
COUNT, LIST = "metrics, no tenant", "admin, no tenant"

ROUTES: dict[tuple[str, str], tuple[str, int, dict[str, Any] | None]] = {
    ("POST", "/v1/search"): (READ, 200, ASK),
    ("POST", "/v1/query"): (READ, 200, ASK),
    ("POST", "/v1/chat/completions"): (
        READ, 200, {"messages": [{"role": "user", "content": "How many?"}]},
    ),
    ("GET", "/v1/models"): (READ, 200, None),
    ("GET", "/v1/documents/{doc_id}"): (READ, 404, None),
    ("GET", "/metrics"): (COUNT, 200, None),
    ("GET", "/v1/jobs"): (LIST, 200, None),
    ("GET", "/v1/models/{name}"): (READ, 404, None),
    ("POST", "/v1/ingest"): (INGEST, 422, {}),
    ("GET", "/v1/jobs/{job_id}"): (INGEST, 404, None),
    ("DELETE", "/v1/documents/{doc_id}"): (INGEST, 404, None),
    ("GET", "/healthz"): (OPEN, 200, None),
    ("GET", "/readyz"): (OPEN, 200, None),
    ("GET", "/openapi.json"): (OPEN, 200, None),
    ("GET", "/"): (OPEN, 200, None),
    ("GET", "/page/{name}"): (OPEN, 404, None),
}  # fmt: skip
"""Of every route, what a key has to be for, and what whoever may gets (there is nothing there)."""

MAY = {
    "": {OPEN},
    "observer": {OPEN, COUNT},
    "reader": {OPEN, READ, COUNT},
    "acme": {OPEN, READ},
    "writer": {OPEN, READ, COUNT, INGEST},
    "acme-writer": {OPEN, READ, INGEST},
    "admin": {OPEN, READ, COUNT, INGEST, LIST},
    "acme-admin": {OPEN, READ, INGEST},
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    where = tmp_path_factory.mktemp("access") / "index"
    with serving(where, api_keys=TABLE, requests_per_minute=0) as address:
        yield address


def test_it_is_decided_for_every_route_who_may_use_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[FastAPI] = []

    def noted(index: Index, generator: Generator) -> FastAPI:
        made.append(create_app(index, generator))
        return made[0]

    monkeypatch.setattr(server, "create_app", noted)
    with serving(tmp_path / "index"):
        routes = {
            (method, route.path)
            for route in iter_route_contexts(made[0].routes)
            for method in (route.methods or {"?"}) - {"HEAD"}
        }
    assert routes == set(ROUTES)


@pytest.mark.parametrize("who", MAY)
@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_a_route_is_for_those_it_is_for(base: str, route: tuple[str, str], who: str) -> None:
    role, status, body = ROUTES[route]
    path = re.sub(r"\{\w+\}", NOBODYS, route[1])
    with client(base, who) as asking:
        answer = asking.request(route[0], path, json=body)
    refused = 403 if who else 401
    assert answer.status_code == (status if role in MAY[who] else refused), answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert ("text/html" in answer.headers["content-type"]) == (path == "/")


READER, WRITER = KEYS["reader"], KEYS["writer"]
ENCODED = base64.b64encode(READER.encode()).decode()
SENT: list[tuple[list[tuple[str, str | bytes]], int]] = [
    ([], 401),
    ([("Authorization", "")], 401),
    ([("Authorization", "Bearer")], 401),
    ([("Authorization", READER)], 401),
    ([("Authorization", f"Bearer {READER[:-1]}")], 401),
    ([("Authorization", f"Bearer {READER}x")], 401),
    ([("Authorization", f"Bearer {READER.upper()}")], 401),
    ([("Authorization", f"Bearer {READER}, Bearer {WRITER}")], 401),
    ([("Authorization", f"Bearer Bearer {READER}")], 401),
    ([("Authorization", f'Bearer "{READER}"')], 401),
    ([("Authorization", f"Basic {READER}")], 401),
    ([("Authorization", f"Basic {ENCODED}")], 401),
    ([("Authorization", f"Token {READER}")], 401),
    ([("Authorization", "Bearer *")], 401),
    ([("Authorization", "Bearer null")], 401),
    ([("Authorization", b"Bearer \xe9" + READER.encode())], 401),
    ([("Authorization", f"Bearer {READER}\u2028".encode())], 401),
    ([("Authorization", f"Bearer {'x' * 60_000}")], 401),
    ([("Cookie", f"Authorization=Bearer {READER}")], 401),
    ([("X-Api-Key", READER)], 401),
    ([("Proxy-Authorization", f"Bearer {READER}")], 401),
    ([("X-Forwarded-For", "127.0.0.1"), ("Forwarded", "for=127.0.0.1")], 401),
    ([("Authorization", f"Bearer {KEYS['acme']}y"), ("Authorization", f"Bearer {READER}")], 401),
    ([("Authorization", f"bearer {READER}")], 200),  # a scheme has no case (RFC 9110)
    ([("Authorization", f"Bearer {READER}")], 200),
]


@pytest.mark.parametrize(("headers", "status"), SENT, ids=lambda sent: str(sent)[:60])
def test_only_a_whole_key_in_its_header_is_one(
    base: str, headers: list[tuple[str, str | bytes]], status: int
) -> None:
    with client(base) as asking:
        given = [(name.encode(), v if isinstance(v, bytes) else v.encode()) for name, v in headers]
        answer = asking.get("/v1/models", headers=httpx.Headers(given))
    assert answer.status_code == status, answer.text
    assert not any(key in answer.text for key in KEYS.values())


@pytest.mark.parametrize("name", ["key", "api_key", "access_token", "token", "Authorization"])
def test_a_key_in_the_address_is_none(base: str, name: str) -> None:
    with client(base) as asking:
        for value in (READER, f"Bearer {READER}"):
            assert asking.get("/v1/models", params={name: value}).status_code == 401


def test_the_first_of_two_keys_counts_and_no_more(base: str) -> None:
    both = [("Authorization", f"Bearer {READER}"), ("Authorization", f"Bearer {WRITER}")]
    with client(base) as asking:
        assert asking.get("/v1/models", headers=both).status_code == 200
        assert asking.get("/v1/jobs/none", headers=both).status_code == 403
        assert asking.get("/v1/jobs/none", headers=both[::-1]).status_code == 404


PATHS = [
    "//v1/models", "/v1//models", "/v1/../v1/models", "/x/..%2fv1/models", "/V1/models",
    "/v1/models/", "/v1/%6dodels", "/v1/models%00", "/v1/models;x", "/v1/models%2f", "/./v1/models",
    "/healthz/../v1/models", "/page/..%2fv1%2fmodels", "/v1/models%20", "/v1/models?/healthz",
    "/v1/models%23", "/openapi.json/../metrics", "/metrics/", "/metrics%2e",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_no_other_way_to_write_a_path_goes_round_the_key(base: str, path: str) -> None:
    with client(base) as asking:
        # httpx would tidy a string up.
        url = httpx.URL(base).copy_with(raw_path=path.encode())
        answer = asking.get(url)
    assert answer.status_code in (400, 401, 404), answer.text


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
def test_a_method_is_what_the_request_line_says(base: str, name: str) -> None:
    with client(base, "reader") as asking:
        answer = asking.get(f"/v1/documents/{NOBODYS}", headers={name: "DELETE"})
        assert answer.json()["detail"] == "there is no such document"
        answer = asking.get(f"/v1/documents/{NOBODYS}", params={"_method": "DELETE"})
        assert answer.status_code == 404  # and not 403: a reader may not delete
        traced = asking.request("TRACE", "/v1/models", headers={"X-Secret": "abc-123"})
    assert traced.status_code == 405
    assert "abc-123" not in traced.text
