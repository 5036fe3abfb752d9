from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

import pytest

from connectors.base import Access
from connectors.net.client import Client
from connectors.net.guard import GuardedBackend, refuse_private
from rag.errors import DocumentError, UsageError

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfine"


@pytest.mark.parametrize(
    "address",
    """
    127.0.0.1 127.8.9.10 0.0.0.0 0.1.2.3 10.1.2.3 172.16.0.1 172.31.255.255 192.168.1.1
    169.254.169.254 100.64.0.1 100.127.255.254 192.0.0.1 192.0.2.1 198.18.0.1 198.51.100.7
    203.0.113.9 224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255
    :: ::1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:0:7f00:1 fe80::1 fe80::1%eth0 fec0::1
    fc00::1 fd12:3456::1 ff02::1 2001:db8::1 2002:7f00:1:: 2002:a00:1::1 64:ff9b::7f00:1
    64:ff9b::a9fe:a9fe 64:ff9b:1::7f00:1 2001:0:7f00:1::1 2001:0:808:808:0:0:80ff:fffe 100::1
    4000::1
    """.split(),
)
def test_what_is_not_on_the_internet_is_refused(address: str) -> None:
    with pytest.raises(DocumentError, match=r"not a public address; .*allow_private=\['name'\]"):
        refuse_private("name", address)


@pytest.mark.parametrize(
    "address",
    "8.8.8.8 172.32.0.1 100.63.255.255 100.128.0.1 2606:4700::1111 2a00:1450:4001::1 "
    "::ffff:8.8.8.8 64:ff9b::808:808 2002:808:808::1".split(),
)
def test_a_public_address_passes(address: str) -> None:
    refuse_private("name", address)


def test_a_network_that_is_allowed_passes_and_its_neighbour_does_not() -> None:
    allowed = [ip_network("10.2.0.0/16"), ip_network("fd00::/8")]
    for address in ("10.2.3.4", "::ffff:10.2.3.4", "fd12::1"):
        refuse_private("name", address, allowed)
    with pytest.raises(DocumentError):
        refuse_private("name", "10.3.0.1", allowed)


@pytest.mark.parametrize(
    "host",
    "localhost LOCALHOST localhost. 127.0.0.1 127.1 2130706433 0x7f000001 0x7f.1 0177.0.0.1 0 "
    "0.0.0.0 [::1] [::ffff:127.0.0.1] [::]".split(),
)
def test_no_spelling_of_loopback_is_connected_to(
    host: str, serve: Callable[..., Any], pauses: list[float]
) -> None:
    server = serve(lambda _: OK)
    with (
        Client(Access(timeout=1.0), pause=pauses.append) as client,
        pytest.raises(DocumentError, match=r"not a public address|no such host|no web address"),
    ):
        client.get(f"http://{host}:{server.port}/")
    assert server.requests == []


@pytest.mark.parametrize(
    ("allowed", "host"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.0/8", "127.0.0.1"),
        ("127.0.0.1", "wiki.test"),
        ("127.0.0.0/8", "wiki.test"),
        ("wiki.test", "wiki.test"),
        ("Wiki.Test.", "wiki.test"),
        ("wiki.test", "WIKI.test"),
        ("bücher.test", "bücher.test"),
        ("bücher.test", "xn--bcher-kva.test"),
    ],
)
def test_a_private_place_is_allowed_by_host_address_or_network(
    allowed: str,
    host: str,
    serve: Callable[..., Any],
    client: Callable[..., Client],
    resolve: Callable[..., list[str]],
) -> None:
    resolve({"wiki.test": [["127.0.0.1"]], "xn--bcher-kva.test": [["127.0.0.1"]]})
    server = serve(lambda _: OK)
    found = client(allow_private=(allowed,)).get(f"http://{host}:{server.port}/")
    assert found.content == b"fine"


def test_another_host_at_the_address_of_one_that_is_allowed_by_name_is_refused(
    serve: Callable[..., Any], client: Callable[..., Client], resolve: Callable[..., list[str]]
) -> None:
    resolve({"wiki.test": [["127.0.0.1"]], "evil.test": [["127.0.0.1"]]})
    server = serve(lambda _: OK)
    with pytest.raises(DocumentError, match=r"evil\.test is at 127\.0\.0\.1"):
        client(allow_private=("wiki.test",)).get(f"http://evil.test:{server.port}/")
    assert server.requests == []


def test_one_private_address_among_public_ones_is_enough_to_refuse(
    client: Callable[..., Client], resolve: Callable[..., list[str]]
) -> None:
    resolve({"mixed.test": [["8.8.8.8", "10.0.0.1"]]})
    with pytest.raises(DocumentError, match=r"mixed\.test is at 10\.0\.0\.1"):
        client().get("http://mixed.test/")


def test_the_address_that_was_checked_is_the_one_connected_to(
    client: Callable[..., Client],
    resolve: Callable[..., list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A name that turns into loopback at the second look-up: there must be no second one.
    asked = resolve({"rebind.test": [["8.8.8.8"], ["127.0.0.1"]]})
    connected: list[str] = []

    def connect(address: tuple[str, int], *_: object, **__: object) -> socket.socket:
        connected.append(address[0])
        raise TimeoutError("unreachable here")

    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(DocumentError):
        client(allow_private=()).get("http://rebind.test/")
    assert connected[0] == "8.8.8.8"
    assert "127.0.0.1" not in connected
    assert asked == ["rebind.test"] * (len(connected) + 1)  # each attempt looks up, and checks


@pytest.mark.parametrize("location", ["http://127.0.0.1:{}/", "http://inner.test:{}/", "//0:{}/"])
def test_a_redirect_to_a_private_address_is_refused(
    location: str,
    serve: Callable[..., Any],
    client: Callable[..., Client],
    resolve: Callable[..., list[str]],
) -> None:
    resolve({"outer.test": [["127.0.0.1"]], "inner.test": [["127.0.0.1"]]})
    inner = serve(lambda _: OK)
    head = f"HTTP/1.1 302 Found\r\nLocation: {location.format(inner.port)}\r\n\r\n".encode()
    outer = serve(lambda _: head)
    with pytest.raises(DocumentError, match="not a public address"):
        client(allow_private=("outer.test",)).get(f"http://outer.test:{outer.port}/")
    assert (len(outer.requests), inner.requests) == (1, [])


def test_the_next_address_is_tried_where_one_does_not_answer(
    serve: Callable[..., Any], client: Callable[..., Client], resolve: Callable[..., list[str]]
) -> None:
    resolve({"two.test": [["127.0.0.9", "127.0.0.1"]]})
    server = serve(lambda _: OK)
    found = client(allow_private=("two.test",)).get(f"http://two.test:{server.port}/")
    assert found.content == b"fine"


@pytest.mark.parametrize("entry", ["10.0.0.0/99", "wiki.local/path", "a\nb", "x" * 70 + "é"])
def test_an_entry_that_is_neither_host_nor_network_is_named(entry: str) -> None:
    with pytest.raises(UsageError, match="allow_private"):
        GuardedBackend((entry,))
