from __future__ import annotations

import base64
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from connectors.base import Access
from connectors.registry import open_source
from connectors.web import WebConnector, wishes
from rag.errors import DocumentError, SourceError, UsageError

Connect = Callable[..., WebConnector]


def linked(*links: str, head: str = "", words: str = "Words.") -> str:
    anchors = "".join(f'<a href="{link}">link</a>' for link in links)
    return f"<html><head>{head}</head><body><p>{words}</p>{anchors}</body></html>"


def keys(connector: WebConnector, site: Any) -> list[str]:
    return [ref.key.removeprefix(site.url) for ref in connector.list()]


@pytest.fixture
def small(site: Any) -> Any:
    """Five pages below /docs/, linked as a tree with loops, and others outside."""
    site.page("/docs/", linked("b", "a", "/other", "b#part", "https://example.org/", "mailto:x@y"))
    site.page("/docs/a", linked("/docs/", "deep/c", "a?page=2"))
    site.page("/docs/b", linked("../docs/a", "//127.0.0.1:1/x", "javascript:alert(1)"))
    site.page("/docs/deep/c", linked("d"))
    site.page("/docs/deep/d", linked("/docs/"))
    site.page("/docs/a?page=2", linked("a?page=2"))
    site.page("/other", linked("/docs/hidden"))
    return site


def test_links_are_followed_breadth_first_as_deep_as_asked(small: Any, connect: Connect) -> None:
    assert keys(connect("/docs/", depth=0), small) == ["/docs/"]
    assert keys(connect("/docs/", depth=1), small) == ["/docs/", "/docs/b", "/docs/a"]
    whole = ["/docs/", "/docs/b", "/docs/a", "/docs/deep/c", "/docs/a?page=2", "/docs/deep/d"]
    connector = connect("/docs/", depth=9)
    assert keys(connector, small) == whole
    assert keys(connector, small) == whole
    assert "/other" not in small.asked


def test_each_page_is_asked_for_once(small: Any, connect: Connect) -> None:
    connector = connect("/docs/", depth=9)
    documents = [connector.fetch(ref) for ref in connector.list()]
    assert len(documents) == 6
    assert len(small.asked) == len(set(small.asked)) == 7  # with robots.txt


def test_what_is_covered_is_what_was_listed(small: Any, connect: Connect) -> None:
    connector = connect("/docs/", depth=1)
    assert connector.namespace == "web"
    assert connector.covers(f"{small.url}/docs/gone")
    assert connector.covers(f"{small.url}/docs")
    for other in (f"{small.url}/docsx", f"{small.url}/", "https://example.org/docs/a", "docs/a"):
        assert not connector.covers(other)
    alone = connect("/docs/a", depth=0)
    list(alone.list())
    assert alone.covers(f"{small.url}/docs/a")
    assert not alone.covers(f"{small.url}/docs/a?page=2")
    assert not alone.covers(f"{small.url}/docs/b")


def test_a_page_without_links_to_it_any_more_is_not_listed(small: Any, connect: Connect) -> None:
    connector = connect("/docs/", depth=1)
    before = {ref.key: ref.fingerprint for ref in connector.list()}
    small.page("/docs/", linked("a"))
    after = {ref.key: ref.fingerprint for ref in connector.list()}
    assert before.keys() - after.keys() == {f"{small.url}/docs/b"}
    assert after[f"{small.url}/docs/a"] == before[f"{small.url}/docs/a"]
    assert after[f"{small.url}/docs/"] != before[f"{small.url}/docs/"]


def test_folders_by_their_spelling(site: Any, connect: Connect) -> None:
    for path in ("/docs", "/docs/index.html"):
        site.page(path, linked("/docs/a", "/docsx", "/b"))
    for path in ("/docs/a", "/docsx", "/b"):
        site.page(path, linked())
    assert keys(connect("/docs", depth=1), site) == ["/docs", "/docs/a"]
    assert keys(connect("/docs/index.html", depth=1), site) == ["/docs/index.html", "/docs/a"]


def test_robots_txt_is_kept_to(small: Any, connect: Connect) -> None:
    rules = "User-agent: *\nDisallow: /\n\nUser-agent: SpanRAG\nDisallow: /docs/a$\nCrawl-delay: 0"
    small.page("/robots.txt", rules, "text/plain")
    assert keys(connect("/docs/", depth=9), small) == ["/docs/", "/docs/b"]
    assert "/docs/a" not in small.asked
    with pytest.raises(UsageError, match=r"/docs/a: robots\.txt asks not to read it"):
        list(connect("/docs/a").list())
    assert "/docs/a" not in small.asked


