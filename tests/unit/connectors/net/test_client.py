from __future__ import annotations

import gc
import gzip
import logging
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from typing import Any

import pytest

from connectors.base import Access
from connectors.net.client import Client, RequestFailed
from rag.errors import DocumentError

Serve = Callable[..., Any]
Make = Callable[..., Client]


def said(body: bytes = b"fine", status: str = "200 OK", **headers: str) -> bytes:
    fields = {"Content-Length": str(len(body)), "Connection": "close"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


def in_turn(*answers: bytes) -> Callable[[str], bytes]:
    left = list(answers)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def test_an_answer_is_its_bytes_headers_and_where_it_was_found(serve: Serve, client: Make) -> None:
    server = serve(lambda _: said(b"\x00\xff", ETag='"1"', Content_Type="text/plain"))
    found = client().get(f"{server.url}/a", params={"q": "x y"}, headers={"X-One": "1"})
    assert (found.status, found.content, found.headers["etag"]) == (200, b"\x00\xff", '"1"')
    assert found.url == f"{server.url}/a?q=x+y"
    assert server.requests[0].startswith("GET /a?q=x+y HTTP/1.1\r\n")
    assert "X-One: 1" in server.requests[0]


def test_the_user_agent_says_who_asks(serve: Serve, client: Make) -> None:
    server = serve(lambda _: said())
    client(contact="Jürgen\r\nX-Evil: 1 j@example.org", headers={"Accept": "a/b"}).get(server.url)
    lines = server.requests[0].split("\r\n")
    agent = next(line for line in lines if line.startswith("User-Agent: spanrag/"))
    assert agent.endswith("Jürgen X-Evil: 1 j@example.org")
    assert "Accept: a/b" in lines


def test_a_form_is_sent_again_whole(serve: Serve, client: Make, pauses: list[float]) -> None:
    server = serve(in_turn(said(status="503 Busy"), said(b"done")))
    assert client().post(server.url, data={"id": "1,2"}).content == b"done"
    assert [request.rpartition("\r\n\r\n")[2] for request in server.requests] == ["id=1%2C2"] * 2
    assert len(pauses) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_asked_for_four_times(
    status: int, serve: Serve, client: Make, pauses: list[float]
) -> None:
    server = serve(lambda _: said(status=f"{status} Sorry"))
    with pytest.raises(RequestFailed, match=f"HTTP {status} Sorry") as caught:
        client().get(server.url)
    assert caught.value.status == status
    assert (len(server.requests), len(pauses)) == (4, 3)
    assert max(pauses) <= 8.0


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 501, 301])
def test_what_will_not_pass_is_asked_for_once(
    status: int, serve: Serve, client: Make, pauses: list[float]
) -> None:
    server = serve(lambda _: said(status=f"{status} No"))
    with pytest.raises(RequestFailed) as caught:
        client().get(server.url)
    assert caught.value.status == status
    assert (len(server.requests), pauses) == (1, [])


