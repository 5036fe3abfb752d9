"""How fast each connector and format lists, fetches and parses: documents and tokens a second.

Every place is made anew from real sentences: files of each format, a database, a feed, a baseline
file of PubMed, a bundle of STIX objects, a site and a bucket on loopback. No embedder, no store:
what is timed is one `list` and one `fetch` of every document, in one thread, as a first ingest
does them.
"""

from __future__ import annotations

import argparse
import csv
import functools
import gzip
import io
import json
import os
import random
import sqlite3
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from html import escape
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any

from report import heading, say, table
from workload import SHARED, available, read_sentences

from connectors.base import Access, Connector, Prepares
from connectors.registry import open_source
from rag.embedding.registry import BUNDLED, bundled_tokenizer
from rag.tokens import TokenCounter

SETS = ("chroma", "covidqa", "pubmedqa", "xquad")
ACCESS = Access(allow_private=("127.0.0.1",))
Texts = list[list[str]]
"""Documents as paragraphs."""


def write_plain(folder: Path, texts: Texts) -> None:
    """Text, Markdown, HTML, mail, notebooks, code: what needs no library."""
    for number, paragraphs in enumerate(texts):
        title, body = f"Report {number}", "\n\n".join(paragraphs)
        markdown = f"# {title}\n\n" + "\n\n## Part\n\n".join(paragraphs)
        page = "".join(f"<h2>Part</h2><p>{escape(each)}</p>" for each in paragraphs)
        mail = EmailMessage()
        mail["Subject"], mail["From"], mail["To"] = title, "a@example.org", "b@example.org"
        mail.set_content(body)
        cells = [{"cell_type": "markdown", "metadata": {}, "source": [each]} for each in paragraphs]
        notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}
        code = "\n\n".join(
            f"def part_{at}():\n    return {each!r}" for at, each in enumerate(paragraphs)
        )
        for suffix, data in {
            "txt": body.encode(),
            "md": markdown.encode(),
            "html": f"<title>{title}</title><body>{page}</body>".encode(),
            "eml": mail.as_bytes(),
            "ipynb": json.dumps(notebook).encode(),
            "py": code.encode(),
            "epub": epub_of(title, page),
        }.items():
            put(folder / suffix / f"{number}.{suffix}", data)


def epub_of(title: str, page: str) -> bytes:
    """A book of one chapter."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr(
            "META-INF/container.xml",
            '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0">'
            '<rootfiles><rootfile full-path="a.opf" '
            'media-type="application/oebps-package+xml"/></rootfiles></container>',
        )
        archive.writestr(
            "a.opf",
            '<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata '
            f'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{title}</dc:title></metadata>'
            '<manifest><item id="c" href="c.xhtml" media-type="application/xhtml+xml"/></manifest>'
            '<spine><itemref idref="c"/></spine></package>',
        )
        archive.writestr(
            "c.xhtml",
            f'<html xmlns="http://www.w3.org/1999/xhtml"><body>{page}</body></html>',
        )
    return made.getvalue()


def write_office(folder: Path, texts: Texts) -> None:
    """Word, PowerPoint, Excel, PDF and CSV, by the libraries that write them."""
    import docx
    import openpyxl
    import pptx
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.platypus import Paragraph, SimpleDocTemplate

    style = getSampleStyleSheet()["Normal"]
    for number, paragraphs in enumerate(texts):
        word, slides, book = docx.Document(), pptx.Presentation(), openpyxl.Workbook()
        word.add_heading(f"Report {number}", 1)
        sheet = book.active
        assert sheet is not None
        for each in paragraphs:
            word.add_paragraph(each)
            slide = slides.slides.add_slide(slides.slide_layouts[1])
            slide.shapes.title.text = "Part"
            slide.placeholders[1].text = each
            sheet.append([number, each])
        pages = io.BytesIO()
        SimpleDocTemplate(pages).build([Paragraph(escape(each), style) for each in paragraphs])
        lines = io.StringIO()
        csv.writer(lines).writerows([["id", "text"], *enumerate(paragraphs)])
        put(folder / "pdf" / f"{number}.pdf", pages.getvalue())
        put(folder / "csv" / f"{number}.csv", lines.getvalue().encode())
        for suffix, save in (("docx", word.save), ("pptx", slides.save), ("xlsx", book.save)):
            data = io.BytesIO()
            save(data)
            put(folder / suffix / f"{number}.{suffix}", data.getvalue())


def write_rows(folder: Path, texts: Texts) -> None:
    """JSON Lines, a database, a feed, headlines."""
    bodies = ["\n\n".join(paragraphs) for paragraphs in texts]
    rows = [{"id": number, "text": body} for number, body in enumerate(bodies)]
    put(folder / "rows.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows).encode())
    with sqlite3.connect(folder / "rows.db") as database:
        database.execute("create table items (id integer primary key, body text, edited text)")
        database.executemany(
            "insert into items values (?, ?, '2024-01-01')", list(enumerate(bodies))
        )
    database.close()
    items = "".join(
        f"<item><guid>{number}</guid><title>Report {number}</title>"
        f"<description>{escape(body)}</description></item>"
        for number, body in enumerate(bodies)
    )
    feed = f'<rss version="2.0"><channel><title>Wire</title>{items}</channel></rss>'
    put(folder / "feed.xml", feed.encode())
    lines = io.StringIO()
    writer = csv.writer(lines)
    writer.writerow(["S No.", "Title", "Decisions", "Words"])
    for number, paragraphs in enumerate(texts):
        writer.writerow([number, paragraphs[0][:200], '{"Acme": "positive"}', 20])
    put(folder / "headlines.csv", lines.getvalue().encode())


def write_domains(folder: Path, texts: Texts) -> None:
    """A baseline file of PubMed, and a bundle of STIX objects."""
    records = "".join(
        f'<PubmedArticle><MedlineCitation><PMID Version="1">{number + 1}</PMID><Article><Journal>'
        f"<Title>Journal</Title></Journal><ArticleTitle>Report {number}</ArticleTitle><Abstract>"
        + "".join(
            f'<AbstractText Label="PART">{escape(each)}</AbstractText>' for each in paragraphs
        )
        + "</Abstract></Article></MedlineCitation></PubmedArticle>"
        for number, paragraphs in enumerate(texts)
    )
    packed = gzip.compress(f"<PubmedArticleSet>{records}</PubmedArticleSet>".encode())
    put(folder / "pubmed" / "pubmed24n0001.xml.gz", packed)
    objects: list[dict[str, Any]] = [
        {
            "type": "attack-pattern",
            "spec_version": "2.1",
            "id": f"attack-pattern--00000000-0000-4000-8000-{number:012}",
            "created": "2024-01-01T00:00:00.000Z",
            "modified": "2024-01-01T00:00:00.000Z",
            "name": f"Technique {number}",
            "description": "\n\n".join(paragraphs),
        }
        for number, paragraphs in enumerate(texts)
    ]
    bundle = {"type": "bundle", "id": "bundle--0", "objects": objects}
    put(folder / "bundle.json", json.dumps(bundle).encode())


def put(path: Path, data: bytes) -> None:
    """Write a file, and the folder it is in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


