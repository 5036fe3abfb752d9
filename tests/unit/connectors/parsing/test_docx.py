from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import docx
import pytest
from docx.enum.style import WD_STYLE_TYPE
from docx.oxml import parse_xml

from connectors.parsing import docx as word
from connectors.parsing import formats
from connectors.parsing.docx import parse
from connectors.parsing.office import Limits
from rag.errors import DocumentError

Rezip = Callable[..., bytes]
W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
MC = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'


def saved(document: Any) -> bytes:
    buffer = BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def add(document: Any, xml: str) -> None:
    """Put blocks of raw WordprocessingML at the document's end."""
    body = document.element.body
    for element in parse_xml(f"<w:body {W} {MC}>{xml}</w:body>"):
        body.insert(len(body) - 1, element)


def text_of(xml: str) -> str:
    document = docx.Document()
    add(document, xml)
    return parse(saved(document)).text


@pytest.fixture(scope="module")
def report() -> bytes:
    document = docx.Document()
    document.core_properties.author = "Ann  Lee"
    document.core_properties.keywords = "growth"
    document.core_properties.subject = "too long"
    document.core_properties._element.subject.text = "x" * 1_001
    document.add_heading("Annual report", 0)
    document.add_paragraph("What we did.")
    document.add_heading("Sales", 1)
    document.add_paragraph("North", style="List Bullet")
    document.add_paragraph("South\ntoo", style="List Number")
    document.add_heading("By region", 2)
    document.add_paragraph("Table 1: Regions", style="Caption")
    table = document.add_table(2, 3)
    for column, text in enumerate(("Region", "2022", "2023")):
        table.cell(0, column).text = text
    table.cell(1, 0).text = "North"
    table.cell(1, 1).text = "5"
    table.cell(1, 1).merge(table.cell(1, 2))
    document.add_paragraph("After.")
    document.add_heading("Outlook", 1)
    document.sections[0].header.paragraphs[0].text = "a running head"
    return saved(document)


def test_a_report_reads_in_order(report: bytes) -> None:
    parsed = parse(report)
    assert parsed.text == (
        "Annual report\n\nWhat we did.\n\nSales\n\n- North\n- South too\n\nBy region\n\n"
        "Table 1: Regions\nRegion | 2022 | 2023\nNorth | 5\n\nAfter.\n\nOutlook"
    )
    assert parsed.pages == ()


def test_headings_lists_and_tables_are_sections(report: bytes) -> None:
    parsed = parse(report)
    found = [(s.kind, s.level, s.title, s.span.text_in(parsed.text)) for s in parsed.sections]
    assert [each[:3] for each in found] == [
        ("section", 1, "Annual report"),
        ("section", 1, "Sales"),
        ("list", 2, ""),
        ("section", 2, "By region"),
        ("table", 3, "Table 1: Regions"),
        ("section", 1, "Outlook"),
    ]
    assert found[2][3] == "- North\n- South too"
    assert found[4][3] == "Table 1: Regions\nRegion | 2022 | 2023\nNorth | 5"
    assert all(text.startswith(title) for _, _, title, text in found)


def test_properties_become_title_and_short_facts(report: bytes) -> None:
    parsed = parse(report)
    assert parsed.title == "Annual report"
    assert parsed.meta == {
        "author": "Ann Lee", "keywords": "growth",
        "created": "2013-12-23T23:15:00Z", "modified": "2013-12-23T23:15:00Z",
    }  # fmt: skip
    document = docx.Document(BytesIO(report))
    document.core_properties.title = "Of the properties"
    assert parse(saved(document)).title == "Of the properties"


def test_the_first_heading_is_the_title_where_there_is_no_other() -> None:
    document = docx.Document()
    document.add_heading("Deep", 2)
    document.add_heading("High", 1)
    assert parse(saved(document)).title == "High"


