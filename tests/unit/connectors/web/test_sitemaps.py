from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import pytest

from connectors.base import SourceRef
from connectors.web import WebConnector
from rag.errors import DocumentError, SourceError, UsageError

Connect = Callable[..., WebConnector]
ARTICLE = '<html lang="en-GB"><title>T</title><h1>Top</h1><p>Words.</p></html>'


def keys(connector: WebConnector, site: Any) -> list[str]:
    return [ref.key.removeprefix(site.url) for ref in connector.list()]


def gaps(refs: list[SourceRef]) -> list[str]:
    return [str(ref.problem) for ref in refs if not ref.key]


def test_a_sitemap_is_listed_without_asking_for_its_pages(site: Any, connect: Connect) -> None:
    site.sitemap("/sitemap.xml", ("/b", "2024-05-01"), ("/a?q=1", "2024-05-02"))
    refs = list(connect("/sitemap.xml").list())
    assert [ref.key for ref in refs] == [f"{site.url}/b", f"{site.url}/a?q=1"]
    assert [(ref.source, ref.name) for ref in refs] == [
        (f"{site.url}/b", "b"), (f"{site.url}/a?q=1", "a?q=1")
    ]  # fmt: skip
    assert site.asked == ["/robots.txt", "/sitemap.xml"]
    assert site.headers[-1]["User-Agent"].startswith("spanrag/")
    assert site.headers[-1]["User-Agent"].endswith("Jane jane@example.org")


def test_a_fingerprint_changes_with_lastmod_only(site: Any, connect: Connect) -> None:
    site.sitemap("/sitemap.xml", ("/a", "2024-05-01"), ("/b", "2024-05-01"))
    connector = connect("/sitemap.xml")
    before = {ref.key: ref.fingerprint for ref in connector.list()}
    assert {ref.key: ref.fingerprint for ref in connector.list()} == before
    site.sitemap("/sitemap.xml", ("/a", "2024-05-01"), ("/b", "2024-06-01"))
    after = {ref.key: ref.fingerprint for ref in connector.list()}
    assert [before[key] == after[key] for key in before] == [True, False]


def test_a_page_without_lastmod_is_read_once_and_known_by_its_content(
    site: Any, connect: Connect
) -> None:
    site.sitemap("/sitemap.xml", "/a")
    site.page("/a", ARTICLE)
    connector = connect("/sitemap.xml")
    (ref,) = connector.list()
    document = connector.fetch(ref)
    assert site.asked == ["/robots.txt", "/sitemap.xml", "/a"]
    assert (document.key, document.source, document.name, document.fingerprint) == (
        ref.key, ref.source, ref.name, ref.fingerprint
    )  # fmt: skip
    assert document.text == "Top\n\nWords."
    assert [s.title for s in document.sections] == ["Top"]
    assert [ref] == list(connector.list())
    site.page("/a", ARTICLE.replace("Words", "Other words"))
    assert next(iter(connector.list())).fingerprint != ref.fingerprint


def test_a_page_that_was_not_kept_is_asked_for_again(site: Any, connect: Connect) -> None:
    site.sitemap("/sitemap.xml", "/a", "/b")
    site.page("/a", "<p>" + "x" * 200)
    site.page("/b", ARTICLE)
    connector = connect("/sitemap.xml")
    connector._site._room = 0
    connector._site.forget = lambda: None  # type: ignore[method-assign]
    refs = list(connector.list())
    assert [connector.fetch(ref).text for ref in refs] == ["x" * 200, "Top\n\nWords."]
    assert site.asked[-4:] == ["/a", "/b", "/a", "/b"]


def test_indexes_and_packed_sitemaps_are_followed(site: Any, connect: Connect) -> None:
    site.sitemap("/index.xml", "/one.xml.gz", "/two.xml", "/one.xml.gz", "/index.xml", index=True)
    packed = gzip.compress(site.sitemap_xml(("/a", "1"), ("/b", "1")).encode())
    site.page("/one.xml.gz", packed, "application/gzip")
    site.page("/two.xml", "\n\n" + site.sitemap_xml(("/b", "2"), ("/c", "1")), "text/xml")
    assert keys(connect("/index.xml"), site) == ["/a", "/b", "/c"]


