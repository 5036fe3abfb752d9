from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from connectors.parsing import epub, formats, html
from connectors.parsing.epub import parse
from rag.errors import DocumentError

Rezip = Callable[..., bytes]

CONTAINER = (
    b'<?xml version="1.0"?><container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" '
    b'version="1.0"><rootfiles><rootfile full-path="OEBPS/book.opf" '
    b'media-type="application/oebps-package+xml"/></rootfiles></container>'
)
XHTML = "application/xhtml+xml"


def page(body: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.1//EN" '
        '"http://www.w3.org/TR/xhtml11/DTD/xhtml11.dtd"><html xmlns="http://www.w3.org/1999/xhtml">'
        f"<head><title>page</title></head><body>{body}</body></html>"
    ).encode()


def package(items: str, spine: list[str], metadata: str = "") -> bytes:
    order = "".join(f'<itemref idref="{each}"/>' for each in spine)
    return (
        '<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id">'
        f'<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">{metadata}</metadata>'
        f"<manifest>{items}</manifest><spine>{order}</spine></package>"
    ).encode()


def item(key: str, href: str, media: str = XHTML, more: str = "") -> str:
    return f'<item id="{key}" href="{href}" media-type="{media}" {more}/>'


def book(*bodies: str, **more: str) -> dict[str, bytes]:
    """The members of a book of chapters c0, c1, ... in `text/`."""
    keys = [f"c{number}" for number in range(len(bodies))]
    items = "".join(item(key, f"text/{key}.xhtml") for key in keys) + more.get("items", "")
    chapters = {
        f"OEBPS/text/{key}.xhtml": page(body) for key, body in zip(keys, bodies, strict=True)
    }
    return {
        "mimetype": b"application/epub+zip",
        "META-INF/container.xml": CONTAINER,
        "OEBPS/book.opf": package(items, keys, more.get("metadata", "")),
        **chapters,
    }


def shown(members: Mapping[str, bytes], rezip: Rezip) -> list[tuple[int, str, str]]:
    parsed = parse(rezip(members))
    return [(s.level, s.title, s.span.text_in(parsed.text)) for s in parsed.sections]


def test_chapters_are_joined_and_their_sections_moved(rezip: Rezip) -> None:
    members = book("<h1>One</h1><p>first</p><h2>Deep</h2>", "<p/>", "<h1>Two</h1><p>last</p>")
    parsed = parse(rezip(members))
    assert parsed.text == "One\n\nfirst\n\nDeep\n\nTwo\n\nlast"
    assert shown(members, rezip) == [
        (1, "One", "One\n\nfirst\n\nDeep"), (2, "Deep", "Deep"), (1, "Two", "Two\n\nlast")
    ]  # fmt: skip
    assert parsed.pages == ()


def test_the_spine_gives_the_order_and_says_what_is_read(rezip: Rezip) -> None:
    members = book("<p>a</p>", "<p>b</p>")
    items = (
        item("x", "text/c1.xhtml")
        + item("y", "text/c0.xhtml")
        + item("z", "cover.svg", "image/svg")
    )
    members["OEBPS/book.opf"] = package(items, ["x", "z", "y", "nothing", "x"])
    assert parse(rezip(members)).text == "b\n\na"


def test_what_the_book_says_of_itself(rezip: Rezip) -> None:
    metadata = (
        "<dc:title>The  Book</dc:title><dc:creator>Ann Lee</dc:creator><dc:creator>Bo</dc:creator>"
        "<dc:language>en</dc:language><dc:description>long</dc:description><dc:publisher/>"
    )
    parsed = parse(rezip(book("<p>a</p>", metadata=metadata)))
    assert parsed.title == "The Book"
    assert parsed.meta == {"author": "Ann Lee; Bo", "language": "en"}


NAV = (
    '<nav epub:type="landmarks" xmlns:epub="http://www.idpf.org/2007/ops"><a href="text/c0.xhtml">'
    'no</a></nav><nav epub:type="toc" xmlns:epub="http://www.idpf.org/2007/ops"><ol><li>'
    '<a href="text/c0.xhtml#top">Chapter <i>one</i></a></li><li><a href="text/c%31.xhtml">Two</a>'
    "</li></ol></nav>"
)
NCX = (
    b'<!DOCTYPE ncx PUBLIC "-//NISO//DTD ncx 2005-1//EN" "http://127.0.0.1:9/ncx.dtd">'
    b'<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/"><navMap><navPoint><navLabel><text>Chapter '
    b'one</text></navLabel><content src="text/c0.xhtml"/></navPoint><navPoint><navLabel><text>Two'
    b'</text></navLabel><content src="text/c1.xhtml#x"/></navPoint></navMap></ncx>'
)


@pytest.mark.parametrize(
    ("name", "content", "entry"),
    [
        ("OEBPS/nav.xhtml", page(NAV), item("nav", "nav.xhtml", more='properties="nav"')),
        ("OEBPS/toc.ncx", NCX, item("ncx", "toc.ncx", "application/x-dtbncx+xml")),
    ],
)
def test_a_chapter_without_a_heading_has_its_title_in_the_contents(
    rezip: Rezip, name: str, content: bytes, entry: str
) -> None:
    members = book("<p>words</p>", "<p>TWO</p><p>more</p>", items=entry)
    members[name] = content
    assert shown(members, rezip) == [
        (1, "Chapter one", "Chapter one\n\nwords"), (1, "Two", "TWO\n\nmore")
    ]  # fmt: skip