def test_every_level_of_heading() -> None:
    document = docx.Document()
    for level in range(1, 10):
        document.add_heading(f"Level {level}", level)
    assert [(s.level, s.title) for s in parse(saved(document)).sections] == [
        (level, f"Level {level}") for level in range(1, 10)
    ]


def test_styles_based_on_headings_and_outline_levels_are_headings() -> None:
    document = docx.Document()
    style = document.styles.add_style("Chapter", WD_STYLE_TYPE.PARAGRAPH)
    style.base_style = document.styles["Heading 2"]
    document.add_paragraph("Based", style="Chapter")
    add(
        document,
        '<w:p><w:pPr><w:outlineLvl w:val="3"/></w:pPr><w:r><w:t>Fourth</w:t></w:r></w:p>'
        '<w:p><w:pPr><w:pStyle w:val="Heading1"/><w:outlineLvl w:val="9"/></w:pPr>'
        "<w:r><w:t>Body</w:t></w:r></w:p>",
    )
    assert [(s.level, s.title) for s in parse(saved(document)).sections] == [
        (2, "Based"), (4, "Fourth")
    ]  # fmt: skip


def test_styles_in_a_ring_come_to_an_end() -> None:
    document = docx.Document()
    for name, base in (("One", "Two"), ("Two", "One")):
        document.styles.element.append(
            parse_xml(
                f'<w:style {W} w:type="paragraph" w:styleId="{name}"><w:name w:val="{name}"/>'
                f'<w:basedOn w:val="{base}"/></w:style>'
            )
        )
    add(document, '<w:p><w:pPr><w:pStyle w:val="One"/></w:pPr><w:r><w:t>x</w:t></w:r></w:p>')
    assert parse(saved(document)).text == "x"


def test_numbered_paragraphs_are_items_unless_numbering_is_switched_off() -> None:
    document = docx.Document()
    add(
        document,
        "".join(
            f'<w:p><w:pPr>{style}<w:numPr><w:ilvl w:val="0"/><w:numId w:val="{number}"/></w:numPr>'
            f"</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"
            for style, number, text in (
                ("", 3, "one"), ('<w:pStyle w:val="ListBullet"/>', 0, "plain"), ("", 3, "two")
            )
        ),
    )  # fmt: skip
    parsed = parse(saved(document))
    assert parsed.text == "- one\n\nplain\n\n- two"
    assert [s.span.text_in(parsed.text) for s in parsed.sections] == ["- one", "- two"]


def test_a_caption_below_is_the_tables_unless_another_table_follows() -> None:
    document = docx.Document()
    for text in ("first", "second"):
        table = document.add_table(1, 2)
        table.cell(0, 0).text, table.cell(0, 1).text = text, "x"
        document.add_paragraph(f"About the {text}", style="Caption")
    parsed = parse(saved(document))
    # The caption between two tables is that of the second; what is left is a paragraph.
    assert [s.title for s in parsed.sections] == ["", "About the first"]
    document.element.body.remove(document.tables[0]._tbl)
    document.element.body.remove(document.paragraphs[0]._p)
    parsed = parse(saved(document))
    assert [(s.title, s.span.text_in(parsed.text)) for s in parsed.sections] == [
        ("About the second", "second | x\nAbout the second")
    ]


def test_a_cell_that_spans_rows_stands_once_and_keeps_its_place() -> None:
    document = docx.Document()
    table = document.add_table(2, 2)
    table.cell(0, 0).text = "Both"
    table.cell(0, 0).merge(table.cell(1, 0))
    table.cell(0, 1).text, table.cell(1, 1).text = "one", "two"
    assert parse(saved(document)).text == "Both | one\n| two"