def test_a_sitemap_may_be_a_text_of_addresses(site: Any, connect: Connect) -> None:
    site.page("/map.txt", f"\ufeff{site.url}/a\r\n\r\n{site.url}/b\r\n", "text/plain")
    site.page("/a", ARTICLE)
    site.page("/b", ARTICLE)
    assert keys(connect("/map.txt"), site) == ["/a", "/b"]


def test_a_long_sitemap_is_read_whole_and_images_are_no_pages(site: Any, connect: Connect) -> None:
    image = '<i:image xmlns:i="x"><i:loc>http://h/i.png</i:loc></i:image>'
    rows = "".join(
        f"<url>{image}<loc> {site.url}/{n} </loc>{image}<lastmod>1</lastmod></url><!-- {n} -->"
        for n in range(3000)
    )
    site.page("/sitemap.xml", f"<urlset>{rows}</urlset>", "application/xml")
    assert keys(connect("/sitemap.xml"), site) == [f"/{n}" for n in range(3000)]


def test_the_sitemaps_of_a_site_are_found_by_its_robots_txt(site: Any, connect: Connect) -> None:
    site.page("/robots.txt", f"Sitemap: {site.url}/odd-name\nSitemap: /two.xml\n", "text/plain")
    site.sitemap("/odd-name", ("/a", "1"), ("/docs/b", "1"))
    site.sitemap("/two.xml", ("/docs", "1"), ("/docs/c", "1"), ("/docsx/d", "1"))
    connector = connect("/docs/")
    assert keys(connector, site) == ["/docs/b", "/docs", "/docs/c"]
    assert "/sitemap.xml" not in site.asked
    assert connector.covers(f"{site.url}/docs/gone")
    assert not connector.covers(f"{site.url}/a")


def test_the_usual_sitemap_is_tried_where_none_is_named(site: Any, connect: Connect) -> None:
    site.sitemap("/sitemap.xml", ("/docs/a", "1"), ("/b", "1"))
    assert keys(connect("/docs/"), site) == ["/docs/a"]
    assert site.asked == ["/robots.txt", "/sitemap.xml"]


@pytest.mark.parametrize("usual", ["none", "a page", "of another part", "refused", "disallowed"])
def test_a_folder_of_a_site_without_sitemap_is_one_page(
    usual: str, site: Any, connect: Connect
) -> None:
    site.page("/docs/", ARTICLE + '<a href="/docs/b">b</a>')
    if usual == "a page":  # as for every address it does not know
        site.page("/sitemap.xml", ARTICLE)
    elif usual == "of another part":
        site.sitemap("/sitemap.xml", ("/b", "1"))
    elif usual == "refused":
        site.page("/sitemap.xml", "", status=403)
    elif usual == "disallowed":
        site.page("/robots.txt", "User-agent: *\nDisallow: /sitemap.xml", "text/plain")
    connector = connect("/docs/")
    assert keys(connector, site) == ["/docs/"]
    # What a sitemap listed before is not gone because there is none now.
    assert not connector.covers(f"{site.url}/docs/b")
    assert connector.covers(f"{site.url}/docs/")


def test_pages_of_other_hosts_are_passed_over(site: Any, connect: Connect) -> None:
    site.sitemap("/sitemap.xml", ("http://example.org/a", "1"), ("/b", "1"), ("ftp://x/y", "1"))
    assert keys(connect("/sitemap.xml"), site) == ["/b"]
    site.sitemap("/sitemap.xml", ("http://example.org/a", "1"))
    with pytest.raises(UsageError, match="lists no page of http://127"):
        list(connect("/sitemap.xml").list())


def test_pages_that_robots_txt_disallows_are_passed_over(site: Any, connect: Connect) -> None:
    site.page("/robots.txt", "User-agent: *\nDisallow: /private", "text/plain")
    site.sitemap("/sitemap.xml", ("/private/a", "1"), "/private/b", ("/c", "1"))
    assert keys(connect("/sitemap.xml"), site) == ["/c"]
    assert site.asked == ["/robots.txt", "/sitemap.xml"]


