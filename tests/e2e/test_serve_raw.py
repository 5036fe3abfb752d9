"""`rag serve` under requests that no client library would send, and bodies meant to break it."""

from __future__ import annotations

import json
import re
import socket
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from serving import KEYS, TABLE, client, serving
from tenants import indexed

from pipelines.serve import app
from pipelines.serve.bodies import BoundedBodies

KEY = f"Authorization: Bearer {KEYS['writer']}"
AUTHORIZED = f"Host: x\r\n{KEY}\r\n"
GET = "GET /v1/models HTTP/1.1\r\n"
POST = f"POST /v1/search HTTP/1.1\r\n{AUTHORIZED}Content-Type: application/json\r\n"
ASK = json.dumps({"question": "How many?"})
HIDDEN = f"{GET}{AUTHORIZED}\r\n"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    where = indexed(tmp_path_factory.mktemp("raw") / "index")
    with serving(where, api_keys=TABLE, requests_per_minute=0) as address:
        yield address


@pytest.fixture(autouse=True)
def _still_there(base: str) -> Iterator[None]:
    yield
    with client(base, "reader") as asking:
        assert asking.get("/readyz").is_success


def said(base: str, *parts: str | bytes, patience: float = 2.0) -> bytes:
    """All that a server says to this, until it hangs up or has been silent for a while."""
    address = urlsplit(base)
    told = b""
    with socket.create_connection((address.hostname, address.port), timeout=patience) as line:
        for part in parts:
            line.sendall(part.encode() if isinstance(part, str) else part)
        try:
            while more := line.recv(65_536):
                told += more
        except (TimeoutError, ConnectionResetError):
            pass
    return told


