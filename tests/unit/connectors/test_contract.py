"""What every connector has promised, asked of each of them over a small place of its own."""

from __future__ import annotations

import gzip
import json
import logging
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl

import pytest

from connectors.base import Access, Connector, Prepares, SourceRef
from connectors.edgar import EdgarApi, EdgarConnector, EdgarOptions
from connectors.pubmed.eutils import Eutils
from connectors.pubmed.online import PmidConnector, SearchConnector, SearchOptions
from connectors.registry import open_source
from rag.errors import DocumentError
from rag.types import Document, Section

DATA = Path(__file__).parents[2] / "data"
LOCAL = Access(
    contact="Jane Doe jane@example.org",
    allow_private=("127.0.0.1",),
    timeout=5.0,
    ncbi_api_key="hush-key",
)
SECRETS = ("hush-word", "hush-key", "hush%2Dword")
PMIDS = ("30108519", "28775130", "11748933")


@dataclass
class Place:
    """Somewhere to read from.

    Args:
        open: a new connector of it, as another process would make one.
        remove: take one document away; returns its key.
        forgets: whether what is removed is still covered, so that it may be retired.
    """

    open: Callable[[], Connector]
    remove: Callable[[], str]
    forgets: bool = True


class Site(ThreadingHTTPServer):
    """A server on loopback: what it answers by path, to GET and to POST."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages: dict[str, bytes | Callable[[dict[str, str]], bytes]] = {}
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.with_login = self.url.replace("://", "://jane:hush-word@")


class _Handler(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        form = dict(parse_qsl(self.rfile.read(length).decode()))
        page = self.server.pages.get(self.path)
        body = page(form) if callable(page) else page or b""
        self.send_response(404 if page is None else 200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[Site]:
    server = Site()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def source(written: str) -> Callable[[], Connector]:
    return lambda: open_source(written, access=LOCAL)


def remover(path: Path, key: str = "") -> Callable[[], str]:
    def remove() -> str:
        path.unlink()
        return key or str(path)

    return remove


def folder_of_texts(folder: Path) -> Path:
    (folder / "sub").mkdir(parents=True)
    (folder / "a.md").write_text(
        "# Alpha\n\nOne.\n\n## Beta\n\n- x\n- y\n\n| a | b |\n|-|-|\n| 1 | 2 |\n"
    )
    (folder / "b.html").write_text(
        "<title>Bee</title><h1>Buzz</h1><p>Wax.<h2>Hive</h2><ul><li>q</ul>"
    )
    (folder / "sub" / "c.csv").write_text("Region,2022,2023\nNorth,5,7\nSouth,6,8\n")
    (folder / "sub" / "d.txt").write_text("Acme Inc\n\fBalance Sheet\nfive\n\fNotes\n")
    return folder


def files(tmp_path: Path) -> Place:
    folder = folder_of_texts(tmp_path / "docs")
    return Place(source(str(folder)), remover(folder / "sub" / "d.txt"))


def reports(tmp_path: Path) -> Place:
    folder = folder_of_texts(tmp_path / "docs")
    return Place(source(f"reports:{folder}"), remover(folder / "sub" / "d.txt"))


def attack(tmp_path: Path) -> Place:
    folder = tmp_path / "cti"
    shutil.copytree(DATA / "attack" / "cti", folder)
    gone = sorted(folder.glob("malware/*.json"))[0]
    return Place(source(f"attack:{folder}"), remover(gone, gone.stem))


def jsonl(tmp_path: Path) -> Place:
    path = tmp_path / "rows.jsonl"
    lines = [
        json.dumps({"id": f"r{n}", "text": f"Row {n}.", "title": f"T{n}", "n": n}) + "\n"
        for n in range(20)
    ]
    path.write_text("".join(lines))

    def remove() -> str:
        path.write_text("".join(lines[1:]))
        return "r0"

    return Place(source(str(path)), remove)


def web_sitemap(site: Site) -> Place:
    def sitemap(*paths: str) -> bytes:
        rows = "".join(f"<url><loc>{site.url}{path}</loc></url>" for path in paths)
        return f"<urlset>{rows}</urlset>".encode()

    for name in "abc":
        page = f"<html lang=en><title>{name}</title><h1>Page {name}</h1><p>On {name}.</html>"
        site.pages[f"/docs/{name}"] = page.encode()
    site.pages["/sitemap.xml"] = sitemap("/docs/a", "/docs/b", "/docs/c")

    def remove() -> str:
        site.pages["/sitemap.xml"] = sitemap("/docs/a", "/docs/c")
        return f"{site.url}/docs/b"

    return Place(source(f"{site.with_login}/docs/#per-second=1000"), remove)


def web_links(site: Site) -> Place:
    site.pages["/docs/"] = b"<title>Docs</title><h1>Docs</h1><a href=a>a</a><a href=b>b</a>"
    site.pages["/docs/a"] = b"<h1>A</h1><p>First."
    site.pages["/docs/b"] = b"<h1>B</h1><p>Second."

    def remove() -> str:
        del site.pages["/docs/b"]
        return f"{site.url}/docs/b"

    return Place(source(f"{site.with_login}/docs/#depth=1&per-second=1000"), remove)


def edgar_folder(tmp_path: Path) -> Place:
    folder = tmp_path / "filings"
    folder.mkdir()
    for name in ("0000320193-96-000027.txt", "a04-7804_18k.htm", "aapl-20250329.htm"):
        shutil.copy(DATA / "edgar" / name, folder)
    return Place(source(f"edgar:{folder}"), remover(folder / "a04-7804_18k.htm"))


def edgar_api(site: Site) -> Place:
    recorded = DATA / "edgar"
    archive = "/Archives/edgar/data/320193"
    company = json.loads((recorded / "CIK0000320193.json").read_text())
    pages = {
        "/files/company_tickers.json": "company_tickers.json",
        "/submissions/CIK0000320193-submissions-001.json": "CIK0000320193-submissions-001.json",
        f"{archive}/000032019325000057/aapl-20250329.htm": "aapl-20250329.htm",
        f"{archive}/000110465904019574/a04-7804_18k.htm": "a04-7804_18k.htm",
        f"{archive}/000032019396000027/0000320193-96-000027.txt": "0000320193-96-000027.txt",
    }
    site.pages |= {path: (recorded / name).read_bytes() for path, name in pages.items()}
    # The filing of 2019 is not among what was recorded.
    event = f"{archive}/000119312519292676/d828969d8k.htm"
    site.pages[event] = b"<html><p>Item 8.01. Other Events</p><p>Notes were sold.</p></html>"
    site.pages["/submissions/CIK0000320193.json"] = json.dumps(company).encode()

    def remove() -> str:
        recent = company["filings"]["recent"]
        company["filings"]["recent"] = {name: values[1:] for name, values in recent.items()}
        site.pages["/submissions/CIK0000320193.json"] = json.dumps(company).encode()
        return "0000320193/10-Q/2025-05-02/0000320193-25-000057"

    def open_() -> Connector:
        api = EdgarApi(LOCAL, www=site.url, data=site.url, per_second=1_000)
        return EdgarConnector(api, ("AAPL",), EdgarOptions())

    return Place(open_, remove)


def records() -> dict[str, str]:
    from lxml import etree

    root = etree.parse(DATA / "pubmed" / "records.xml").getroot()
    found = {each.findtext("MedlineCitation/PMID"): etree.tostring(each).decode() for each in root}
    return {pmid: found[pmid] for pmid in PMIDS}


def pubmed_files(tmp_path: Path) -> Place:
    folder = tmp_path / "baseline"
    folder.mkdir()

    def write(**kept: str) -> None:
        for name, pmids in kept.items():
            inside = "".join(records()[pmid] for pmid in pmids.split())
            data = f"<PubmedArticleSet>{inside}</PubmedArticleSet>".encode()
            (folder / f"{name}.xml.gz").write_bytes(gzip.compress(data))

    write(n0001=" ".join(PMIDS[:2]), n0002=PMIDS[2])

    def remove() -> str:
        write(n0001=PMIDS[0])
        return PMIDS[1]

    return Place(source(f"pubmed:{folder}"), remove)


def pubmed_online(site: Site) -> Place:
    held = records()
    summary = json.loads((DATA / "pubmed" / "esummary.json").read_text())["result"]["17428307"]

    def esearch(asked: dict[str, str]) -> bytes:
        told = {"count": str(len(held)), "idlist": list(held)}
        return json.dumps({"esearchresult": told}).encode()

    def esummary(asked: dict[str, str]) -> bytes:
        return json.dumps({"result": {p: summary for p in asked["id"].split(",")}}).encode()

    def efetch(asked: dict[str, str]) -> bytes:
        found = "".join(held[pmid] for pmid in asked["id"].split(",") if pmid in held)
        return f"<PubmedArticleSet>{found}</PubmedArticleSet>".encode()

    for tool in (esearch, esummary, efetch):
        site.pages[f"/{tool.__name__}.fcgi"] = tool

    def remove() -> str:
        del held[PMIDS[1]]
        return PMIDS[1]

    return Place(lambda: SearchConnector("bread", SearchOptions(), _eutils(site)), remove)


def pubmed_pmids(site: Site) -> Place:
    place = pubmed_online(site)
    return replace(place, open=lambda: PmidConnector(PMIDS, SearchOptions(), _eutils(site)))


def _eutils(site: Site) -> Eutils:
    return Eutils(LOCAL, base=f"{site.url}/", per_second=10_000)


def news_feed(site: Site) -> Place:
    def feed(*names: str) -> bytes:
        items = "".join(
            f"<item><guid>{name}</guid><title>News of {name}</title><category>c</category>"
            f"<description>&lt;h2&gt;Why&lt;/h2&gt;&lt;p&gt;{name}.&lt;/p&gt;</description></item>"
            for name in names
        )
        return f'<rss version="2.0"><channel><title>F</title>{items}</channel></rss>'.encode()

    site.pages["/feed.xml"] = feed("a", "b", "c")

    def remove() -> str:
        site.pages["/feed.xml"] = feed("a", "c")
        return "b"

    # What falls off the end of a feed was not deleted.
    return Place(source(f"news:{site.with_login}/feed.xml"), remove, forgets=False)


def news_table(tmp_path: Path) -> Place:
    path = tmp_path / "headlines.csv"
    shutil.copy(DATA / "news" / "headlines.csv", path)

    def remove() -> str:
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join([lines[0], *lines[2:]]))
        return "1"

    return Place(source(f"news:{path}"), remove)


def sql(tmp_path: Path) -> Place:
    path = tmp_path / "news.db"
    text = "# Head\n\nWords.\n\n## Sub\n\nMore."
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE a (id INTEGER, body TEXT, title TEXT, year INTEGER)")
        rows = [(n, f"{text} {n}", f"T{n}", 2000 + n) for n in range(20)]
        database.executemany("INSERT INTO a VALUES (?, ?, ?, ?)", rows)
    database.close()

    def remove() -> str:
        with sqlite3.connect(path) as database:
            database.execute("DELETE FROM a WHERE id = 3")
        database.close()
        return "3"

    options = "table=a&key=id&text=body&title=title&meta=year&format=markdown"
    return Place(source(f"sql:sqlite:///{path}#{options}"), remove)


def llama_index(tmp_path: Path) -> Place:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.md").write_text("# Alpha\n\nOne.\n\n## Beta\n\nTwo.\n")
    (folder / "b.txt").write_text("Bee.\n")
    written = f"llama_index:SimpleDirectoryReader#init.input_dir={folder}&format=markdown"
    return Place(source(written), remover(folder / "b.txt"))


@pytest.fixture
def s3_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Place]:
    import boto3
    from moto.server import ThreadedMotoServer

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "someone")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush-word")
    monkeypatch.setattr(logging.getLogger("werkzeug"), "level", logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    client = boto3.session.Session(region_name="us-east-1").client("s3", endpoint_url=url)
    client.create_bucket(Bucket="contract")
    folder = folder_of_texts(tmp_path / "docs")
    for path in (each for each in folder.rglob("*") if each.is_file()):
        key = f"docs/{path.relative_to(folder)}"
        client.put_object(Bucket="contract", Key=key, Body=path.read_bytes(), Metadata={"by": "x"})

    def remove() -> str:
        client.delete_object(Bucket="contract", Key="docs/a.md")
        return "contract/docs/a.md"

    yield Place(source(f"s3://contract/docs#endpoint={url}&region=us-east-1"), remove)
    server.stop()


LOCAL_PLACES = (
    files, jsonl, reports, attack, edgar_folder, pubmed_files, news_table, sql, llama_index,
)  # fmt: skip
SERVED = (web_sitemap, web_links, edgar_api, pubmed_online, pubmed_pmids, news_feed)


@pytest.fixture(params=[*LOCAL_PLACES, *SERVED, "s3"], ids=lambda p: getattr(p, "__name__", p))
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "s3":
        return request.getfixturevalue("s3_place")
    if request.param in SERVED:
        return request.param(request.getfixturevalue("site"))
    return request.param(tmp_path)


def listed(connector: Connector) -> list[SourceRef]:
    refs = list(connector.list())
    assert len(refs) > 1
    assert [ref for ref in refs if ref.problem] == []
    return refs


def test_a_listing_is_stable_its_keys_unique_and_covered(place: Place) -> None:
    connector = place.open()
    refs = listed(connector)
    assert listed(connector) == refs == listed(place.open())
    assert len({ref.key for ref in refs}) == len(refs)
    assert all(ref.key and ref.name and ref.source and ref.fingerprint for ref in refs)
    assert all(connector.covers(ref.key) for ref in refs)


def test_a_document_is_what_its_reference_says(place: Place) -> None:
    connector = place.open()
    for ref in listed(connector):
        document = connector.fetch(ref)
        said = (document.key, document.source, document.name, document.fingerprint)
        assert said == (ref.key, ref.source, ref.name, ref.fingerprint)
        assert document.namespace == connector.namespace
        assert document.text.strip()
        check_sections(document)
        check_meta(document)


def test_who_never_listed_fetches_the_same(place: Place) -> None:
    connector = place.open()
    refs = listed(connector)
    documents = [connector.fetch(ref) for ref in refs]
    # Backwards: no document may need the one before it.
    fresh = place.open()
    assert [fresh.fetch(ref) for ref in reversed(refs)] == documents[::-1]
    batched = place.open()
    if isinstance(batched, Prepares):
        batched.prepare(refs[1:])
    assert [batched.fetch(ref) for ref in refs] == documents


def test_several_threads_fetch_the_same(place: Place) -> None:
    connector = place.open()
    refs = listed(connector)
    documents = [connector.fetch(ref) for ref in refs]
    fresh = place.open()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(fresh.fetch, refs * 4))
    assert found == documents * 4


def test_what_is_removed_is_listed_no_longer(place: Place) -> None:
    connector = place.open()
    before = listed(connector)
    key = place.remove()
    after = [ref.key for ref in connector.list()]
    kept = [ref.key for ref in before if ref.key != key]
    # PMIDs that were asked for by number are named as missing.
    assert [each for each in after if not each.startswith("missing:")] == kept
    assert len(kept) == len(before) - 1
    assert connector.covers(key) is place.forgets
    assert place.open().namespace == connector.namespace


def test_what_was_removed_is_an_error_without_secrets(place: Place) -> None:
    connector = place.open()
    refs = listed(connector)
    shown = [repr(refs), repr([connector.fetch(ref) for ref in refs]), connector.namespace]
    key = place.remove()
    (gone,) = [ref for ref in refs if ref.key == key]
    try:
        place.open().fetch(gone)
    except DocumentError as error:
        shown += [repr(error), str(error), error.message, error.hint]
    assert not [secret for secret in SECRETS for each in shown if secret in each]


def check_sections(document: Document) -> None:
    """They lie in the text, in the order of their starts, and each in those that are open."""
    around: list[Section] = []
    for section in document.sections:
        span = section.span
        assert 0 <= span.start < span.end <= len(document.text)
        while around and around[-1].span.end <= span.start:
            around.pop()
        if around:
            assert span.end <= around[-1].span.end
            assert section.level > around[-1].level
        around.append(section)
    starts = [section.span.start for section in document.sections]
    assert starts == sorted(starts)
    assert list(document.pages) == sorted(set(document.pages))
    assert not document.pages or (document.pages[0], document.pages[-1] < len(document.text)) == (
        0,
        True,
    )


def check_meta(document: Document) -> None:
    for name, value in document.meta.items():
        items: list[Any] = value if isinstance(value, list) else [value]
        kinds = str if isinstance(value, list) else str | int | float | bool
        assert isinstance(name, str)
        assert all(isinstance(item, kinds) for item in items), (name, value)
