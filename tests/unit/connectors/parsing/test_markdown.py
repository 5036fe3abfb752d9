from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.parsing.markdown import parse

line_ends = st.sampled_from(["\n", "\r\n", "\r"])
lines = st.sampled_from(
    ["# One", "## Two *big*", "### Three", "words", "", "Setext", "===", "---", "```", "- item",
     "> # quoted", "    # code", "😀 \u2028 \x0b", "# One", "1. one",
     "  - deep", "a | b", "--- | ---"]
)  # fmt: skip


def titles(text: str) -> list[tuple[int, str, str]]:
    parsed = parse(text.encode())
    assert parsed.text == text
    return [
        (s.level, s.title, s.span.text_in(text)) for s in parsed.sections if s.kind == "section"
    ]


def blocks(text: str) -> list[tuple[str, int, str]]:
    parsed = parse(text.encode())
    assert parsed.text == text
    return [(s.kind, s.level, s.span.text_in(text)) for s in parsed.sections if s.kind != "section"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_sections_nest_by_level_whatever_the_line_ends(end: str) -> None:
    text = end.join(["intro", "# A 😀", "a", "## A.1", "a1", "# B", "b"])
    assert titles(text) == [
        (1, "A 😀", end.join(["# A 😀", "a", "## A.1", "a1", ""])),
        (2, "A.1", end.join(["## A.1", "a1", ""])),
        (1, "B", end.join(["# B", "b"])),
    ]


def test_setext_headings_count_and_lose_their_markup() -> None:
    assert titles("Big *plan*\nof `x` [now](u)\n===\nwords\n\nSmall\n---\n") == [
        (1, "Big plan of x now", "Big *plan*\nof `x` [now](u)\n===\nwords\n\nSmall\n---\n"),
        (2, "Small", "Small\n---\n"),
    ]


def test_what_only_looks_like_a_heading_does_not_count() -> None:
    assert titles("```\n# code\n```\n    # indented\n\n#hashtag\n\n> # quoted\n\n- # item\n") == []


def test_lines_are_counted_as_markdown_counts_them() -> None:
    # str.splitlines would see four lines more before the heading.
    text = "a\u2028b\x0bc\x0cd\x85e\n\n# Here\n"
    assert titles(text) == [(1, "Here", "# Here\n")]


@pytest.mark.parametrize(
    ("front", "title"),
    [
        ("title: Plain words", "Plain words"),
        ("layout: post\ntitle: 'Quoted: yes'", "Quoted: yes"),
        ('title: "Two"', "Two"),
        ("title: >\n  folded", "Heading"),
        ("subtitle: no", "Heading"),
    ],
)
def test_front_matter_gives_the_title_and_is_no_heading(front: str, title: str) -> None:
    text = f"---\n{front}\n---\n\n# Heading\n"
    assert parse(text.encode()).title == title
    assert titles(text) == [(1, "Heading", "# Heading\n")]


def test_a_rule_at_the_top_is_not_front_matter() -> None:
    assert [title for _, title, _ in titles("---\nwords\n---\n# A\n")] == ["words", "A"]


def test_the_title_is_the_first_heading_of_level_1() -> None:
    assert parse(b"## Two\n# One\n# Other\n").title == "One"
    assert parse(b"## Two\n").title == ""


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_tables_and_lists_are_exactly_their_lines(end: str) -> None:
    text = end.join(
        ["## A", "", "a | b", ":-- | --:", "1 | 2", "", " - one", "   more", "", "     - deep", "",
         "2. two", "", "words"]
    )  # fmt: skip
    assert blocks(text) == [
        ("table", 3, end.join(["a | b", ":-- | --:", "1 | 2"])),
        ("list", 3, end.join(["- one", "   more", "", "     - deep"])),
        ("list", 3, "2. two"),
    ]


def test_a_table_in_a_list_lies_deeper_and_one_in_front_matter_is_none() -> None:
    table = "| a |\n  |---|\n  | 1 |"
    assert blocks(f"---\nx: |\n\n---\n- see\n\n  {table}\n") == [
        ("list", 1, f"- see\n\n  {table}"),
        ("table", 2, table),
    ]


def test_what_only_looks_like_a_table_or_a_list_does_not_count() -> None:
    assert blocks("```\na | b\n--|--\n- x\n```\na | b\nc | d\n\n-none\n1.none\n") == []


def test_an_endless_heading_is_cut() -> None:
    parsed = parse(b"# " + b"[" * 300_000)
    assert len(parsed.sections[0].title) == 1_000


@given(st.lists(lines), line_ends)
def test_every_section_starts_at_its_heading_line(content: list[str], end: str) -> None:
    text = end.join(content) or "x"
    parsed = parse(text.encode())
    assert parsed.text == text
    for section in parsed.sections:
        held = section.span.text_in(text)
        if section.kind == "section":
            assert section.span.start == 0 or text[section.span.start - 1] in "\r\n"
            assert section.title.split()[0] in held.splitlines()[0]
        else:
            assert held == held.strip() != ""
