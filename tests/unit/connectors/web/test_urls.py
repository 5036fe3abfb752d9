from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.web import urls
from connectors.web.urls import Scope, normal, resolve
from rag.errors import UsageError


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("HTTP://Example.ORG", "http://example.org/"),
        ("https://example.org:443/a", "https://example.org/a"),
        ("http://example.org:443/a", "http://example.org:443/a"),
        ("https://u:p@example.org/a?b=1#c", "https://example.org/a?b=1"),
        ("https://example.org/a/./b/../c", "https://example.org/a/c"),
        ("https://example.org/?", "https://example.org/"),
        ("https://example.org/ü ?q=é", "https://example.org/%C3%BC%20?q=%C3%A9"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("http://[::1]:80/x", "http://[::1]/x"),
    ],
)
def test_there_is_one_spelling_of_an_address(written: str, expected: str) -> None:
    assert normal(written) == expected
    assert normal(expected) == expected


@given(st.text("ab.:/?=%0aA-~&", max_size=20), st.sampled_from(["", ":8080", ":80", ":443"]))
def test_the_quick_way_changes_nothing(rest: str, port: str) -> None:
    address = f"https://a.b{port}/{rest}"
    quick = normal(address)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(urls, "_PLAIN", re.compile("(?!)"))
        assert normal(address) == quick


@pytest.mark.parametrize("written", ["", "example.org", "ftp://h/", "http://", "http://h:x/"])
def test_what_is_no_address_is_said(written: str) -> None:
    with pytest.raises(UsageError, match="no web address"):
        normal(written)


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("b", "http://h/a/b"),
        (" b\n c ", "http://h/a/b%20c"),
        ("?q", "http://h/a/x?q"),
        ("#top", "http://h/a/x"),
        ("//other/y", "http://other/y"),
        ("mailto:a@b", None),
        ("javascript:void(0)", None),
        ("data:text/html,x", None),
        ("http://[broken/", None),
        ("http://h:99999/", None),
        ("x" * 3000, None),
        ("é" * 1000, None),
    ],
)
def test_links_are_resolved_or_dropped(link: str, expected: str | None) -> None:
    assert resolve("http://h/a/x", link) == expected


def test_a_scope_names_its_pages_from_the_folder_on() -> None:
    scope = Scope.below("http://h/docs/")
    assert scope.name("http://h/docs/a/b?q") == "a/b?q"
    assert scope.name("http://h/docs/") == "h"
    assert Scope.whole("http://h/docs/").name("http://h/x") == "x"
    assert Scope.only("http://h/docs/a.html").name("http://h/docs/a.html") == "a.html"


@pytest.mark.parametrize(
    ("origin", "address", "expected"),
    [
        ("https://h", "http://h/a?b", "https://h/a?b"),
        ("https://h", "https://h/a", "https://h/a"),
        ("https://h", "http://h:8080/a", "http://h:8080/a"),
        ("https://h:8443", "http://h:8443/a", "http://h:8443/a"),
        ("https://h", "http://other/a", "http://other/a"),
    ],
)
def test_http_and_https_of_one_host_are_one(origin: str, address: str, expected: str) -> None:
    assert Scope.whole(f"{origin}/").adopt(address) == expected


def test_a_scope_does_not_cover_lookalikes() -> None:
    scope = Scope.below("https://h/docs")
    covered = ["https://h/docs", "https://h/docs/", "https://h/docs/a", "https://h/docs?q=1"]
    others = ["https://h/docsx", "https://h.evil/docs/", "https://h:8443/docs/a", "http://h/docs/"]
    assert [scope.covers(each) for each in covered] == [True] * 4
    assert [scope.covers(each) for each in others] == [False] * 4