def test_a_table_that_lays_out_the_page_is_read_as_blocks() -> None:
    document = docx.Document()
    frame = document.add_table(1, 1)
    frame.cell(0, 0).text = "In a frame"
    outer = document.add_table(1, 2)
    outer.cell(0, 0).paragraphs[0].text = "Left"
    outer.cell(0, 0).paragraphs[0].style = "Heading 1"
    inner = outer.cell(0, 1).add_table(1, 2)
    inner.cell(0, 0).text, inner.cell(0, 1).text = "a", "b"
    parsed = parse(saved(document))
    assert parsed.text == "In a frame\n\nLeft\n\na | b"
    assert [(s.kind, s.level) for s in parsed.sections] == [("section", 1), ("table", 2)]


def test_an_absurd_span_does_no_harm() -> None:
    document = docx.Document()
    table = document.add_table(1, 2)
    table.cell(0, 0).text, table.cell(0, 1).text = "a", "b"
    for cell in table.rows[0].cells:
        cell._tc.get_or_add_tcPr().append(parse_xml(f'<w:gridSpan {W} w:val="99999999999"/>'))
    assert parse(saved(document)).text == "a | b"


def test_tracked_changes_content_controls_and_links_are_read_as_they_stand() -> None:
    assert (
        text_of(
            "<w:sdt><w:sdtPr/><w:sdtContent><w:p><w:r><w:t>control</w:t></w:r></w:p></w:sdtContent>"
            "</w:sdt><w:p><w:ins><w:r><w:t>new </w:t></w:r></w:ins><w:del><w:r><w:delText>old"
            "</w:delText></w:r></w:del><w:hyperlink><w:r><w:t>link</w:t></w:r></w:hyperlink>"
            "<w:moveFrom><w:r><w:t>gone</w:t></w:r></w:moveFrom><w:sdt><w:sdtContent><w:r><w:tab/>"
            '<w:t>x</w:t><w:br/><w:t xml:space="preserve">  y</w:t><w:noBreakHyphen/><w:t>z</w:t>'
            "</w:r></w:sdtContent></w:sdt><w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r>"
            "<w:r><w:instrText>PAGE</w:instrText></w:r></w:p>"
        )
        == "control\n\nnew link x\ny-z"
    )


def test_a_text_box_stands_once_after_its_paragraph() -> None:
    box = "<w:txbxContent><w:p><w:r><w:t>boxed</w:t></w:r></w:p></w:txbxContent>"
    assert (
        text_of(
            "<w:p><w:r><w:t>around</w:t><mc:AlternateContent><mc:Choice><w:drawing>"
            f"{box}</w:drawing></mc:Choice><mc:Fallback><w:pict>{box}</w:pict></mc:Fallback>"
            "</mc:AlternateContent></w:r></w:p><w:p><w:r><w:t>after</w:t></w:r></w:p>"
        )
        == "around\n\nboxed\n\nafter"
    )


def test_footnotes_follow_the_paragraph_that_refers_to_them(rezip: Rezip) -> None:
    document = docx.Document()
    mark = '<w:r><w:footnoteReference w:id="{}"/></w:r>'
    add(
        document,
        f"<w:p><w:r><w:t>Grew</w:t></w:r>{mark.format(7)}<w:r><w:t>, fell</w:t></w:r>"
        f"{mark.format(2)}{mark.format(99)}</w:p><w:p><w:r><w:t>Next</w:t></w:r></w:p>",
    )
    base = saved(document)
    notes = "".join(
        f'<w:footnote w:id="{key}"><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:footnote>'
        for key, text in ((0, ""), (2, "By a half."), (7, "Twofold."))
    )
    relations = "word/_rels/document.xml.rels"
    relation = (
        '<Relationship Id="rId99" Target="footnotes.xml" Type="http://schemas.openxmlformats.org'
        '/officeDocument/2006/relationships/footnotes"/></Relationships>'
    )
    old = docx.Document(BytesIO(base)).part.rels.xml
    data = rezip(
        {
            "word/footnotes.xml": f"<w:footnotes {W}>{notes}</w:footnotes>".encode(),
            relations: old.replace(b"</Relationships>", relation.encode()),
        },
        base,
    )
    assert parse(data).text == "Grew[1], fell[2]\n\n[1] Twofold.\n\n[2] By a half.\n\nNext"


