from __future__ import annotations

from connectors.parsing.outline import Outline


def test_tables_and_lists_are_deeper_than_the_heading_above_them() -> None:
    outline = Outline()
    outline.block("list", ["- a"])
    outline.heading("One", 1)
    outline.heading("Deep", 3)
    outline.block("table", ["Costs", "a | b"], "Costs")
    outline.heading("Two", 2)
    outline.paragraph("words\nmore")
    outline.block("list", ["- c"])
    assert outline.text == "- a\n\nOne\n\nDeep\n\nCosts\na | b\n\nTwo\n\nwords\nmore\n\n- c"
    found = [(s.kind, s.level, s.title, s.span.text_in(outline.text)) for s in outline.sections]
    assert found == [
        ("list", 1, "", "- a"),
        ("section", 1, "One", outline.text[5:]),
        ("section", 3, "Deep", "Deep\n\nCosts\na | b\n\n"),
        ("table", 4, "Costs", "Costs\na | b"),
        ("section", 2, "Two", "Two\n\nwords\nmore\n\n- c"),
        ("list", 3, "", "- c"),
    ]


def test_a_section_around_it_all_makes_blocks_deeper() -> None:
    outline = Outline(level=1)
    outline.block("table", ["a"])
    assert [section.level for section in outline.sections] == [2]