def statuses(told: bytes) -> list[int]:
    """Those of all answers that stand in it."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", told)]


def chunk(text: str) -> str:
    return f"{len(text.encode()):x}\r\n{text}\r\n"


CHUNKED = f"{chunk(ASK)}0\r\n\r\n"
SMUGGLED = {
    "both lengths, the chunks shorter": (
        f"{POST}Content-Length: {len(CHUNKED) + len(HIDDEN)}\r\n"
        f"Transfer-Encoding: chunked\r\n\r\n{CHUNKED}{HIDDEN}"
    ),
    "both lengths, the length shorter": (
        f"{POST}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n{CHUNKED}{HIDDEN}"
    ),
    "two lengths": (f"{POST}Content-Length: {len(ASK)}\r\nContent-Length: 0\r\n\r\n{ASK}{HIDDEN}"),
    "a list of lengths": f"{POST}Content-Length: {len(ASK)}, 0\r\n\r\n{ASK}{HIDDEN}",
    "a length with a sign": f"{POST}Content-Length: +{len(ASK)}\r\n\r\n{ASK}{HIDDEN}",
    "a length below nothing": f"{POST}Content-Length: -1\r\n\r\n{ASK}{HIDDEN}",
    "a length in other digits": f"{POST}Content-Length: \u0663\r\n\r\n{ASK}{HIDDEN}",
    "an unknown encoding": f"{POST}Transfer-Encoding: xchunked\r\n\r\n{CHUNKED}{HIDDEN}",
    "two encodings": (f"{POST}Transfer-Encoding: identity, chunked\r\n\r\n{CHUNKED}{HIDDEN}"),
    "a blank before the colon": (
        f"{POST}Transfer-Encoding : chunked\r\nContent-Length: {len(ASK)}\r\n\r\n{ASK}{HIDDEN}"
    ),
    "a folded header": (
        f"{POST}X: y\r\n Transfer-Encoding: chunked\r\nContent-Length: 0x9\r\n\r\n{ASK}{HIDDEN}"
    ),
    "a chunk of no size": f"{POST}Transfer-Encoding: chunked\r\n\r\n-{CHUNKED}{HIDDEN}",
    "a length with a NUL": f"{POST}Content-Length: 1\x00\r\n\r\n{ASK}{HIDDEN}",
}


@pytest.mark.parametrize("sent", SMUGGLED.values(), ids=list(SMUGGLED))
def test_no_request_hides_in_anothers_body(base: str, sent: str) -> None:
    """Where the length of a body is in doubt, what follows it is never read as a request."""
    told = said(base, sent)
    assert len(statuses(told)) <= 1, told
    assert b'"spanrag"' not in told


NO_REQUESTS = {
    "nothing": "\r\n\r\n",
    "noise": bytes(range(256)) * 8,
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
    "HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": "GET /v1/models\r\n\r\n",
    "a NUL in a key": f"{GET}Host: x\r\n{KEY}\x00\r\n\r\n",
    "a bare CR in a header": f"{GET}Host: x\r\nX: a\r{KEY}\r\n\r\n",
    "no host": f"{GET}{KEY}\r\n\r\n",
    "two hosts": f"{GET}{AUTHORIZED}Host: y\r\n\r\n",
    "a method of blanks": f"   {GET[3:]}{AUTHORIZED}\r\n",
    "a header of a megabyte": f"{GET}{AUTHORIZED}X: {'x' * 1_000_000}\r\n\r\n",
    "headers without number": f"{GET}{AUTHORIZED}{chr(10).join(['X: y'] * 99_000)}\r\n\r\n",
    "a path of a megabyte": f"GET /v1/documents/{'x' * 1_000_000} HTTP/1.1\r\n{AUTHORIZED}\r\n",
}  # fmt: skip


@pytest.mark.parametrize("sent", NO_REQUESTS.values(), ids=list(NO_REQUESTS))
def test_what_is_no_request_is_refused(base: str, sent: str | bytes) -> None:
    told = said(base, sent)
    assert set(statuses(told)) <= {400, 401, 404, 405, 414, 431}, told
    assert b'"spanrag"' not in told


ODD_IDS = [
    "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd", "....//....//etc/passwd",
    "..%5c..%5cwindows%5cwin.ini", "%c0%ae%c0%ae%c0%afetc%c0%afpasswd", "%00", "lock",
    "lock%00.done", "..%2findex-jobs%2flock", "%252e%252e%252fetc%252fpasswd", "/etc/passwd",
    "file:%2f%2f%2fetc",
    "x%0d%0aSet-Cookie:%20a=b", "%ff%fe", "%F0%9F%98%80", "'%20or%20'1'='1", '"}', "*", "{doc_id}",
    "${jndi:ldap:%2f%2fx}", "-1", "NaN", "null", "0" * 4_000, "%2a", "$(id)", "%25n%25n",
    "00000000-0000-5000-8000-000000000000%20", "00000000000000-00000000", "%ed%a0%80",
]  # fmt: skip


@pytest.mark.parametrize("odd", ODD_IDS, ids=lambda odd: odd[:30])
def test_an_id_is_an_id_and_leads_nowhere_else(base: str, odd: str) -> None:
    for method in ("GET", "DELETE"):
        for folder in ("documents", "jobs", "page"):
            path = f"/{folder}/{odd}" if folder == "page" else f"/v1/{folder}/{odd}"
            told = said(base, f"{method} {path} HTTP/1.1\r\n{AUTHORIZED}Connection: close\r\n\r\n")
            (status,) = statuses(told)
            assert status in (400, 404, 405), told
            assert b"root:" not in told
            assert b"set-cookie" not in told.lower()


def test_nobody_is_waited_for_who_has_no_key(base: str) -> None:
    """They are refused by their head alone; not even a body that is announced is asked for."""
    for more in ("Content-Length: 9000000", "Transfer-Encoding: chunked", "Expect: 100-continue"):
        for path in ("/v1/ingest", "/v1/query", "/nowhere"):
            told = said(base, f"POST {path} HTTP/1.1\r\nHost: x\r\n{more}\r\n\r\n", patience=0.3)
            assert statuses(told) == [401], told


def test_a_body_that_never_ends_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "BoundedBodies", partial(BoundedBodies, seconds=0.5))
    whole = f"{POST}Connection: close\r\nContent-Length: {len(ASK)}\r\n\r\n"
    chunked = f"{POST}Transfer-Encoding: chunked\r\n\r\n"
    with serving(tmp_path / "index", api_keys=TABLE) as base:
        for sent in (f"{chunked}{chunk('{')}", f"{POST}Content-Length: 900\r\n\r\n{{"):
            told = said(base, sent, patience=1.5)
            assert statuses(told) == [408]
            assert b"application/problem+json" in told
        assert statuses(said(base, f"{whole}{ASK}")) == [200]
