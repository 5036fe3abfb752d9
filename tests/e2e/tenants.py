"""Two tenants' documents in one index, and marks that betray one of them wherever they turn up."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import httpx

from pipelines.ingest import ingest
from pipelines.serve.brought import BroughtDocuments
from pipelines.serve.jobs import Brought
from rag.index import open_index
from rag.settings import Settings

sys.path.insert(0, str(Path(__file__).parent))
from serving import client

ASKED = "how many valves did the plant in brno make in may, and who is its manager?"
SAME = "The valves of both plants are tested at nine bar before they are packed. " + " ".join(
    f"Crate {number} holds the valves of shift {number + 3}." for number in range(10)
)
"""Long enough for one to be a copy of the other."""
DOCUMENTS = {
    "acme": [
        Brought(id="plan", name="acme/plan.md", title="Acme plan", meta={"site": "Brno"},
                text="# Acme plan\n\nThe plant in Brno made 4,120 valves in May. Its manager is "
                "Ada Novak."),
        Brought(id="same", name="acme/same.txt", text=SAME),
    ],
    "apex": [
        Brought(id="Quillon-7", name="apex/Quillon.md", title="Quillon", meta={"site": "Vellmora"},
                text="# Quillon\n\nThe plant in Brno made 9,906 valves in May. Its manager is "
                "Ines Tarquand."),
        Brought(id="Quillon-8", name="apex/Quillon-8.txt", text=SAME),
    ],
}  # fmt: skip
MARKS = ("Quillon", "Vellmora", "9,906", "Tarquand", "apex/")
"""What only apex's documents hold: words, figures and names. Questions write it otherwise."""


WIDER = [
    'tenant="apex"', "tenant=APEX|apex", "tenant =apex", "tenant=apex\x00", "tenant=acme|*",
    "tenant!=nobody", "tenant!=acme|apex", "tenant>=2000-01-01", "tenant<9", "site=vellmora|Brno",
    'x"].tenant=apex', 'meta."tenant"=apex', "meta.tenant!=acme", "tenant.x!=1", "TENANT=apex",
    "state!=live", "state=staged|live", "namespace=api:apex", "namespace!=api:acme", "source!=x",
    "doc!=acme/plan.md", "doc_id!=0", "committed!=true", "text!=x", "start>=0", "ordinal>=0",
    "tenant!=a or 1=1", "1=1", "tenant!=\u0430cme", "tenant!=" + "x" * 400,
]  # fmt: skip
"""Filters by which acme might hope to see apex's."""


def indexed(path: Path) -> Path:
    """An index there that holds the documents of both, as their keys would have brought them."""
    with open_index(Settings(store={"path": path}), create=True) as index:
        for tenant, documents in DOCUMENTS.items():
            assert not ingest(index, [BroughtDocuments(documents, tenant)]).failed
    return path


def of_apex(base: str) -> list[dict[str, Any]]:
    """Apex's chunks, as apex sees them."""
    with client(base, "apex") as asking:
        found = asking.post("/v1/search", json={"question": ASKED, "top_k": 100})
    hits: list[dict[str, Any]] = found.json()["hits"]
    assert {hit["doc"] for hit in hits} == {each.name for each in DOCUMENTS["apex"]}
    return hits


def foreign(answer: httpx.Response, theirs: list[dict[str, Any]]) -> list[str]:
    """What of apex's stands in an answer, whether in its body or its head."""
    told = answer.content + b"".join(b"".join(pair) for pair in answer.headers.raw)
    marks = {*MARKS, *(str(hit[name]) for hit in theirs for name in ("doc_id", "doc", "source"))}
    return [mark for mark in marks if mark.encode() in told]