def test_not_modified_is_an_answer(serve: Serve, client: Make) -> None:
    server = serve(lambda _: b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n")
    assert client().get(server.url, headers={"If-None-Match": "x"}).status == 304


def test_a_hang_up_is_tried_again(serve: Serve, client: Make, pauses: list[float]) -> None:
    server = serve(in_turn(b"", said()[:-2], said()))
    assert client().get(server.url).content == b"fine"
    assert (len(server.requests), len(pauses)) == (3, 2)


def test_the_pause_a_server_asks_for_is_kept(
    serve: Serve, client: Make, pauses: list[float]
) -> None:
    at = formatdate(time.time() + 40, usegmt=True)
    busy = (said(status="429 Slow", Retry_After=value) for value in ("20", at, "garbage"))
    assert client().get(serve(in_turn(*busy, said())).url).content == b"fine"
    assert pauses[0] == 20.0
    assert 35.0 < pauses[1] <= 41.0
    assert pauses[2] <= 8.0


@pytest.mark.parametrize("asked", ["3600", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_server_that_asks_for_a_long_pause_is_left_alone(
    asked: str, serve: Serve, client: Make, pauses: list[float]
) -> None:
    server = serve(lambda _: said(status="503 Later", Retry_After=asked))
    with pytest.raises(RequestFailed, match="asks to wait"):
        client().get(server.url)
    assert (len(server.requests), pauses) == (1, [])


def test_no_pause_goes_beyond_the_deadline(serve: Serve, client: Make, pauses: list[float]) -> None:
    server = serve(lambda _: said(status="503 Later", Retry_After="30"))
    with pytest.raises(RequestFailed, match="HTTP 503"):
        client(deadline=5.0).get(server.url)
    assert (len(server.requests), pauses) == (1, [])


def drip(first: bytes, piece: bytes) -> Callable[[str], Iterator[bytes]]:
    """`first`, and then a little every now and then, for ever."""

    def answer(_: str) -> Iterator[bytes]:
        yield first
        while True:
            yield piece
            time.sleep(0.02)

    return answer


@pytest.mark.parametrize(
    "answer",
    [
        drip(b"HTTP/1.1 200 OK\r\nX-Long: ", b"x"),
        drip(b"HTTP/1.1 ", b"1"),
        drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        drip(b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
        drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        drip(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n",
            gzip.compress(b""),
        ),
    ],
    ids=["header", "status line", "100 Continue", "body", "chunks", "empty gzip members"],
)
def test_a_server_that_drips_is_done_at_the_deadline(
    answer: Callable[[str], Iterator[bytes]], serve: Serve, client: Make
) -> None:
    server = serve(answer)
    with pytest.raises(RequestFailed, match="no answer in time"):
        client(deadline=0.3).get(server.url)
    assert len(server.requests) == 1


def test_redirects_share_one_deadline(serve: Serve, client: Make) -> None:
    def answer(_: str) -> bytes:
        time.sleep(0.2)
        return said(status="302 Found", Location="/next")

    server = serve(answer)
    with pytest.raises(RequestFailed, match="no answer in time"):
        client(deadline=0.5).get(server.url)
    assert len(server.requests) < 6


def test_a_silent_server_is_not_waited_for(serve: Serve, client: Make) -> None:
    def answer(_: str) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\n"
        time.sleep(0.4)

    server = serve(answer)
    with pytest.raises(RequestFailed, match="no answer in time"):
        client(timeout=0.1, deadline=30.0).get(server.url)
    assert len(server.requests) == 4


def test_a_redirect_is_followed_and_its_own_body_is_not_read(serve: Serve, client: Make) -> None:
    def answer(request: str) -> bytes | Iterator[bytes]:
        if request.startswith("GET /b"):
            return said(b"there")
        return drip(b"HTTP/1.1 301 Moved\r\nLocation: /b\r\n\r\n", b"x" * 1000)(request)

    server = serve(answer)
    found = client(deadline=20.0).get(f"{server.url}/a")
    assert (found.content, found.url) == (b"there", f"{server.url}/b")


def test_endless_redirects_end(serve: Serve, client: Make, pauses: list[float]) -> None:
    server = serve(lambda _: said(status="302 Found", Location="/again"))
    with pytest.raises(RequestFailed, match="redirects too often") as caught:
        client().get(server.url)
    assert caught.value.status == 302
    assert (len(server.requests), pauses) == (6, [])


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://x/", "ws://a/"]
)
def test_a_redirect_out_of_the_web_is_refused(location: str, serve: Serve, client: Make) -> None:
    server = serve(lambda _: said(status="302 Found", Location=location))
    with pytest.raises(RequestFailed) as caught:
        client().get(server.url)
    assert caught.value.status == 302
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.org/x",
        "example.org/x",
        "http://",
        "http:///etc",
        "http://a:0/",
        "http://a:99999/",
        "http://a b/",
        "http://a/\nb",
        "http://[::1",
        "",
        "javascript:alert(1)",
        "http://" + "a" * 70 + "é/",
    ],
)
def test_what_is_no_web_address_is_not_asked(url: str, client: Make, pauses: list[float]) -> None:
    with pytest.raises(RequestFailed, match="no web address"):
        client().get(url)
    assert pauses == []


def test_every_address_is_checked_first(serve: Serve, client: Make) -> None:
    seen: list[str] = []

    def check(address: str) -> None:
        seen.append(address)
        if address.endswith("/secret"):
            raise DocumentError("disallowed")

    server = serve(lambda _: said(status="302 Found", Location="/secret"))
    with pytest.raises(DocumentError, match="disallowed"):
        client(check=check).get(f"http://u:p@127.0.0.1:{server.port}/a")
    assert seen == [f"{server.url}/a", f"{server.url}/secret"]
    assert len(server.requests) == 1


def test_a_body_that_never_ends_is_cut_off(serve: Serve, client: Make) -> None:
    def answer(_: str) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\n\r\n"
        while True:
            yield b"x" * 65536

    with pytest.raises(RequestFailed, match="larger than 1,000,000 bytes"):
        client(most_bytes=1_000_000).get(serve(answer).url)


def test_the_bound_is_exact(serve: Serve, client: Make) -> None:
    server = serve(lambda _: said(b"x" * 1000))
    assert len(client().get(server.url, most_bytes=1000).content) == 1000
    with pytest.raises(RequestFailed, match="larger than 999 bytes") as caught:
        client().get(server.url, most_bytes=999)
    assert caught.value.status == 200


def test_headers_may_be_enough_to_want_no_content(serve: Serve, client: Make) -> None:
    def accept(headers: Mapping[str, str]) -> None:
        if headers["content-type"] == "video/mp4":
            raise DocumentError("a film")

    film = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\n\r\n"
    asking = client(deadline=20.0)
    with pytest.raises(DocumentError, match="a film"):
        asking.get(serve(drip(film, b"x" * 1000)).url, accept=accept)
    text = said(Content_Type="text/plain")
    assert asking.get(serve(lambda _: text).url, accept=accept).content == b"fine"


def test_a_packed_answer_is_unpacked(serve: Serve, client: Make) -> None:
    body = bytes(range(256)) * 2000
    server = serve(lambda _: said(gzip.compress(body), Content_Encoding="GZIP"))
    assert client().get(server.url).content == body
    assert "Accept-Encoding: gzip\r\n" in server.requests[0]


def test_of_a_bomb_only_a_little_is_unpacked(serve: Serve, client: Make) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()
    server = serve(lambda _: said(bomb, Content_Encoding="gzip"))
    with pytest.raises(RequestFailed, match="larger than 100,000 bytes"):
        client().get(server.url, most_bytes=100_000)


@pytest.mark.parametrize("packing", ["gzip, gzip", "br", "zstd", "deflate", "gzip,identity"])
def test_a_packing_that_was_not_asked_for_is_refused(
    packing: str, serve: Serve, client: Make
) -> None:
    server = serve(lambda _: said(gzip.compress(b"x"), Content_Encoding=packing))
    with pytest.raises(RequestFailed, match="was not asked for"):
        client().get(server.url)


def test_broken_packing_is_an_error_of_the_document(serve: Serve, client: Make) -> None:
    for body in (b"not gzip", gzip.compress(b"x" * 1000)[:-9]):
        server = serve(lambda _, body=body: said(body, Content_Encoding="gzip"))
        with pytest.raises(RequestFailed, match="broken compression"):
            client().get(server.url)


def test_passwords_are_sent_and_never_shown(
    serve: Serve, client: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server = serve(in_turn(said(), said(status="404 No")))
    url = f"http://user:hush%40@127.0.0.1:{server.port}/a"
    asking = client()
    found = asking.get(url)
    assert "Authorization: Basic dXNlcjpodXNoQA==" in server.requests[0]
    assert found.url == f"{server.url}/a"
    with pytest.raises(RequestFailed) as caught:
        asking.get(url, params={"api_key": "hush"})
    assert str(caught.value) == f"{server.url}/a: HTTP 404 No"
    assert "hush@" not in caplog.text
    assert "hush%40" not in caplog.text


@pytest.mark.parametrize(
    "url",
    ["http://user:hush#x@host/", "http://user:hu/sh@host/", "ftp://user:hush@host/"],
)
def test_a_password_in_a_broken_address_is_not_shown(url: str, client: Make) -> None:
    with pytest.raises(RequestFailed) as caught:
        client().get(url)
    assert "hu" not in str(caught.value)


def test_a_password_does_not_follow_to_another_host(serve: Serve, client: Make) -> None:
    other = serve(lambda _: said(b"other"))
    moved = said(status="302 Found", Location=f"{other.url}/")
    server = serve(lambda request: said() if "GET /here" in request else moved)
    asking = client()
    assert asking.get(f"http://u:p@127.0.0.1:{server.port}/").content == b"other"
    assert "Authorization" in server.requests[0]
    assert "Authorization" not in other.requests[0]
    asking.get(f"{server.url}/here")
    assert "Authorization" not in server.requests[1]


def test_a_password_stays_on_redirects_within_its_host(serve: Serve, client: Make) -> None:
    moved = said(status="302 Found", Location="/b")
    server = serve(lambda request: said() if "GET /b" in request else moved)
    client().get(f"http://u:p@127.0.0.1:{server.port}/a")
    assert ["Authorization" in request for request in server.requests] == [True, True]


def test_cookies_are_not_kept(serve: Serve, client: Make) -> None:
    moved = said(status="302 Found", Location="/b", Set_Cookie="who=me; Path=/")
    server = serve(lambda request: said() if "GET /b" in request else moved)
    asking = client()
    asking.get(f"{server.url}/a")
    asking.get(f"{server.url}/b")
    assert not any("Cookie" in request for request in server.requests)


def test_proxies_of_the_environment_are_not_used(
    serve: Serve, client: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, server = serve(lambda _: said(b"proxied")), serve(lambda _: said())
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    assert client().get(server.url).content == b"fine"
    assert proxy.requests == []


def test_threads_share_a_client(serve: Serve, client: Make) -> None:
    server = serve(lambda request: said(request.split()[1].encode() * 1000))
    asking = client()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: asking.get(f"{server.url}/{n}").content, range(40)))
    assert found == [f"/{n}".encode() * 1000 for n in range(40)]


def test_a_host_that_is_not_there_is_no_connection(
    client: Make, resolve: Callable[..., list[str]]
) -> None:
    resolve({"gone.test": [[]]})
    with pytest.raises(RequestFailed, match=r"^http://gone\.test/a: no connection") as caught:
        client().get("http://gone.test/a?key=hush")
    assert caught.value.status == 0


def test_connections_close_with_the_last_user(serve: Serve) -> None:
    closed = threading.Event()

    def answer(_: str) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        closed.wait(5)

    server = serve(answer)
    asking = Client(Access(allow_private=("127.0.0.1",)))
    asking.get(server.url)
    transport = asking._http._transport
    assert transport._pool.connections  # type: ignore[attr-defined]
    del asking
    gc.collect()
    assert transport._pool.connections == []  # type: ignore[attr-defined]
    closed.set()