def test_a_token_of_over_ten_megabytes_is_read() -> None:
    document = docx.Document()
    size = 11 * 2**20
    add(document, f"<w:p><w:r><w:t>{'x' * 100}</w:t></w:r></w:p>")
    document.paragraphs[0].runs[0]._r[0].text = "x" * size
    assert len(parse(saved(document)).text) == size


def test_deep_nesting_is_no_recursion(rezip: Rezip) -> None:
    deep = 200
    opened = "<w:tbl><w:tr><w:tc>" * deep
    closed = "</w:tc></w:tr></w:tbl>" * deep
    xml = f"<w:document {W}><w:body>{opened}<w:p><w:r><w:t>x</w:t></w:r></w:p>{closed}"
    members = {"word/document.xml": f"{xml}</w:body></w:document>".encode()}
    assert parse(rezip(members, saved(docx.Document()))).text == "x"


LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha">' + "".join(
    f'<!ENTITY {name} "{f"&{of};" * 10}">' for of, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("member", "xml"),
    [
        ("word/document.xml", LAUGHS + "]><x>&i;</x>"),
        ("word/styles.xml", LAUGHS + ']><x y="&i;"/>'),
        ("docProps/core.xml", '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>'),
        ("word/document.xml", '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd"><x/>'),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_are_refused(rezip: Rezip, member: str, xml: str, encoding: str) -> None:
    data = rezip({member: xml.encode(encoding)}, saved(docx.Document()))
    with pytest.raises(DocumentError, match=f"^refused: '{member}' declares a DTD"):
        formats.parse(data, ".docx")


def test_a_comment_cannot_hide_a_dtd(rezip: Rezip) -> None:
    xml = f"<!--{'x' * 100_000}-->{LAUGHS}]><x>&i;</x>".encode()
    data = rezip({"word/document.xml": xml}, saved(docx.Document()))
    with pytest.raises(DocumentError, match=r"^damaged Word document: its main part is missing"):
        formats.parse(data, ".docx")


def test_a_relation_that_leads_out_leads_nowhere(rezip: Rezip) -> None:
    xml = (
        b'<Relationships><Relationship Id="a" Type="x/officeDocument" '
        b'Target="../../../../etc/passwd"/></Relationships>'
    )
    data = rezip({"_rels/.rels": xml}, saved(docx.Document()))
    with pytest.raises(DocumentError, match=r"^damaged Word document: its main part is missing"):
        formats.parse(data, ".docx")


def test_a_bomb_of_tags_is_refused(rezip: Rezip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word, "_LIMITS", Limits(2**26, 100_000))
    data = rezip(
        {"word/document.xml": b"<x>" + b"<y/>" * 200_000 + b"</x>"}, saved(docx.Document())
    )
    with pytest.raises(DocumentError, match=r"^Word document too large: over 100,000 XML tags"):
        formats.parse(data, ".docx")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<html><body>not Word</body></html>", "not a Word document: it is HTML"),
        (b"%PDF-1.4", "not a Word document: it is a PDF"),
        (b"some notes", "not a Word document: it is plain text"),
    ],
)
def test_other_content_is_called_by_its_name(data: bytes, reason: str) -> None:
    with pytest.raises(DocumentError, match=f"^{reason}"):
        formats.parse(data, ".docx")


def test_other_archives_and_damage_are_told_apart(rezip: Rezip) -> None:
    with pytest.raises(DocumentError, match=r"^not a Word document: it is a zip archive of someth"):
        formats.parse(rezip({"a.txt": b"words"}), ".docx")
    with pytest.raises(DocumentError, match=r"^damaged Word document: 'word/document.xml': "):
        formats.parse(rezip({"word/document.xml": b"<x><y></x>"}, saved(docx.Document())), ".docx")
    with pytest.raises(DocumentError, match=r"^empty document"):
        formats.parse(saved(docx.Document()), ".docx")