def test_a_redirect_to_what_robots_txt_disallows_is_not_followed(
    site: Any, connect: Connect
) -> None:
    site.page("/robots.txt", "User-agent: *\nDisallow: /private", "text/plain")
    site.page("/", linked("/a", "/b"))
    site.moved("/a", "/private")
    site.page("/private", linked())
    site.page("/b", linked())
    assert keys(connect("/", depth=1), site) == ["/", "/b"]
    assert "/private" not in site.asked


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_robots_txt_that_is_not_there_allows_all(
    status: int, small: Any, connect: Connect
) -> None:
    small.page("/robots.txt", "User-agent: *\nDisallow: /", status=status)
    assert keys(connect("/docs/", depth=0), small) == ["/docs/"]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_robots_txt_that_cannot_be_had_stops_all(
    status: int, small: Any, connect: Connect
) -> None:
    small.page("/robots.txt", "", status=status)
    with pytest.raises(SourceError, match=rf"robots\.txt: HTTP {status}"):
        list(connect("/docs/", depth=0).list())
    assert set(small.asked) == {"/robots.txt"}


def test_a_robots_txt_may_be_moved_even_to_where_it_disallows(small: Any, connect: Connect) -> None:
    small.moved("/robots.txt", "/rules/robots")
    small.page("/rules/robots", "User-agent: *\nDisallow: /rules\nDisallow: /docs/b")
    assert keys(connect("/docs/", depth=1), small) == ["/docs/", "/docs/a"]


def test_wishes_of_pages_are_kept_to(site: Any, connect: Connect) -> None:
    more = '<a rel="external NoFollow" href="/ad">x</a><area href="/map"><a name="x">y</a>'
    site.page("/", linked("/noindex", "/nofollow", "/none", "/header", words=more))
    site.page("/noindex", linked("/1", head='<meta name="robots" content="noindex">'))
    site.page("/nofollow", linked("/2", head='<meta name="robots" content="NOFOLLOW">'))
    site.page("/none", linked("/3", head='<meta name="robots" content="none">'))
    site.page("/header", linked("/4"), X_Robots_Tag="noindex, nofollow")
    for path in ("/1", "/2", "/3", "/4", "/ad", "/map"):
        site.page(path, linked())
    assert keys(connect("/", depth=2), site) == ["/", "/map", "/nofollow", "/1"]
    with pytest.raises(UsageError, match="asks not to be indexed"):
        list(connect("/noindex").list())


def test_a_base_moves_the_links(site: Any, connect: Connect) -> None:
    site.page("/x/", linked("a", head='<base href="/x/y/">'))
    site.page("/x/y/a", linked())
    assert keys(connect("/x/", depth=1), site) == ["/x/", "/x/y/a"]


def test_a_page_is_listed_where_redirects_lead_and_once(site: Any, connect: Connect) -> None:
    site.page("/docs/", linked("old", "older", "new", "out", "loop", "self"))
    site.moved("/docs/old", "/docs/new")
    site.moved("/docs/older", "old")
    site.moved("/docs/out", "/login")
    site.moved("/docs/loop", "loop")
    site.moved("/docs/self", "/docs/")
    site.page("/docs/new", linked())
    site.page("/login", linked())
    refs = list(connect("/docs/", depth=1).list())
    assert [ref.key.removeprefix(site.url) for ref in refs] == [
        "/docs/", "/docs/new", "/docs/loop"
    ]  # fmt: skip
    assert "redirects too often" in str(refs[2].problem)


def test_a_page_named_by_the_user_keeps_its_name(site: Any, connect: Connect) -> None:
    site.moved("/latest", "/v2/manual")
    site.page("/v2/manual", linked(words="Version two."))
    connector = connect("/latest")
    (ref,) = connector.list()
    document = connector.fetch(ref)
    assert ref.key == f"{site.url}/latest"
    assert document.meta["url"] == f"{site.url}/v2/manual"
    assert document.text.startswith("Version two.")
    with pytest.raises(UsageError, match=r"redirects to .*/v2/manual; name that"):
        list(connect("/latest", depth=1).list())


