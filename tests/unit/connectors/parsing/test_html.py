# ruff: noqa: RUF001 (letters that look alike are what is tested)
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.parsing.html import parse
from rag.errors import DocumentError
from rag.types import Section

PAGE = """<!DOCTYPE html><html><head><title> The
 page </title><style>p {color: red}</style><script>var x = "<p>no</p>";</script></head><body>
<nav><a href="/">Home</a></nav><!-- a comment --><template><p>none</p></template>
<h1>Main <em>title</em></h1>
<p>First   paragraph,&nbsp;with <b>bold</b>, caf&eacute; &amp; 5&nbsp;&lt;&nbsp;6.<br>Next line.</p>
<div hidden>gone</div><div style="color:red; DISPLAY:none">gone</div><span
style="visibility: hidden">gone</span>
<h2>Points</h2><ul><li>one</li><li><p>two</p></li><li></li><li>three<ul><li>deep</li></ul></ul>
<h2>Figures</h2>
<table><tr><th>Item</th><th>2023</th></tr><tr><td>Sales</td><td>5</td></tr></table>
<pre>
  a   b
    c
</pre>
<h1>End</h1><p>Bye</p></body></html>"""


def text_of(markup: str) -> str:
    return parse(markup.encode()).text


def test_a_page_reads_as_a_reader_sees_it() -> None:
    parsed = parse(PAGE.encode())
    assert parsed.title == "The page"
    assert parsed.text == (
        "Main title\n\nFirst paragraph, with bold, café & 5 < 6.\nNext line.\n\n"
        "Points\n\n- one\n\n- two\n\n- three\n\n- deep\n\n"
        "Figures\n\nItem | 2023\nSales | 5\n\n  a   b\n    c\n\nEnd\n\nBye"
    )


def test_headings_tables_and_lists_become_nested_sections() -> None:
    parsed = parse(PAGE.encode())
    sections = [(s.level, s.kind, s.title, s.span.text_in(parsed.text)) for s in parsed.sections]
    assert [section[:3] for section in sections] == [
        (1, "section", "Main title"),
        (2, "section", "Points"),
        (3, "list", ""),
        (2, "section", "Figures"),
        (3, "table", ""),
        (1, "section", "End"),
    ]
    assert sections[0][3].endswith("    c\n\n")
    assert sections[1][3].endswith("- deep\n\n")
    assert sections[2][3] == "- one\n\n- two\n\n- three\n\n- deep"
    assert sections[4][3] == "Item | 2023\nSales | 5"
    assert sections[5][3] == "End\n\nBye"


def blocks_of(markup: str) -> list[tuple[str, str, int, str]]:
    parsed = parse(markup.encode())
    return [
        (s.kind, s.title, s.level, s.span.text_in(parsed.text))
        for s in parsed.sections
        if s.kind != "section"
    ]


def test_a_table_is_titled_with_its_caption_which_is_its_first_line() -> None:
    row = "<tr><td>a</td><td>b</td></tr>"
    assert blocks_of(f"words<table><caption>Sales, <b>2023</b></caption>{row}</table>words") == [
        ("table", "Sales, 2023", 1, "Sales, 2023\na | b")
    ]
    hidden = "<caption style='display:none'>Sales</caption>"
    assert blocks_of(f"<table>{hidden}{row}</table>") == [("table", "", 1, "a | b")]


def test_items_are_numbered_as_a_browser_numbers_them() -> None:
    markup = (
        "<ol><li>one<ol start=7><li>seven</ol><li hidden>none<li>two<ul><li>dash</ul>"
        "<li value=9>nine<li>ten</ol>"
        "<ol type=a><li>letter</ol><ol reversed><li>last</ol><ol start=x><li>one</ol><li>loose"
    )
    assert text_of(markup).split() == (
        "1. one 7. seven 2. two - dash 9. nine 10. ten - letter - last 1. one - loose".split()
    )


def test_a_list_in_a_list_is_part_of_it_and_a_table_in_it_lies_deeper() -> None:
    table = "<table><tr><td>a</td><td>b</td></tr></table>"
    assert blocks_of(f"<h2>H</h2>x<ul><li>one<ul><li>deep</ul><li>{table}</ul>y<dl><dt>t</dl>") == [
        ("list", "", 3, "- one\n\n- deep\n\n- a | b"),
        ("table", "", 4, "a | b"),
        ("list", "", 3, "t"),
    ]


def test_a_list_that_holds_headings_lays_out_a_page() -> None:
    parsed = parse(b"<ul><li><h3>One</h3>words<li><h3>Two</h3>words</ul>tail")
    assert [(s.kind, s.title) for s in parsed.sections] == [("section", "One"), ("section", "Two")]


@pytest.mark.parametrize("markup", ["a<ul></ul>b", "a<ul><li></ul>b", "a<ol><li hidden>x</ol>b"])
def test_a_list_without_text_is_none(markup: str) -> None:
    parsed = parse(markup.encode())
    assert (parsed.text, parsed.sections) == ("a\n\nb", ())


def test_too_many_tags_are_refused() -> None:
    with pytest.raises(DocumentError, match=r"^page too large: over 3,000,000 tags"):
        parse(b"<" * 3_000_001)


