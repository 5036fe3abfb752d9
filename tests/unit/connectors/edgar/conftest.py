from __future__ import annotations

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from connectors.base import Access
from connectors.edgar import EdgarApi, EdgarConnector
from connectors.edgar.options import EdgarOptions

DATA = Path(__file__).parents[3] / "data" / "edgar"
ARCHIVE = "/Archives/edgar/data/320193"


class Edgar(ThreadingHTTPServer):
    """EDGAR on loopback: `pages` by path, and what was asked of it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages: dict[str, bytes | int] = {
            "/files/company_tickers.json": recorded("company_tickers.json"),
            "/submissions/CIK0000320193.json": recorded("CIK0000320193.json"),
            "/submissions/CIK0000320193-submissions-001.json": recorded(
                "CIK0000320193-submissions-001.json"
            ),
            f"{ARCHIVE}/000032019325000057/aapl-20250329.htm": recorded("aapl-20250329.htm"),
            f"{ARCHIVE}/000110465904019574/a04-7804_18k.htm": recorded("a04-7804_18k.htm"),
            f"{ARCHIVE}/000032019396000027/0000320193-96-000027.txt": recorded(
                "0000320193-96-000027.txt"
            ),
        }
        self.asked: list[str] = []
        self.agents: set[str] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Edgar

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.agents.add(self.headers["User-Agent"])
        page = self.server.pages.get(self.path, 404)
        self.send_response(page if isinstance(page, int) else 200)
        body = b"" if isinstance(page, int) else page
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


def recorded(name: str) -> bytes:
    return (DATA / name).read_bytes()


@pytest.fixture
def edgar() -> Iterator[Edgar]:
    server = Edgar()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def access() -> Access:
    return Access(contact="Jane Doe jane@example.org", allow_private=("127.0.0.1",))


@pytest.fixture
def connect(edgar: Edgar, access: Access) -> Callable[..., EdgarConnector]:
    def connect(*companies: str, **options: object) -> EdgarConnector:
        api = EdgarApi(access, www=edgar.url, data=edgar.url, per_second=1_000)
        return EdgarConnector(api, companies or ("AAPL",), EdgarOptions(**options))

    return connect