def test_a_trap_of_links_without_end_is_left(site: Any, connect: Connect) -> None:
    day = iter(range(10**9))

    def calendar() -> tuple[int, dict[str, str], bytes]:
        links = [f"/calendar?day={next(day)}" for _ in range(50)]
        for link in links:
            site.pages[link] = calendar
        return 200, {"Content-Type": "text/html"}, linked(*links).encode()

    site.pages["/"] = calendar
    refs = list(connect("/", depth=100, most=30).list())
    assert len(site.asked) == 31
    assert len(refs) == 31
    assert (refs[-1].key, "more than 30 pages" in str(refs[-1].problem)) == ("", True)


def test_longer_and_longer_addresses_are_not_followed(site: Any, connect: Connect) -> None:
    site.page("/", linked("/" + "a" * 2_001, "/b"))
    site.page("/b", linked())
    assert keys(connect("/", depth=1), site) == ["/", "/b"]


def test_a_page_that_fails_hides_what_it_links_to(site: Any, connect: Connect) -> None:
    site.page("/", linked("/a", "/b"))
    site.page("/a", "", status=500)
    site.page("/b", linked())
    # A leaf: it stays as it is, and nothing else is hidden.
    assert keys(connect("/", depth=1), site) == ["/", "/a", "/b"]
    # Pages below it may be there or not: no key, so that nothing is retired.
    refs = list(connect("/", depth=2).list())
    assert [ref.key.removeprefix(site.url) for ref in refs] == ["/", "", "/b"]
    assert "HTTP 500" in str(refs[1].problem)


def test_large_pages_are_problems_of_their_own(site: Any) -> None:
    site.page("/", linked(*[f"/{n}" for n in range(7)], "/ok"))
    site.page("/ok", linked())
    for n in range(7):
        site.page(f"/{n}", "x" * 3_000)
    access = Access(allow_private=("127.0.0.1",), most_bytes=2_000)
    refs = list(open_source(f"{site.url}/#depth=5&per-second=1000", access=access).list())
    assert [ref.key.removeprefix(site.url) for ref in refs if ref.problem is None] == ["/", "/ok"]
    assert [str(ref.problem) for ref in refs[1:8]] == [
        f"{site.url}/{n}: larger than 2,000 bytes" for n in range(7)
    ]


def test_a_slow_page_is_a_problem_of_its_own(site: Any) -> None:
    def slow() -> tuple[int, dict[str, str], bytes]:
        time.sleep(0.4)
        return 200, {"Content-Type": "text/html"}, b"late"

    site.page("/", linked("/slow", "/ok"))
    site.pages["/slow"] = slow
    site.page("/ok", linked())
    access = Access(allow_private=("127.0.0.1",), timeout=0.2)
    refs = list(open_source(f"{site.url}/#depth=1&per-second=1000", access=access).list())
    assert [ref.key.removeprefix(site.url) for ref in refs] == ["/", "/slow", "/ok"]
    assert "no answer in time" in str(refs[1].problem)


def test_the_first_page_must_be_there(site: Any, connect: Connect) -> None:
    for status, kind in ((404, UsageError), (403, UsageError), (500, SourceError)):
        site.page("/a", "", status=status)
        for options in ({}, {"depth": 1}):
            with pytest.raises(kind, match=f"/a: HTTP {status}"):
                list(connect("/a", **options).list())
    site.page("/a", b"\x89PNG", "image/png")
    for options in ({}, {"depth": 1}):
        with pytest.raises(UsageError, match="image/png: not a format that is read"):
            list(connect("/a", **options).list())


def test_a_host_that_is_private_or_not_there_is_said(site: Any) -> None:
    with pytest.raises(UsageError, match=r"not a public address; .*allow_private"):
        list(open_source(f"{site.url}/", access=Access()).list())
    access = Access(allow_private=("127.0.0.1",))
    with pytest.raises(SourceError, match="no connection"):
        list(open_source("http://127.0.0.1:1/", access=access).list())
    assert site.asked == []


def test_formats_that_are_not_read_are_passed_over_unread(site: Any, connect: Connect) -> None:
    site.page("/", linked("/logo", "/film", "/wiki/File:Map.jpg", "/style.css"))
    site.page("/logo", b"\x89PNG", "image/png")
    site.page("/film", b"x" * 5_000_000, "video/mp4")
    site.page("/wiki/File:Map.jpg", linked())
    site.page("/style.css", "p {}", "text/css")
    assert keys(connect("/", depth=1), site) == ["/", "/wiki/File:Map.jpg"]