def test_repeated_headings_have_offsets_of_their_own() -> None:
    parsed = parse(b"<p>Risk</p><h2>Risk</h2><p>Risk</p><h2>Risk</h2><p>x</p>")
    assert parsed.text == "Risk\n\nRisk\n\nRisk\n\nRisk\n\nx"
    assert [s.span.start for s in parsed.sections] == [6, 18]


def test_the_first_h1_is_the_title_where_the_head_has_none() -> None:
    markup = b"<svg><title>logo</title></svg><h2>Two</h2><h1>One</h1>x"
    assert parse(markup).title == "One"


def test_inline_elements_do_not_part_words_and_blocks_do() -> None:
    assert text_of("<p>x<sup>2</sup> <i>a</i><b>b</b> </p><div>c</div>d") == "x2 ab\n\nc\nd"


def test_blocks_in_a_heading_and_in_preformatted_text_part_words() -> None:
    parsed = parse(b"<h2><div>Item 1</div>Business</h2><pre>a<br>b<div>c</div>d</pre>")
    assert parsed.text == "Item 1 Business\n\na\nb\nc\nd"
    assert parsed.sections[0].title == "Item 1 Business"


def test_a_layout_table_is_read_as_blocks() -> None:
    markup = "<table><tr><td><h2>Left</h2>menu</td><td><p>words</p></td></tr></table>"
    parsed = parse(markup.encode())
    assert parsed.text == "Left\n\nmenu\n\nwords"
    assert [s.title for s in parsed.sections] == ["Left"]


def test_a_heading_that_swallows_the_page_is_none() -> None:
    parsed = parse(f"<h1><div>{'word ' * 100}</div><div>tail</div></h1>".encode())
    assert parsed.sections == ()
    assert parsed.text.endswith("\ntail")
    parsed = parse(b"<h1><div>Top</div><div><h2>Real</h2><p>words</p></div></h1>")
    assert parsed.text == "Top\n\nReal\n\nwords"
    assert [s.title for s in parsed.sections] == ["Real"]


@pytest.mark.parametrize("tag", ["div", "span", "li", "table><tr><td", "blockquote", "h1", "b"])
def test_deep_nesting_is_no_recursion(tag: str) -> None:
    parsed = parse((f"<{tag}>" * 5000 + "deep" + "</div>" + "<p>after</p>").encode())
    assert "deep" in parsed.text
    assert "after" in parsed.text


@pytest.mark.parametrize(
    "data",
    [
        '<meta charset="iso-8859-1"><p>the company’s café'.encode("cp1252"),
        "<p>the company’s café".encode("cp1252"),
        "<p>the company’s café".encode(),
        '<meta charset="iso-8859-1"><p>the company’s café'.encode(),
        "<p>the company’s café".encode("utf-16"),
        '<?xml version="1.0" encoding="windows-1252"?><p>the company’s café</p>'.encode("cp1252"),
    ],
    ids=["misdeclared", "undeclared", "UTF-8", "lying meta", "UTF-16", "XML"],
)
def test_the_encoding_is_found(data: bytes) -> None:
    assert parse(data).text == "the company’s café"


def test_inline_xbrl_is_a_page_and_its_header_is_hidden() -> None:
    markup = (
        '<?xml version="1.0" encoding="UTF-8"?><html xmlns:ix="x"><body><div style="display:none">'
        "<ix:header>0000012927</ix:header></div><p>Sales of <ix:nonFraction>5</ix:nonFraction>"
        "\u200b million</p></body></html>"
    )
    assert text_of(markup) == "Sales of 5 million"


def test_xml_without_html_raises_no_warning() -> None:
    assert text_of('<?xml version="1.0"?><doc><p>words</p></doc>') == "words"


def test_binary_data_is_not_html() -> None:
    with pytest.raises(DocumentError, match=r"^not text"):
        parse(bytes(range(256)) * 10)


blocks = st.sampled_from(
    "h1 h2 h3 h6 p div ul ol dl li table caption tr td th pre span b br nav script section".split()
)
leaves = st.sampled_from(["Risk", " ", "two words", "\xa0", "&amp;", "<", "\n", "é😀", "a | b"])


@given(st.lists(st.one_of(leaves, blocks.map("<{}>".format), blocks.map("</{}>".format))))
def test_sections_start_with_their_titles_and_nest_in_any_soup(pieces: list[str]) -> None:
    parsed = parse(("<body>" + "".join(pieces)).encode())
    around: list[Section] = []
    for section in parsed.sections:
        held = section.span.text_in(parsed.text)
        assert held.startswith(section.title) if section.kind == "section" else held.strip()
        assert bool(section.title) or section.kind != "section"
        around = [outer for outer in around if section.span.start < outer.span.end]
        assert all(outer.span.covers(section.span) for outer in around)
        assert all(outer.level < section.level for outer in around)
        around.append(section)
    assert parsed.text == parsed.text.strip("\n")


def test_elements_nested_without_end_are_refused() -> None:
    # Beautiful Soup would take hours of them.
    with pytest.raises(DocumentError, match="page nested too deep"):
        parse(b"<font>" * 100_000 + b"x</font>" * 100_000)


def test_a_span_of_endless_digits_is_no_fault() -> None:
    cell = f"<td colspan={'9' * 5_000}>"
    assert parse(f"<table><tr>{cell}a<td>b</table>".encode()).text == "a | b"