def test_a_page_that_is_gone_or_asks_for_it_is_not_listed(site: Any, connect: Connect) -> None:
    site.sitemap("/sitemap.xml", "/404", "/410", "/noindex", "/header", "/png", "/ok")
    site.page("/410", "", status=410)
    site.page("/noindex", '<meta name="ROBOTS" content="NoIndex, follow"><p>x')
    site.page("/header", ARTICLE, X_Robots_Tag="otherbot: noarchive, spanrag: noindex")
    site.page("/png", b"\x89PNG", "image/png")
    site.page("/ok", ARTICLE, X_Robots_Tag="otherbot: noindex")
    assert keys(connect("/sitemap.xml"), site) == ["/ok"]


def test_a_page_that_fails_now_is_listed_with_a_problem(site: Any, connect: Connect) -> None:
    site.sitemap("/sitemap.xml", "/500", "/403", "/ok")
    site.page("/500", "", status=500)
    site.page("/403", "", status=403)
    site.page("/ok", ARTICLE)
    connector = connect("/sitemap.xml")
    broken, refused, fine = connector.list()
    assert (broken.key, broken.fingerprint) == (f"{site.url}/500", "")
    assert "HTTP 500" in str(broken.problem)
    assert "HTTP 403" in str(refused.problem)
    assert fine.problem is None
    with pytest.raises(DocumentError, match="HTTP 500"):
        connector.fetch(broken)


def test_a_site_that_goes_down_is_not_asked_ten_thousand_times(site: Any, connect: Connect) -> None:
    site.sitemap("/sitemap.xml", *[f"/{n}" for n in range(100)])
    for n in range(100):
        site.page(f"/{n}", "", status=503)
    with pytest.raises(SourceError, match=r"does not answer any more.*HTTP 503"):
        list(connect("/sitemap.xml").list())
    assert len(site.asked) == 2 + 5 * 4


