from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from connectors.base import Access, Connector
from connectors.news import entries, feeds, open_news
from connectors.registry import open_source
from rag.errors import DocumentError, SourceError, UsageError
from rag.types import Document

DATA = Path(__file__).parents[2] / "data" / "news"
LOCAL = Access(allow_private=("127.0.0.1",), timeout=5, deadline=10)
XML = "application/rss+xml; charset=utf-8"

Save = Callable[..., str]


class Site:
    """A server on loopback: what it answers can be changed, what it was asked is kept."""

    def __init__(self) -> None:
        self.body, self.status, self.kind = b"", 200, XML
        self.redirect = ""
        self.asked: list[tuple[str, str | None]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append((self.path, self.headers.get("Authorization")))
                to = site.redirect if self.path == "/moved" else ""
                self.send_response(302 if to else site.status)
                if to:
                    self.send_header("Location", to)
                self.send_header("Content-Type", site.kind)
                self.send_header("Content-Length", str(len(site.body)))
                self.end_headers()
                self.wfile.write(site.body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}).start()


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Save a feed of these items, or these very bytes, and return its path."""

    def save(*items: str, raw: bytes | None = None) -> str:
        path = tmp_path / "feed.xml"
        path.write_bytes(rss(*items) if raw is None else raw)
        return str(path)

    return save


def rss(*items: str) -> bytes:
    inner = "".join(f"<item>{item}</item>" for item in items)
    names = 'xmlns:content="http://purl.org/rss/1.0/modules/content/"'
    return (
        f'<?xml version="1.0" encoding="utf-8"?><rss version="2.0" {names}><channel>'
        f"<title>The Wire</title><language>en</language>{inner}</channel></rss>"
    ).encode()


def atom(entry: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="utf-8"?><feed xmlns="http://www.w3.org/2005/Atom">'
        f"<title>The Wire</title><entry>{entry}</entry></feed>"
    ).encode()


def documents(connector: Connector) -> list[Document]:
    return [connector.fetch(ref) for ref in connector.list()]


def test_a_real_rss_feed(site: Site) -> None:
    site.body = (DATA / "nasa.xml").read_bytes()
    connector = open_source(f"news:{site.url}/breaking_news.rss", access=LOCAL)
    assert connector.namespace == f"news:{site.url}/breaking_news.rss"
    refs = list(connector.list())
    first, second, third = (connector.fetch(ref) for ref in refs)
    page = (
        "http://www.nasa.gov/press-release/"
        "nasa-extends-cyclone-global-navigation-satellite-system-mission"
    )
    assert (first.key, first.name, first.source, first.fingerprint) == (
        page, page, page, refs[0].fingerprint
    )  # fmt: skip
    assert first.title == "NASA Extends Cyclone Global Navigation Satellite System Mission"
    assert first.text == (
        f"{first.title}\n\nNASA has awarded a contract to the University of Michigan for the "
        "Cyclone Global Navigation Satellite System (CYGNSS) for mission operations and closeout."
    )
    assert first.meta == {
        "published": "2021-06-22T20:52:00Z",  # the feed says 16:52 EDT
        "year": 2021,
        "feed": "NASA Breaking News",
        "link": page,
        "language": "en-us",
    }
    assert second.text.startswith("Statements on Pam Melroy’s Senate Confirmation")  # noqa: RUF001
    assert third.title == (
        "La NASA lanza la misión Equity y solicita comentarios del público para ampliar el acceso"
    )
    assert len(site.asked) == 1  # three documents, one request


def test_a_real_atom_feed() -> None:
    (found,) = documents(open_source(f"news:{DATA / 'usgs.atom'}"))
    assert found.key == "urn:earthquake-usgs-gov:us:2010rkb8"
    # Relative in the feed, which names its base.
    page = "http://earthquake.usgs.gov/earthquakes/recenteqsww/Quakes/us2010rkb8.php"
    assert found.source == page
    assert found.text == (
        "M 5.3, Tonga\n\nWednesday, January 13, 2010 16:21:24 UTC\n"
        "Thursday, January 14, 2010 06:21:24 AM at epicenter\n\nDepth: 10.00 km (6.21 mi)"
    )
    assert found.meta == {
        "updated": "2010-01-13T16:21:24Z",
        "year": 2010,
        "tags": ["Past day"],
        "feed": "USGS M5+ Earthquakes",
        "link": page,
    }


def test_the_headings_of_an_article_are_sections(save: Save) -> None:
    content = "<p>Lead.</p><h2>What &amp; why</h2><p>Because.</p><h3>How</h3><p>So.</p><h2>End</h2>"
    path = save(
        "<guid>1</guid><title>Head</title><description>short</description>"
        f"<content:encoded><![CDATA[{content}]]></content:encoded>"
    )
    (found,) = documents(open_news(path, {}, LOCAL))
    assert found.text == "Head\n\nLead.\n\nWhat & why\n\nBecause.\n\nHow\n\nSo.\n\nEnd"
    titles = [each for each in found.sections if each.title]
    assert [(each.title, each.level) for each in titles] == [
        ("What & why", 2),
        ("How", 3),
        ("End", 2),
    ]
    for each in titles:
        assert each.span.text_in(found.text).startswith(each.title)
    assert titles[0].span.text_in(found.text).endswith("So.\n\n")


def test_what_is_known_of_an_entry(save: Save) -> None:
    path = save(
        raw=atom(
            "<id>tag:1</id><title type='html'>AT&amp;amp;T &lt;b&gt;wins&lt;/b&gt;</title>"
            "<link href='https://example.org/a'/><published>2024-02-29T23:30:00-05:00</published>"
            "<updated>2024-03-02T00:00:00Z</updated><author><name>Ann Lee</name></author>"
            "<author><name>Bo  Ek</name></author><category term='8-K' label='form type'/>"
            "<category term='tech'/><category term='tech'/>"
            "<content type='xhtml'>"
            "<div xmlns='http://www.w3.org/1999/xhtml'>1 &lt; 2</div></content>"
        )
    )
    (found,) = documents(open_news(path, {}, LOCAL))
    assert (found.title, found.text) == ("AT&T wins", "AT&T wins\n\n1 < 2")
    assert found.meta == {
        "published": "2024-03-01T04:30:00Z",
        "updated": "2024-03-02T00:00:00Z",
        "year": 2024,
        "authors": ["Ann Lee", "Bo Ek"],
        "tags": ["8-K", "tech"],
        "feed": "The Wire",
        "link": "https://example.org/a",
    }


def test_plain_text_is_not_taken_for_markup(save: Save) -> None:
    path = save(
        raw=atom("<id>1</id><title>T</title><content type='text'> a &lt; b\n  c > d </content>")
    )
    (found,) = documents(open_news(path, {}, LOCAL))
    assert found.text == "T\n\na < b\n  c > d"


def test_a_listing_is_stable_and_only_what_changed_has_another_fingerprint(save: Save) -> None:
    one = "<guid>1</guid><title>One</title><description>a</description>"
    two = "<guid>2</guid><title>Two</title><description>b</description>"
    connector = open_news(save(one, two), {}, LOCAL)
    before = connector.list()
    assert connector.list() == before
    save("<guid>3</guid><title>New</title>", one, two.replace(">b<", ">B<"))
    after = {ref.key: ref.fingerprint for ref in connector.list()}
    assert list(after) == ["3", "1", "2"]
    assert after["1"] == next(iter(before)).fingerprint
    assert after["2"] != list(before)[1].fingerprint
    assert documents(connector)[2].text == "Two\n\nB"


@pytest.mark.parametrize(
    "changed",
    ["<pubDate>Tue, 01 Jun 2021 00:00:00 GMT</pubDate>", "<category>x</category>",
     "<link>https://example.org/</link>", "<author>Ann</author>"],
)  # fmt: skip
def test_another_fact_is_another_fingerprint(save: Save, changed: str) -> None:
    (before,) = open_news(save("<guid>1</guid><title>One</title>"), {}, LOCAL).list()
    (after,) = open_news(save(f"<guid>1</guid><title>One</title>{changed}"), {}, LOCAL).list()
    assert before.key == after.key
    assert before.fingerprint != after.fingerprint


def test_what_falls_off_the_end_of_a_feed_is_not_deleted(save: Save) -> None:
    connector = open_news(save("<guid>1</guid><title>One</title>"), {}, LOCAL)
    assert not connector.covers("1")  # nothing is known yet
    list(connector.list())
    assert connector.covers("1")
    save("<guid>2</guid><title>Two</title>")
    assert [ref.key for ref in connector.list()] == ["2"]
    assert not connector.covers("1")
    assert connector.covers("2")


def test_an_entry_without_id_goes_by_its_link_or_by_what_it_says(save: Save) -> None:
    date = "<pubDate>Tue, 01 Jun 2021 00:00:00 GMT</pubDate>"
    path = save(
        "<title>A</title><link>https://example.org/a</link>",
        f"<title>B</title>{date}",
        "<title>B</title>",
        "<description>only this</description>",
    )
    connector = open_news(path, {}, LOCAL)
    linked, dated, bare, untitled = connector.list()
    assert linked.key == linked.source == "https://example.org/a"
    assert len({dated.key, bare.key, untitled.key}) == 3
    assert dated.source == path
    assert [found.text for found in documents(connector)] == ["A", "B", "B", "only this"]
    assert documents(connector)[3].title == ""


def test_an_empty_entry_is_one_failed_document(save: Save) -> None:
    path = save(
        "<guid>1</guid><title>One</title>",
        "",
        "<guid>2</guid>",
        "<guid>3</guid><description>&lt;script&gt;evil()&lt;/script&gt;</description>",
    )
    connector = open_news(path, {}, LOCAL)
    good, nameless, silent, scripted = connector.list()
    assert connector.fetch(good).text == "One"
    assert (nameless.key, nameless.name) == ("", "entry 2")
    assert (silent.key, scripted.key) == ("2", "3")
    for ref in (nameless, silent, scripted):
        with pytest.raises(DocumentError, match=r"neither a title nor text"):
            connector.fetch(ref)


def test_an_id_used_twice(save: Save) -> None:
    same = "<guid>1</guid><title>One</title>"
    connector = open_news(save(same, same, "<guid>1</guid><title>Other</title>"), {}, LOCAL)
    first, other = connector.list()  # word for word the same is one document
    assert connector.fetch(first).text == "One"
    with pytest.raises(DocumentError, match=r"^duplicate id '1': an earlier entry has it"):
        connector.fetch(other)


def test_scripts_and_styles_do_not_reach_the_text(save: Save) -> None:
    bad = (
        "<script>steal()</script><p onclick=x()>Words</p><style>p{}</style><iframe src=x></iframe>"
    )
    path = save(
        f"<guid>1</guid><title>T</title><description><![CDATA[{bad}]]></description>"
        "<link>javascript:steal()</link>"
    )
    (found,) = documents(open_news(path, {}, LOCAL))
    assert found.text == "T\n\nWords"
    assert found.source == path
    assert "link" not in found.meta


def test_a_body_that_repeats_the_title_is_left_out(save: Save) -> None:
    path = save("<guid>1</guid><title>Same  words</title><description>Same words</description>")
    assert documents(open_news(path, {}, LOCAL))[0].text == "Same words"


def test_a_title_of_megabytes_is_text_and_no_title(save: Save) -> None:
    long = "word " * 2_000_000
    (found,) = documents(
        open_news(save(f"<title>{long}</title><guid>{'g' * 5000}</guid>"), {}, LOCAL)
    )
    assert found.title == ""
    assert len(found.text) == len(long) - 1
    assert len(found.key) == 32
    assert len(str(found.meta)) < 200


@pytest.mark.parametrize("date", ["yesterday", "", "0000-00-00", "1", "Tue, 99 Foo 2021"])
def test_a_date_that_is_none_is_left_out(save: Save, date: str) -> None:
    (found,) = documents(open_news(save(f"<title>x</title><pubDate>{date}</pubDate>"), {}, LOCAL))
    assert not {"published", "year"} & set(found.meta)


def test_a_broken_feed_yields_what_it_has(save: Save) -> None:
    whole = rss("<guid>1</guid><title>One & two</title>", "<guid>2</guid><title>Cut")
    for raw in (whole, whole[:-40], whole.replace(b"</channel>", b"")):
        connector = open_news(save(raw=raw), {}, LOCAL)
        assert connector.fetch(next(iter(connector.list()))).text == "One & two"


def test_an_emoji_in_two_halves_costs_no_more_than_itself(save: Save) -> None:
    path = save("<guid>1</guid><title>a &#55357;&#xDE00; b &#128512;</title>")
    assert documents(open_news(path, {}, LOCAL))[0].text == "a \ufffd\ufffd b 😀"


@pytest.mark.parametrize(
    ("encoding", "said"), [("iso-8859-1", "iso-8859-1"), ("cp1252", "utf-8"), ("utf-16", "utf-16")]
)
def test_encodings_declared_rightly_or_wrongly(save: Save, encoding: str, said: str) -> None:
    text = rss("<guid>1</guid><title>Café für Ännchen</title>").decode()
    raw = text.replace('encoding="utf-8"', f'encoding="{said}"').encode(encoding)
    assert documents(open_news(save(raw=raw), {}, LOCAL))[0].text == "Café für Ännchen"


def bomb(entity: str, use: str) -> bytes:
    return (
        f'<?xml version="1.0"?><!DOCTYPE rss [{entity}]><rss version="2.0"><channel><item>'
        f"<guid>1</guid><title>x {use}</title></item></channel></rss>"
    ).encode()


def test_entities_neither_explode_nor_read_files(save: Save, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret")
    nested = '<!ENTITY a "aaaaaaaaaa">' + "".join(
        f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9)
    )
    repeated = f'<!ENTITY a "{"a" * 50_000}">'
    outside = f'<!ENTITY a SYSTEM "file://{tmp_path}/secret">'
    for raw in (bomb(nested, "&j;"), bomb(repeated, "&a;" * 20_000), bomb(outside, "&a;")):
        (found,) = documents(open_news(save(raw=raw), {}, LOCAL))
        assert found.text.startswith("x")
        assert len(found.text) < 100_000
        assert "s3cret" not in found.text


@pytest.mark.parametrize(
    "raw",
    [b"<" * 200_000, b"<!" * 100_000, b"&" * 200_000, rss("<a>" * 50_000), b"\0" * 1000,
     rss("<title>&#xD800;x</title>"), rss("<link>http://[bad</link><title>x</title>")],
)  # fmt: skip
def test_rubbish_ends_soon_and_as_an_error_or_a_document(save: Save, raw: bytes) -> None:
    start = time.monotonic()
    connector = open_news(save(raw=raw), {}, LOCAL)
    errors: list[UsageError | DocumentError] = []
    try:
        for ref in connector.list():
            try:
                connector.fetch(ref).text.encode()
            except DocumentError as error:
                errors.append(error)
    except UsageError as error:
        errors.append(error)
    assert all(re.search("not a feed|neither a title", str(error)) for error in errors)
    assert time.monotonic() - start < 60


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (b"<!DOCTYPE html><html><body><p>Maintenance</p></body></html>", "a web page"),
        (b'{"items": []}', "something else"),
        (b"", "empty"),
    ],
)
def test_what_is_no_feed(save: Save, site: Site, raw: bytes, what: str) -> None:
    with pytest.raises(UsageError, match=f"not a feed, but {what}"):
        open_news(save(raw=raw), {}, LOCAL).list()
    site.body, site.kind = raw, "text/html"
    # A page in its place may be there for an hour: not the user's fault, and nothing is retired.
    with pytest.raises(SourceError, match=f"not a feed, but {what}"):
        open_news(f"{site.url}/feed", {}, LOCAL).list()


def test_a_feed_without_entries_is_one(save: Save) -> None:
    assert open_news(save(), {}, LOCAL).list() == []


@pytest.mark.parametrize("status", [401, 404, 410])
def test_a_feed_that_is_not_there_must_be_mended(site: Site, status: int) -> None:
    site.status = status
    with pytest.raises(UsageError, match=f"HTTP {status}"):
        open_news(f"{site.url}/feed", {}, LOCAL).list()


def test_a_server_that_refuses_is_tried_again_next_time(site: Site) -> None:
    site.status = 403
    with pytest.raises(SourceError, match="HTTP 403"):
        open_news(f"{site.url}/feed", {}, LOCAL).list()


def test_a_private_address_is_refused_unless_allowed(site: Site) -> None:
    with pytest.raises(UsageError, match=r"not a public address; .*allow_private"):
        open_news(f"{site.url}/feed", {}, Access()).list()
    assert site.asked == []


def test_a_login_is_sent_to_its_server_and_shown_nowhere(site: Site) -> None:
    site.body = rss("<guid>1</guid><title>One</title>")
    address = site.url.replace("http://", "http://ann:p%40ss@") + "/feed"
    connector = open_news(address, {}, LOCAL)
    (ref,) = connector.list()
    assert site.asked == [("/feed", "Basic YW5uOnBAc3M=")]
    assert connector.namespace == f"news:{site.url}/feed"
    assert ref.source == f"{site.url}/feed"  # the guid "1" is no link, though it is said to be one
    site.status = 404
    with pytest.raises(UsageError) as caught:
        connector.list()
    for shown in (str(caught.value), str(ref), str(connector.fetch(ref))):
        assert "p%40ss" not in shown
        assert "p@ss" not in shown


def test_a_redirect_is_followed_but_the_feed_keeps_its_name(site: Site) -> None:
    site.body = rss("<guid>1</guid><title>One</title><link>/a</link>")
    site.redirect = "/there/feed"
    connector = open_news(f"{site.url}/moved", {}, LOCAL)
    (ref,) = connector.list()
    assert connector.namespace == f"news:{site.url}/moved"
    assert ref.source == f"{site.url}/a"


def test_only_so_many_entries_and_bytes(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(*(f"<guid>{n}</guid><title>t</title>" for n in range(50)))
    assert [ref.key for ref in open_news(path, {"most": "3"}, LOCAL).list()] == ["0", "1", "2"]
    with pytest.raises(UsageError, match=r"option most of news: .* greater than or equal to 1"):
        open_news(path, {"most": "0"}, LOCAL)
    monkeypatch.setattr(feeds, "_MOST_BYTES", 1000)
    with pytest.raises(UsageError, match=r"larger than 1,000 bytes"):
        open_news(path, {}, LOCAL).list()


def test_an_endless_feed_is_cut_off(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "_MOST_BYTES", 1000)
    site.body = rss("<title>x</title>" * 100)
    with pytest.raises(SourceError, match=r"larger than 1,000 bytes"):
        open_news(f"{site.url}/feed", {}, LOCAL).list()


def test_fetching_from_threads_and_without_a_listing(site: Site) -> None:
    site.body = rss(*(f"<guid>{n}</guid><title>title {n}</title>" for n in range(40)))
    refs = open_news(f"{site.url}/feed", {}, LOCAL).list()
    connector = open_news(f"{site.url}/feed", {}, LOCAL)
    with ThreadPoolExecutor(8) as pool:
        texts = [found.text for found in pool.map(connector.fetch, refs)]
    assert texts == [f"title {n}" for n in range(40)]
    assert len(site.asked) == 2


def test_a_feed_that_changed_since_it_was_listed(save: Save) -> None:
    path = save("<guid>1</guid><title>One</title>", "<guid>2</guid><title>Two</title>")
    refs = open_news(path, {}, LOCAL).list()
    save("<guid>1</guid><title>Else</title>")
    connector = open_news(path, {}, LOCAL)
    for ref in refs:
        with pytest.raises(DocumentError, match=r"^the feed has changed"):
            connector.fetch(ref)
    Path(path).unlink()
    with pytest.raises(DocumentError, match=r"^cannot read .*feed\.xml: No such file"):
        open_news(path, {}, LOCAL).fetch(next(iter(refs)))


def test_a_new_parser_reads_all_again(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save("<guid>1</guid><title>One</title>")
    (before,) = open_news(path, {}, LOCAL).list()
    monkeypatch.setattr(entries.html, "PARSER_VERSION", "html-next")
    assert next(iter(open_news(path, {}, LOCAL).list())).fingerprint != before.fingerprint


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("news:", "names no feed"),
        ("news:http://[bad/feed", "malformed address"),
        ("news:feed.xml#title=x", "unknown option 'title' of news: sources; there are most"),
        ("news:rows.csv#most=3", "unknown option 'most' of news: sources; there are id, title"),
    ],
)
def test_a_wrong_source(source: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_source(source)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*none\.xml: No such file"):
        open_source(f"news:{tmp_path / 'none.xml'}").list()


@pytest.mark.parametrize("login", ["jane:[hush]", "jane:hush\u2100"])
def test_a_malformed_address_does_not_show_its_password(login: str) -> None:
    with pytest.raises(UsageError, match="malformed address") as caught:
        open_source(f"news:https://{login}@example.org/feed")
    assert "hush" not in f"{caught.value} {caught.value.hint}"
