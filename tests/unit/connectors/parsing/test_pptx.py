from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import pptx
import pytest
from pptx.util import Inches

from connectors.parsing import formats
from connectors.parsing.pptx import parse
from rag.errors import DocumentError

Rezip = Callable[..., bytes]
TITLE_AND_CONTENT, TITLE_ONLY, BLANK = 1, 5, 6


def saved(deck: Any) -> bytes:
    buffer = BytesIO()
    deck.save(buffer)
    return buffer.getvalue()


def box(shapes: Any, text: str, left: float, top: float) -> Any:
    made = shapes.add_textbox(Inches(left), Inches(top), Inches(1), Inches(1))
    made.text_frame.text = text
    return made


@pytest.fixture(scope="module")
def deck() -> bytes:
    deck = pptx.Presentation()
    deck.core_properties.author = "Ann Lee"
    deck.core_properties.title = "Year in review"
    first = deck.slides.add_slide(deck.slide_layouts[TITLE_AND_CONTENT])
    first.placeholders[1].text_frame.text = "Up by a half\nMore to come"
    first.shapes.title.text = "Revenue\nand costs"
    first.notes_slide.notes_text_frame.text = "Say thanks.\nSmile."
    deck.slides.add_slide(deck.slide_layouts[BLANK])
    third = deck.slides.add_slide(deck.slide_layouts[BLANK])
    box(third.shapes, "below", 1, 5)
    box(third.shapes, "right", 5, 1)
    box(third.shapes, "left", 1, 1.04)
    table = third.shapes.add_table(3, 3, Inches(1), Inches(3), Inches(4), Inches(1)).table
    for row, texts in enumerate((("Region", "2022", "2023"), ("North", "5", ""), ("", "", ""))):
        for column, text in enumerate(texts):
            table.cell(row, column).text = text
    table.cell(1, 1).merge(table.cell(1, 2))
    return saved(deck)


def test_slides_are_pages_and_shapes_are_in_reading_order(deck: bytes) -> None:
    parsed = parse(deck)
    assert parsed.text == (
        "Revenue and costs\n\nUp by a half\nMore to come\n\nNotes: Say thanks.\nSmile.\n\f"
        "\n\fleft\n\nright\n\nRegion | 2022 | 2023\nNorth | 5\n\nbelow"
    )
    assert [parsed.text[start:][:5] for start in parsed.pages] == ["Reven", "\n\flef", "left\n"]
    assert all(parsed.text[start - 1] == "\f" for start in parsed.pages[1:])


def test_slides_and_tables_are_sections(deck: bytes) -> None:
    parsed = parse(deck)
    found = [(s.kind, s.level, s.title, s.span.text_in(parsed.text)) for s in parsed.sections]
    assert [each[:3] for each in found] == [
        ("section", 1, "Revenue and costs"), ("section", 1, "left"), ("table", 2, "")
    ]  # fmt: skip
    assert found[0][3].startswith("Revenue and costs\n\nUp")
    assert found[0][3].endswith("Smile.")
    assert found[1][3].endswith("below")
    assert found[2][3] == "Region | 2022 | 2023\nNorth | 5"


def test_properties_become_title_and_facts(deck: bytes) -> None:
    parsed = parse(deck)
    assert parsed.title == "Year in review"
    assert parsed.meta["author"] == "Ann Lee"
    changed = pptx.Presentation(BytesIO(deck))
    changed.core_properties.title = ""
    assert parse(saved(changed)).title == "Revenue and costs"


def test_groups_stay_together_and_in_order() -> None:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[BLANK])
    box(slide.shapes, "between", 0, 2)
    group = slide.shapes.add_group_shape()
    box(group.shapes, "second", 0, 3)
    box(group.shapes, "first", 0, 1)
    inner = group.shapes.add_group_shape()
    box(inner.shapes, "inner", 0, 2.5)
    assert parse(saved(deck)).text == "first\n\ninner\n\nsecond\n\nbetween"


def test_placeholders_stand_where_their_layout_puts_them() -> None:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[TITLE_AND_CONTENT])
    box(slide.shapes, "low", 1, 7)
    box(slide.shapes, "high", 1, 0)
    slide.placeholders[1].text_frame.text = "body"
    slide.shapes.title.text = "Title"
    assert parse(saved(deck)).text == "Title\n\nhigh\n\nbody\n\nlow"


def test_footers_dates_and_numbers_are_left_out() -> None:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[TITLE_ONLY])
    slide.shapes.title.text = "Title"
    for kind in ("dt", "ftr", "sldNum"):
        made = box(slide.shapes, kind, 1, 1)
        made._element.nvSpPr.nvPr.append(
            made._element.makeelement(
                "{http://schemas.openxmlformats.org/presentationml/2006/main}ph", {"type": kind}
            )
        )
    assert parse(saved(deck)).text == "Title"


def test_line_breaks_part_lines_and_a_long_first_line_is_no_title() -> None:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[BLANK])
    box(slide.shapes, f"{'long ' * 80}\vnext", 1, 1)
    parsed = parse(saved(deck))
    assert parsed.text.endswith("long\nnext")
    assert [s.title for s in parsed.sections] == [""]


def test_a_token_of_over_ten_megabytes_is_read() -> None:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[BLANK])
    box(slide.shapes, "x" * (11 * 2**20), 1, 1)
    assert len(parse(saved(deck)).text) == 11 * 2**20


def test_a_slide_listed_over_and_over_is_damage(rezip: Rezip, deck: bytes) -> None:
    changed = pptx.Presentation(BytesIO(deck))
    slides = changed.slides._sldIdLst
    slides.append(slides[0].__copy__())
    with pytest.raises(DocumentError, match=r"^damaged PowerPoint .*: a slide is listed twice$"):
        formats.parse(saved(changed), ".pptx")


def test_entities_are_refused(rezip: Rezip, deck: bytes) -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><x>&b;</x>'
    with pytest.raises(DocumentError, match=r"^refused: 'ppt/slides/slide1.xml' declares a DTD"):
        formats.parse(rezip({"ppt/slides/slide1.xml": bomb}, deck), ".pptx")


@pytest.mark.parametrize("digits", ["9" * 5000, "-5", "x", ""])
def test_absurd_places_do_no_harm(digits: str) -> None:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[BLANK])
    box(slide.shapes, "a", 1, 1)._element.spPr.xfrm.off.set("x", digits)
    assert parse(saved(deck)).text == "a"


def test_other_content_and_damage_are_told_apart(rezip: Rezip, deck: bytes) -> None:
    with pytest.raises(DocumentError, match=r"^not a PowerPoint presentation: it is plain text"):
        formats.parse(b"notes", ".pptx")
    with pytest.raises(DocumentError, match=r"^not a PowerPoint presentation: it is a zip archive"):
        formats.parse(rezip({"a": b"b"}), ".pptx")
    with pytest.raises(DocumentError, match=r"^damaged PowerPoint .*'ppt/slides/slide1.xml'"):
        formats.parse(rezip({"ppt/slides/slide1.xml": b"<x>"}, deck), ".pptx")
    with pytest.raises(DocumentError, match=r"^empty document"):
        formats.parse(saved(pptx.Presentation()), ".pptx")