@pytest.mark.parametrize(
    "child",
    ["gone", "broken", "a page", "a bomb", "cut gzip"],
)
def test_pages_of_a_sitemap_that_cannot_be_read_do_not_look_deleted(
    child: str, site: Any, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.sitemap("/sitemap.xml", "/child.xml", "/two.xml", index=True)
    site.sitemap("/two.xml", ("/a", "1"))
    whole = site.sitemap_xml(*[(f"/{n}", "1") for n in range(50)])
    if child == "broken":
        site.page("/child.xml", whole[:-10])
    elif child == "a page":
        site.page("/child.xml", ARTICLE)
    elif child == "a bomb":
        monkeypatch.setattr("connectors.web.sitemap.MOST_BYTES", 100_000)
        site.page("/child.xml", gzip.compress(whole.encode() + b" " * 10_000_000))
    elif child == "cut gzip":
        site.page("/child.xml", gzip.compress(whole.encode())[:-4])
    refs = list(connect("/sitemap.xml").list())
    assert [ref.key for ref in refs if ref.key] == [f"{site.url}/a"]
    (gap,) = gaps(refs)
    assert "child.xml" in gap


def test_a_broken_sitemap_is_an_error_of_the_source(site: Any, connect: Connect) -> None:
    site.page("/sitemap.xml", site.sitemap_xml(("/a", "1"))[:-10], "application/xml")
    for path in ("/sitemap.xml", "/"):
        with pytest.raises(SourceError, match="broken sitemap"):
            list(connect(path).list())


def test_entities_are_not_expanded(site: Any, connect: Connect, tmp_path: Any) -> None:
    secret = tmp_path / "secret"
    secret.write_text("/stolen")
    declared = f'<!DOCTYPE urlset [<!ENTITY i "/in"><!ENTITY f SYSTEM "file://{secret}">]>'
    rows = f"<url><loc>{site.url}/a&amp;b&i;&f;</loc><lastmod>1</lastmod></url>"
    site.page("/sitemap.xml", f"{declared}<urlset>{rows}</urlset>", "application/xml")
    assert keys(connect("/sitemap.xml"), site) == ["/a&b"]


def test_a_bomb_of_entities_is_a_broken_sitemap(site: Any, connect: Connect) -> None:
    bomb = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    rows = f"<url><loc>{site.url}/&e11;</loc></url>"
    declared = f'<!DOCTYPE urlset [<!ENTITY e0 "x">{bomb}]>'
    site.page("/sitemap.xml", f"{declared}<urlset>{rows}</urlset>", "application/xml")
    with pytest.raises(SourceError, match="broken sitemap"):
        list(connect("/sitemap.xml").list())


def test_more_pages_than_are_wanted_leave_a_gap(site: Any, connect: Connect) -> None:
    site.sitemap("/sitemap.xml", *[(f"/{n}", "1") for n in range(5)])
    refs = list(connect("/sitemap.xml", most=3).list())
    assert [ref.key.removeprefix(site.url) for ref in refs] == ["/0", "/1", "/2", ""]
    assert "more than 3 pages" in gaps(refs)[0]
    assert not gaps(list(connect("/sitemap.xml", most=5).list()))


def test_sitemaps_without_end_end(
    site: Any, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(20):
        site.sitemap(f"/{n}.xml", f"/{n + 1}.xml", index=True)
    assert "too deep" in gaps(list(connect("/0.xml").list()))[0]
    assert site.asked == ["/robots.txt", "/0.xml", "/1.xml", "/2.xml"]
    site.sitemap("/wide.xml", *[f"/w{n}.xml" for n in range(20)], index=True)
    for n in range(20):
        site.sitemap(f"/w{n}.xml", (f"/{n}", "1"))
    monkeypatch.setattr("connectors.web.sitemap._MOST_SITEMAPS", 4)
    refs = list(connect("/wide.xml").list())
    assert [ref.key.removeprefix(site.url) for ref in refs] == ["/0", "/1", "/2", ""]


def test_a_sitemap_with_too_many_entries_is_not_held(
    site: Any, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.web.sitemap._MOST_ENTRIES", 3)
    site.sitemap("/sitemap.xml", *[(f"/{n}", "1") for n in range(4)])
    site.page("/map.txt", "\n".join(f"{site.url}/{n}" for n in range(4)), "text/plain")
    for path in ("/sitemap.xml", "/map.txt"):
        with pytest.raises(SourceError, match="more than 3 entries"):
            list(connect(path).list())


def test_a_sitemap_that_fails_now_is_an_error_of_the_source(site: Any, connect: Connect) -> None:
    site.page("/sitemap.xml", "", status=503)
    for path in ("/sitemap.xml", "/"):
        with pytest.raises(SourceError, match="HTTP 503"):
            list(connect(path).list())


def test_a_page_that_vanished_since_it_was_listed_is_its_own_error(
    site: Any, connect: Connect
) -> None:
    site.sitemap("/sitemap.xml", ("/a", "1"))
    connector = connect("/sitemap.xml")
    (ref,) = connector.list()
    with pytest.raises(DocumentError, match="HTTP 404"):
        connector.fetch(ref)


def test_noindex_is_kept_to_when_it_is_seen_at_fetching_only(site: Any, connect: Connect) -> None:
    site.sitemap("/sitemap.xml", ("/a", "1"))
    site.page("/a", '<meta name="spanrag" content="none"><p>x')
    connector = connect("/sitemap.xml")
    (ref,) = connector.list()
    with pytest.raises(DocumentError, match="asks not to be indexed"):
        connector.fetch(ref)


def test_who_asks_for_the_first_page_only_waits_for_no_other(site: Any, connect: Connect) -> None:
    site.sitemap("/sitemap.xml", "/a", "/b")
    site.page("/a", ARTICLE)
    site.page("/b", ARTICLE)
    assert next(iter(connect("/").list())).key == f"{site.url}/a"
    assert site.asked == ["/robots.txt", "/sitemap.xml", "/a"]