@contextmanager
def site(folder: Path) -> Iterator[str]:
    """The HTML files as a site with a sitemap, on loopback."""

    class Quiet(SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder / "html"))
    )
    address = f"http://127.0.0.1:{server.server_port}"
    urls = "".join(
        f"<url><loc>{address}/{path.name}</loc><lastmod>2024-01-01</lastmod></url>"
        for path in (folder / "html").iterdir()
    )
    put(folder / "html" / "sitemap.xml", f"<urlset>{urls}</urlset>".encode())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"{address}/sitemap.xml#per-second=1000"
    server.shutdown()
    server.server_close()


@contextmanager
def bucket(folder: Path) -> Iterator[str]:
    """The text files as a bucket, on loopback."""
    import logging

    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    os.environ |= {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    client.create_bucket(Bucket="texts")
    for path in (folder / "txt").iterdir():
        client.put_object(Bucket="texts", Key=path.name, Body=path.read_bytes())
    yield f"s3://texts/#endpoint={endpoint}&region=us-east-1"
    server.stop()


def read_all(connector: Connector) -> tuple[list[str], float]:
    """Every document's text, and the seconds that listing and fetching took."""
    began = time.perf_counter()
    refs = list(connector.list())
    texts: list[str] = []
    size = connector.batch if isinstance(connector, Prepares) else len(refs)
    remaining = iter(refs)
    while batch := list(islice(remaining, size)):
        if isinstance(connector, Prepares):
            connector.prepare(batch)
        texts += [connector.fetch(ref).text for ref in batch]
    return texts, time.perf_counter() - began


def main() -> None:
    """Make the places, read them, and print a report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=300)
    args = parser.parse_args()
    top = heading("Connectors and formats")
    draw = random.Random(3)
    sentences = read_sentences(available(*(SHARED / name / "corpora" for name in SETS)))
    texts = [
        [" ".join(draw.choices(sentences, k=4)) for _ in range(4)] for _ in range(args.documents)
    ]
    counter = TokenCounter.from_file(bundled_tokenizer(), BUNDLED)
    rows: list[list[str]] = []

    def measure(what: str, source: str) -> None:
        read_all(open_source(source, access=ACCESS))  # imports, caches
        found, seconds = read_all(open_source(source, access=ACCESS))
        tokens = sum(counter.count_all(found))
        say(f"{what}: {len(found)} documents in {seconds:.2f} s")
        rate = f"{len(found) / seconds:,.0f}", f"{tokens / seconds:,.0f}"
        rows.append([what, f"{len(found):,}", f"{tokens:,}", f"{seconds:.2f}", *rate])

    with tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        writers: tuple[Callable[[Path, Texts], None], ...] = (
            write_plain,
            write_office,
            write_rows,
            write_domains,
        )
        for write in writers:
            write(folder, texts)
        for path in sorted(folder.iterdir()):
            if path.is_dir() and path.name != "pubmed":
                measure(f"files: .{path.name}", str(path))
        measure("jsonl", str(folder / "rows.jsonl"))
        measure(
            "sql (SQLite)",
            f"sql:sqlite:///{folder}/rows.db#table=items&key=id&text=body&updated=edited",
        )
        measure("news, feed", f"news:{folder}/feed.xml")
        measure("news, headlines", f"news:{folder}/headlines.csv")
        measure("pubmed, baseline file", f"pubmed:{folder}/pubmed/")
        measure("attack, bundle", f"attack:{folder}/bundle.json")
        reader = "llama_index:llama_index.core:SimpleDirectoryReader"
        measure("llama_index, SimpleDirectoryReader", f"{reader}#init.input_dir={folder}/txt")
        for what, place in (("https, loopback", site), ("s3, loopback", bucket)):
            with suppress(ImportError), place(folder) as source:
                measure(what, source)
        filings = SHARED / "financebench" / "corpora"
        if filings.is_dir():
            measure("edgar, folder of filings as text", f"edgar:{filings}/")
    print(top)
    print(
        "One `list` and one `fetch` of every document, the second time, in one thread; tokens are "
        "those of the bundled embedder. Servers are on loopback: a real one is slower, and asked "
        "no more often than it allows.\n"
    )
    print(table(("place", "documents", "tokens", "seconds", "documents/s", "tokens/s"), rows))


if __name__ == "__main__":
    sys.exit(main())
