from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from connectors.base import Access
from connectors.net import client as client_module
from connectors.registry import open_source
from connectors.web import WebConnector

Page = tuple[int, dict[str, str], bytes]


class Site:
    """A web site on loopback: `pages` by path, `asked` in order. What is not there is 404."""

    def __init__(self) -> None:
        self.pages: dict[str, Page | Callable[[], Page]] = {}
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                site.asked.append(self.path)
                site.headers.append(dict(self.headers))
                page = site.pages.get(self.path, (404, {}, b"no"))
                status, headers, body = page if isinstance(page, tuple) else page()
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def page(
        self, path: str, body: str | bytes, kind: str = "text/html", status: int = 200, **more: str
    ) -> None:
        data = body.encode() if isinstance(body, str) else body
        headers = {"Content-Type": kind} | {k.replace("_", "-"): v for k, v in more.items()}
        self.pages[path] = (status, headers, data)

    def moved(self, path: str, to: str) -> None:
        self.pages[path] = (302, {"Location": to}, b"")

    def sitemap(self, path: str, *entries: str | tuple[str, str], index: bool = False) -> None:
        self.page(path, self.sitemap_xml(*entries, index=index), "application/xml")

    def sitemap_xml(self, *entries: str | tuple[str, str], index: bool = False) -> str:
        kind, each = ("sitemapindex", "sitemap") if index else ("urlset", "url")
        rows = ""
        for entry in entries:
            path, lastmod = entry if isinstance(entry, tuple) else (entry, "")
            loc = path if "://" in path else self.url + path
            rows += f"<{each}><loc>{loc}</loc>"
            rows += f"<lastmod>{lastmod}</lastmod></{each}>" if lastmod else f"</{each}>"
        space = "http://www.sitemaps.org/schemas/sitemap/0.9"
        return f'<?xml version="1.0" encoding="UTF-8"?><{kind} xmlns="{space}">{rows}</{kind}>'

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    # A page that fails is asked for again after a pause; here, after none.
    monkeypatch.setattr(client_module, "_wait", lambda state: 0.0)
    made = Site()
    yield made
    made.close()


@pytest.fixture
def connect(site: Site) -> Callable[..., WebConnector]:
    """The connector of a path of the site, with options, as a user writes it."""

    def make(path: str = "/", login: str = "", **options: object) -> WebConnector:
        given = "&".join(f"{k}={v}" for k, v in {"per-second": 1000, **options}.items())
        source = f"{site.url.replace('://', f'://{login}')}{path}#{given}"
        access = Access(contact="Jane jane@example.org", allow_private=("127.0.0.1",), timeout=5.0)
        made = open_source(source, access=access)
        assert isinstance(made, WebConnector)
        return made

    return make