def test_the_table_of_contents_itself_is_not_read(rezip: Rezip) -> None:
    members = book("<h1>One</h1>")
    items = item("c0", "text/c0.xhtml") + item("n", "nav.xhtml", more='properties="nav"')
    members["OEBPS/book.opf"] = package(items, ["n", "c0"])
    members["OEBPS/nav.xhtml"] = page(NAV)
    assert parse(rezip(members)).text == "One"


def test_a_broken_table_of_contents_costs_titles_only(rezip: Rezip) -> None:
    entry = item("ncx", "toc.ncx", "application/x-dtbncx+xml")
    members = {**book("<p>a</p>", items=entry), "OEBPS/toc.ncx": b"<ncx>"}
    assert parse(rezip(members)).text == "a"
    del members["OEBPS/toc.ncx"]
    assert parse(rezip(members)).text == "a"


def test_a_version_covers_that_of_the_pages() -> None:
    assert html.PARSER_VERSION in epub.PARSER_VERSION


def test_a_missing_chapter_is_damage(rezip: Rezip) -> None:
    members = book("<p>a</p>")
    del members["OEBPS/text/c0.xhtml"]
    with pytest.raises(DocumentError, match=r"^damaged EPUB: no 'OEBPS/text/c0.xhtml' in it$"):
        formats.parse(rezip(members), ".epub")


@pytest.mark.parametrize("href", ["../../../etc/passwd", "/etc/passwd", "file:///etc/passwd"])
def test_links_that_lead_out_lead_nowhere(rezip: Rezip, href: str) -> None:
    members = {**book("<p>a</p>"), "OEBPS/book.opf": package(item("c", href), ["c"])}
    with pytest.raises(DocumentError, match=r"^damaged EPUB: no '.*etc/passwd' in it$"):
        formats.parse(rezip(members), ".epub")


def test_locked_chapters_are_refused_and_locked_fonts_are_not(rezip: Rezip) -> None:
    locked = (
        '<encryption xmlns:e="http://www.w3.org/2001/04/xmlenc#"><e:EncryptedData><e:CipherData>'
        '<e:CipherReference URI="{}"/></e:CipherData></e:EncryptedData></encryption>'
    )
    members = book("<p>a</p>")
    members["META-INF/encryption.xml"] = locked.format("OEBPS/font.otf").encode()
    assert parse(rezip(members)).text == "a"
    members["META-INF/encryption.xml"] = locked.format("OEBPS/text/c0.xhtml").encode()
    with pytest.raises(DocumentError, match=r"^encrypted EPUB: it is protected"):
        formats.parse(rezip(members), ".epub")


LAUGHS = '<!DOCTYPE x [<!ENTITY a "hahahahaha">' + "".join(
    f'<!ENTITY {name} "{f"&{of};" * 10}">' for of, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def test_entities_do_not_grow(rezip: Rezip) -> None:
    members = book("<p>a</p>")
    plain = members["OEBPS/book.opf"].decode()
    inside = plain.replace("</metadata>", "<dc:title>&i;</dc:title></metadata>")
    attribute = plain.replace('version="3.0"', 'version="&i;"')
    for xml in (inside, attribute):
        members["OEBPS/book.opf"] = f"{LAUGHS}]>{xml}".encode()
        with pytest.raises(DocumentError, match=r"^damaged EPUB: 'OEBPS/book.opf': .*mplific"):
            formats.parse(rezip(members), ".epub")
    chapter = f"{LAUGHS}]><html><body><p>b &i;</p></body></html>".encode()
    parsed = formats.parse(rezip({**book("x"), "OEBPS/text/c0.xhtml": chapter}), ".epub")
    assert len(parsed.text) < 2_000


def test_files_of_the_machine_are_not_fetched(rezip: Rezip) -> None:
    members = book("<p>a</p>")
    plain = (
        members["OEBPS/book.opf"]
        .decode()
        .replace("</metadata>", "<dc:title>&e;</dc:title></metadata>")
    )
    members["OEBPS/book.opf"] = (
        f'<!DOCTYPE package [<!ENTITY e SYSTEM "file:///etc/hostname">]>{plain}'.encode()
    )
    assert formats.parse(rezip(members), ".epub").title == "&e;"


def test_a_chapter_of_too_many_tags_is_refused(rezip: Rezip) -> None:
    members = book("<p>" * 600_000)
    assert len(rezip(members)) < 100_000
    with pytest.raises(DocumentError, match=r"^EPUB too large: 'OEBPS/.*' has over 500,000 tags"):
        formats.parse(rezip(members), ".epub")


def test_other_content_and_damage_are_told_apart(rezip: Rezip) -> None:
    with pytest.raises(DocumentError, match=r"^not an EPUB: it is a PDF"):
        formats.parse(b"%PDF-1.4", ".epub")
    with pytest.raises(DocumentError, match=r"^not an EPUB: it is a zip archive of something else"):
        formats.parse(rezip({"a": b"b"}), ".epub")
    for name in ("META-INF/container.xml", "OEBPS/book.opf"):
        with pytest.raises(DocumentError, match=f"^damaged EPUB: '{name}': "):
            formats.parse(rezip({**book("<p>a</p>"), name: b"<x>"}), ".epub")
    with pytest.raises(DocumentError, match=r"^empty document"):
        formats.parse(rezip(book("")), ".epub")
