"""`rag serve`: what a tenant brings stays its own, and touches nothing of another's."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from serving import TABLE, client, finished, serving
from tenants import DOCUMENTS, SAME, foreign, indexed, of_apex

UNKNOWN = "00000000-0000-5000-8000-000000000000"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    where = indexed(tmp_path_factory.mktemp("brought") / "index")
    with serving(where, api_keys=TABLE, requests_per_minute=0) as address:
        yield address


@pytest.fixture(scope="module")
def theirs(base: str) -> list[dict[str, Any]]:
    return of_apex(base)


GATE = "The lock of the north gate was changed on the second of March. " + " ".join(
    f"Key {number} was handed to the keeper of shed {number + 7}." for number in range(12)
)
GATES = [
    {"id": f"{tenant}-gate", "name": f"{tenant}/{word}.txt", "text": GATE,
     "meta": {"tenant": tenant}}
    for tenant, word in (("acme", "gate"), ("apex", "Quillon-9"))
]  # fmt: skip
CLAIMS: list[dict[str, Any]] = [
    {"tenant": "apex"}, {"tenant": ["acme", "apex"]}, {"Tenant": "apex"},
    {"meta.tenant": "apex", "namespace": "api:apex", "doc_id": UNKNOWN},
]  # fmt: skip
FORGED = [
    *(
        {"id": f"forged-{number}", "name": "../x.md", "meta": meta, "text": f"Forgery {number}."}
        for number, meta in enumerate(CLAIMS)
    ),
    *(
        {"id": each.id, "name": "own.txt", "text": f"Forgery as {number}."}
        for number, each in enumerate(DOCUMENTS["apex"])
    ),
]


@pytest.fixture(scope="module")
def brought(base: str, theirs: list[dict[str, Any]]) -> dict[str, httpx.Response]:
    """Jobs that are done: acme forged, apex had nothing new, and a key for all brought for both."""
    bodies: dict[str, list[dict[str, Any]]] = {
        "acme-writer": [*FORGED, {"id": "guess", "text": SAME}],
        "apex-writer": [each.model_dump() for each in DOCUMENTS["apex"]],
        "writer": GATES,
    }
    jobs = {}
    for who, documents in bodies.items():
        with client(base, who) as asking:
            jobs[who] = asking.post("/v1/ingest", json={"documents": documents})
    for who, job in jobs.items():
        with client(base, who) as asking:
            assert finished(asking, job)["state"] == "done"
    return jobs


def test_jobs_and_deletions_are_ones_own(
    base: str, theirs: list[dict[str, Any]], brought: dict[str, httpx.Response]
) -> None:
    with client(base, "acme-writer") as acme:
        nothing = acme.get("/v1/jobs/00000000000000-00000000")
        for who in ("apex-writer", "writer"):
            seen = acme.get(brought[who].headers["location"])
            assert (seen.status_code, seen.content) == (404, nothing.content)
        for hit in theirs:
            answer = acme.delete(f"/v1/documents/{hit['doc_id']}")
            assert (answer.status_code, foreign(answer, theirs)) == (404, [])
    with client(base, "apex") as apex:
        assert all(apex.get(f"/v1/documents/{hit['doc_id']}").is_success for hit in theirs)


def test_nothing_a_tenant_brings_is_put_among_anothers(
    base: str, theirs: list[dict[str, Any]], brought: dict[str, httpx.Response]
) -> None:
    """Under the same ids as apex's, with metadata that says it is theirs, and the same text."""
    with client(base, "acme-writer") as acme, client(base, "apex-writer") as apex:
        report = acme.get(brought["acme-writer"].headers["location"]).json()["report"]
        assert report["added"] + report["linked"] == len(FORGED) + 1
        body = {"question": "forgery: no valves at all", "top_k": 100}
        shown = acme.post("/v1/search", json=body).json()["hits"]
        assert sum("Forgery" in hit["text"] for hit in shown) == len(FORGED)
        hits = apex.post("/v1/search", json=body).json()["hits"]
        assert not [hit for hit in hits if "Forgery" in hit["text"]]
        texts = {hit["doc_id"]: hit["text"] for hit in hits}
        assert all(texts[hit["doc_id"]] == hit["text"] for hit in theirs)
        assert all(hit["also"] == [] for hit in hits)


def test_a_key_for_all_tenants_links_none_of_them(
    base: str, theirs: list[dict[str, Any]], brought: dict[str, httpx.Response]
) -> None:
    with client(base, "acme") as acme:
        found = acme.post("/v1/search", json={"question": "the lock of the north gate"})
        hit = next(hit for hit in found.json()["hits"] if hit["text"] in GATE)
        assert (hit["doc"], hit["also"]) == ("acme/gate.txt", [])
        assert not foreign(found, theirs)
        answer = acme.get(f"/v1/documents/{hit['doc_id']}")
        assert answer.json()["text"] == GATE
        assert not foreign(answer, theirs)
