from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.parsing.markdown import parse

line_ends = st.sampled_from(["\n", "\r\n", "\r"])
lines = st.sampled_from(
    ["# One", "## Two *big*", "### Three", "words", "", "Setext", "===", "---", "```", "- item",
     "> # quoted", "    # code", "😀 \u2028 \x0b", "# One"]
)  # fmt: skip


def titles(text: str) -> list[tuple[int, str, str]]:
    parsed = parse(text.encode())
    assert parsed.text == text
    return [(s.level, s.title, s.span.text_in(text)) for s in parsed.sections]


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


@given(st.lists(lines), line_ends)
def test_every_section_starts_at_its_heading_line(content: list[str], end: str) -> None:
    text = end.join(content) or "x"
    parsed = parse(text.encode())
    assert parsed.text == text
    for section in parsed.sections:
        assert section.span.start == 0 or text[section.span.start - 1] in "\r\n"
        heading = section.span.text_in(text)
        assert section.title.split()[0] in heading.splitlines()[0]