def test_a_login_is_sent_to_its_host_and_shown_nowhere(site: Any, connect: Connect) -> None:
    login = "Basic " + base64.b64encode(b"jane:hush@1").decode()

    def page() -> tuple[int, dict[str, str], bytes]:
        known = site.headers[-1].get("Authorization") == login
        body = linked("/b").encode()
        return (200, {"Content-Type": "text/html"}, body) if known else (401, {}, b"")

    site.pages["/"] = site.pages["/b"] = page
    connector = connect("/", login="jane:hush%401@", depth=1)
    refs = list(connector.list())
    assert [ref.key for ref in refs] == [f"{site.url}/", f"{site.url}/b"]
    shown = repr(refs) + repr([(d, d.meta) for d in map(connector.fetch, refs)])
    assert "hush" not in shown
    with pytest.raises(UsageError, match="HTTP 401") as caught:
        list(connect("/", login="jane:hush%402@", depth=1).list())
    assert "hush" not in str(caught.value)


def test_threads_may_fetch_at_once(site: Any, connect: Connect) -> None:
    site.page("/", linked(*[f"/{n}" for n in range(30)]))
    for n in range(30):
        site.page(f"/{n}", linked(words=f"Page {n}."))
    connector = connect("/", depth=1)
    refs = list(connector.list())
    connector._site.forget()
    with ThreadPoolExecutor(8) as pool:
        texts = [document.text.splitlines()[0] for document in pool.map(connector.fetch, refs)]
    assert texts == ["Words.", *[f"Page {n}." for n in range(30)]]


def test_requests_are_spaced_as_the_site_asks(
    site: Any, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    site.page("/", linked("/a"))
    site.page("/a", linked())
    site.page("/robots.txt", "User-agent: *\nCrawl-delay: 7", "text/plain")
    list(connect("/", depth=1).list())
    assert [round(each) for each in slept if each > 1] == [7]
    slept.clear()
    site.page("/robots.txt", "User-agent: *\nCrawl-delay: 86400", "text/plain")
    list(connect("/", depth=1).list())
    assert [round(each) for each in slept if each > 1] == [30]


def test_five_requests_a_second_are_the_most(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    site.page("/a", linked())
    list(open_source(f"{site.url}/a", access=Access(allow_private=("127.0.0.1",))).list())
    assert 0.1 < max(slept) <= 0.2


@pytest.mark.parametrize(
    "source",
    [
        "http://example.org/#depth=-1",
        "http://example.org/#most=0",
        "https://example.org/#per-second=0",
        "https://example.org/#colour=red",
        "https:",
        "https://",
        "http://a b/",
        "http://user:hush#x@host/",
    ],
)
def test_what_is_malformed_is_said_at_once(source: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_source(source)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("body", [b"", b"\x00\x01\x02" * 500, b"<!-- -->", b"<p> </p>"])
def test_a_page_that_holds_nothing_is_an_error_of_its_own(
    body: bytes, site: Any, connect: Connect
) -> None:
    site.page("/a", body)
    connector = connect("/a")
    (ref,) = connector.list()
    with pytest.raises(DocumentError):
        connector.fetch(ref)


@pytest.mark.parametrize("status", [403, 401])
def test_a_page_that_refuses_hides_what_it_links_to(
    status: int, site: Any, connect: Connect
) -> None:
    site.page("/", linked("/hub", "/a"))
    site.page("/hub", linked("/behind"), status=status)
    site.page("/a", linked())
    refs = list(connect("/", depth=2).list())
    assert [(ref.key.removeprefix(site.url), ref.problem is None) for ref in refs] == [
        ("/", True),
        ("", False),  # nothing is retired: nobody knows what lies behind
        ("/a", True),
    ]
    shallow = list(connect("/", depth=1).list())
    assert [ref.key.removeprefix(site.url) for ref in shallow] == ["/", "/hub", "/a"]


def test_links_are_found_however_deep_they_stand(site: Any, connect: Connect) -> None:
    deep = "<div>" * 3_000 + '<a href="/deep">x</a>' + "</div>" * 3_000
    site.page("/", f'<html><body>{deep}<a href="/after">y</a></body></html>')
    site.page("/deep", linked())
    site.page("/after", linked())
    assert keys(connect("/", depth=1), site) == ["/", "/deep", "/after"]


def test_more_links_than_are_followed_retire_nothing(
    site: Any, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wishes, "_MOST_LINKS", 2)
    site.page("/", linked("/a", "/b", "/c"))
    for path in ("/a", "/b", "/c"):
        site.page(path, linked("/a", "/b"))
    refs = list(connect("/", depth=1).list())
    assert [ref.key.removeprefix(site.url) for ref in refs] == ["/", "", "/a", "/b"]
    assert "more links than are followed" in str(refs[1].problem)
