"""A PubMed on loopback, as far as the connector asks it: searches, summaries, records."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl

import pytest
from lxml import etree

from connectors.base import Access
from connectors.pubmed.eutils import Eutils

DATA = Path(__file__).parents[3] / "data" / "pubmed"
_SUMMARY = json.loads((DATA / "esummary.json").read_text())["result"]["17428307"]


class Pubmed:
    """What it holds and answers can be changed; what it was asked is kept."""

    def __init__(self) -> None:
        self.records: dict[str, str] = {}
        self.summaries: dict[str, dict[str, Any]] = {}
        self.entered: dict[str, str] = {}
        self.hits: dict[str, list[str]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.paused: list[float] = []
        self.cap = 9_999
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = self.rfile.read(int(self.headers["Content-Length"])).decode()
                asked = dict(parse_qsl(form, keep_blank_values=True))
                tool = self.path.strip("/").removesuffix(".fcgi")
                site.asked.append((tool, asked))
                if site.answers:
                    status, headers, body = site.answers.pop(0)
                else:
                    status, headers, body = 200, {}, getattr(site, tool)(asked)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}).start()

    def add(self, pmid: str, record: str, **summary: Any) -> None:
        """Hold an article; its summary is a real one, changed."""
        self.records[pmid] = record
        self.summaries[pmid] = {**copy.deepcopy(_SUMMARY), "uid": pmid, **summary}

    def eutils(self, **access: Any) -> Eutils:
        settings = {"allow_private": ("127.0.0.1",), "timeout": 5.0, "deadline": 20.0, **access}
        return Eutils(
            Access(**settings), base=self.url, per_second=10_000, pause=self.paused.append
        )

    def tools(self) -> list[str]:
        return [tool for tool, _ in self.asked]

    def esearch(self, asked: dict[str, str]) -> bytes:
        named = re.findall(r"(\d+)\[uid\]", asked["term"])
        hits = [p for p in named if p in self.summaries] or self.hits.get(asked["term"], [])
        if "mindate" in asked:
            low, high = asked["mindate"], asked["maxdate"]
            assert asked["datetype"] == "edat"
            hits = [pmid for pmid in hits if low <= self.entered[pmid] <= high]
        told = hits[: min(int(asked["retmax"]), self.cap)]
        result = {"count": str(len(hits)), "retmax": str(len(told)), "retstart": "0"}
        return json.dumps({"esearchresult": {**result, "idlist": told}}).encode()

    def esummary(self, asked: dict[str, str]) -> bytes:
        pmids = asked["id"].split(",")
        unknown = {"error": "cannot get document summary"}
        found = {p: self.summaries.get(p) or {"uid": p, **unknown} for p in pmids}
        return json.dumps({"header": {}, "result": {"uids": pmids, **found}}).encode()

    def efetch(self, asked: dict[str, str]) -> bytes:
        found = [self.records.get(pmid, "") for pmid in asked["id"].split(",")]
        return f"<PubmedArticleSet>{''.join(found)}</PubmedArticleSet>".encode()


@pytest.fixture
def pubmed() -> Iterator[Pubmed]:
    made = Pubmed()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def real() -> dict[str, etree._Element]:
    """The recorded records, by PMID."""
    root = etree.parse(DATA / "records.xml").getroot()
    return {each.findtext("MedlineCitation/PMID"): each for each in root}


@pytest.fixture
def recorded() -> Callable[[str], bytes]:
    """A recorded answer of esearch, as PubMed sent it."""
    answers = json.loads((DATA / "esearch.json").read_text())
    return lambda name: json.dumps(answers[name]).encode()


@pytest.fixture
def article() -> Callable[..., str]:
    """A record as XML: `inside` the article, `behind` it in the citation, `data` at its end."""

    def make(
        pmid: str = "1",
        title: str = "A title.",
        abstract: str = "",
        *,
        inside: str = "",
        behind: str = "",
        data: str = "",
        version: str = "1",
    ) -> str:
        parts = f"<Abstract>{abstract}</Abstract>" if abstract else ""
        return (
            f'<PubmedArticle><MedlineCitation><PMID Version="{version}">{pmid}</PMID><Article>'
            f"<ArticleTitle>{title}</ArticleTitle>{parts}{inside}</Article>{behind}"
            f"</MedlineCitation><PubmedData>{data}</PubmedData></PubmedArticle>"
        )

    return make
