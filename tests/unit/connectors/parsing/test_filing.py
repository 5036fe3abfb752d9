from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.parsing.filing import form_in, item_sections

ANNUAL = [
    ("1", "Business"), ("1A", "Risk Factors"), ("1B", "Unresolved Staff Comments"),
    ("2", "Properties"), ("3", "Legal Proceedings"), ("4", "Mine Safety Disclosures"),
    ("5", "Market for Registrant's Common Equity"), ("6", "[Reserved]"),
    ("7", "Management's Discussion and Analysis"), ("7A", "Quantitative Disclosures"),
    ("8", "Financial Statements and Supplementary Data"),
    ("9", "Changes in and Disagreements with Accountants"), ("9A", "Controls and Procedures"),
    ("9B", "Other Information"), ("10", "Directors and Officers"), ("11", "Executive Compensation"),
    ("12", "Security Ownership"), ("13", "Certain Relationships"),
    ("14", "Principal Accountant Fees"),
    ("15", "Exhibits, Financial Statement Schedules"), ("16", "Form 10-K Summary"),
]  # fmt: skip
ACT = "PURSUANT TO SECTION 13 OR 15(d) OF THE SECURITIES EXCHANGE ACT OF 1934"
BODY = "We sell bread in many towns and intend to sell more of it than the year before. " * 8


def annual(heading: str = "Item {}. {}", body: str = BODY) -> str:
    parts = {"1": "PART I", "5": "PART II", "10": "PART III", "15": "PART IV"}
    lines = []
    for number, title in ANNUAL:
        lines += [parts[number]] if number in parts else []
        lines += [heading.format(number, title), body]
    return "\n".join([*lines, "SIGNATURES", "Jane Doe"])


def contents(line: str = "Item {}. {} {}") -> str:
    return "\n".join(line.format(n, t, at) for at, (n, t) in enumerate(ANNUAL, 3))


def titles(text: str, form: str = "10-K") -> list[str]:
    return [heading.title for heading in item_sections(text, form)]


EXPECTED = [f"Item {number}. {title}" for number, title in ANNUAL]


def check(text: str, form: str = "10-K") -> None:
    """Titles stand where their headings say."""
    for heading in item_sections(text, form):
        there = " ".join(text[heading.start :].replace("|", " ").split())
        assert there.startswith(heading.title), heading


def test_parts_and_items_in_order() -> None:
    text = annual()
    found = item_sections(text, "10-K")
    assert [h.title for h in found if h.level == 2] == EXPECTED
    assert [h.title for h in found if h.level == 1] == [
        "PART I", "PART II", "PART III", "PART IV", "SIGNATURES",
    ]  # fmt: skip
    assert found == sorted(found, key=lambda h: h.start)
    check(text)


@pytest.mark.parametrize(
    "line",
    [
        "Item {}. {} {}",
        "Item {}.\n{}\n{}",
        "Item {}. | {} | {}",
        "Item {}\n\n{}\n\n{}",
        "Item {}. {}",
    ],
)
def test_the_table_of_contents_is_none(line: str) -> None:
    listed = f"TABLE OF CONTENTS\nPART I\n{contents(line)}\n"
    text = listed + annual()
    found = item_sections(text, "10-K")
    assert [h.title for h in found if h.level == 2] == EXPECTED
    assert all(h.start >= len(listed) for h in found)
    assert len([h for h in found if h.level == 1]) == 5


def test_an_index_alone_is_no_structure() -> None:
    text = BODY * 20 + "\nForm 10-K Cross-Reference Index\n" + contents("Item {}. | {} | {}")
    assert titles(text) == []


def test_an_index_behind_the_text_is_none() -> None:
    text = annual() + "\nCross-Reference Index\n" + contents("Item {}. | {} | {}")
    found = item_sections(text, "10-K")
    assert [h.title for h in found if h.level == 2] == EXPECTED
    assert [h.start for h in found] == [h.start for h in item_sections(annual(), "10-K")]


@pytest.mark.parametrize(
    "heading",
    [
        "ITEM {}. {}", "Item {}: {}", "Item {}—{}", "Item {}. - {}", "Item\xa0{}.\xa0\xa0{}",
        "Item {}.\n{}", "Item {}. | {}", "ITEM {}\n\n{}", "  Item {}.\t{}", "Item {} {}",
    ],
)  # fmt: skip
def test_headings_are_written_in_many_ways(heading: str) -> None:
    text = annual(heading)
    check(text)
    found = [title for title in titles(text) if title.lower().startswith("item")]
    assert len(found) == len(ANNUAL)


@pytest.mark.parametrize(
    "reference",
    [
        "This is described in\nItem 1A. Risk Factors\nbelow.",
        "Item 7, “Management's Discussion and Analysis” says so.",
        "Item 8. “Financial Statements and Supplementary Data” says so.",
        "Item 1A. Risk Factors of this Annual Report on Form 10-K.",
        "Item 1A of Part I, Risk Factors",
        "see Part II,\nItem 7. Management's Discussion and Analysis",
        "Item 601. Exhibits",
        "Item 7. Management's Discussion and Analysis (continued)",
        "as said under Item 2. Properties",
    ],
)
@pytest.mark.parametrize("before", ["1B", "16"])
def test_references_are_none(reference: str, before: str) -> None:
    heading = dict(ANNUAL)[before]
    line = f"Item {before}. {heading}\n"
    text = annual().replace(line, f"{line}{reference}\n")
    found = [h for h in item_sections(text, "10-K") if h.level == 2]
    assert [h.title for h in found] == EXPECTED
    starts = {
        m.start() for m in re.finditer(r"(?m)^Item \w+\. .*\n(?=We sell|Item|see|as|This)", text)
    }
    assert {h.start for h in found} <= starts


def test_a_reference_out_of_order_is_none() -> None:
    text = annual().replace("Item 2. Properties\n", "Item 2. Properties\nx\nItem 9A. Controls\nx\n")
    assert [t for t in titles(text) if t.startswith("Item")] == EXPECTED


def test_items_that_are_not_there_are_left_out() -> None:
    text = f"PART III\nItem 10. Directors\n{BODY}\nItem 11. Executive Compensation\n{BODY}"
    assert titles(text, "10-K/A") == [
        "PART III", "Item 10. Directors", "Item 11. Executive Compensation",
    ]  # fmt: skip


def test_one_heading_for_several_items() -> None:
    text = f"Items 1 and 2. Business and Properties\n{BODY}\nItem 3. Legal Proceedings\nNone."
    assert titles(text)[0] == "Items 1 and 2. Business and Properties"


def test_a_title_goes_on_in_the_next_line_after_a_word_like_and() -> None:
    text = (
        "Item 7. Management's Discussion and Analysis of Financial Condition and\nResults\nWe grew."
    )
    assert titles(text) == [
        "Item 7. Management's Discussion and Analysis of Financial Condition and Results"
    ]


def test_a_title_ends_where_the_text_runs_on_in_its_line() -> None:
    text = f"Item 3. Legal Proceedings. {BODY}"
    assert titles(text) == ["Item 3. Legal Proceedings."]


QUARTERLY = f"""PART I. FINANCIAL INFORMATION
Item 1. Financial Statements
{BODY}
Item 2. Management's Discussion and Analysis
{BODY}
Item 3. Quantitative and Qualitative Disclosures
{BODY}
Item 4. Controls and Procedures
{BODY}
PART II. OTHER INFORMATION
Item 1. Legal Proceedings
None.
Item 1A. Risk Factors
{BODY}
Item 2. Unregistered Sales of Equity Securities
None.
Item 6. Exhibits
31.1 Certification
SIGNATURES"""


def test_the_same_number_is_another_item_in_another_part() -> None:
    found = item_sections(QUARTERLY, "10-Q")
    assert [h.title for h in found if h.level == 2] == re.findall(r"(?m)^Item .*", QUARTERLY)
    assert [h.title for h in found if h.level == 1] == [
        "PART I. FINANCIAL INFORMATION", "PART II. OTHER INFORMATION", "SIGNATURES",
    ]  # fmt: skip


def test_events_in_the_order_they_have() -> None:
    text = (
        "Item 5.02 Departure of Directors\nItem 404(a) of Regulation S-K\n"
        "Item 2.02. Results of Operations\nItem 2.02 of this Current Report\n"
        "Item 9.01 | Financial Statements and Exhibits.\nSIGNATURE\n"
    )
    assert [(h.level, h.title) for h in item_sections(text, "8-K")] == [
        (1, "Item 5.02 Departure of Directors"),
        (1, "Item 2.02. Results of Operations"),
        (1, "Item 9.01 Financial Statements and Exhibits."),
        (1, "SIGNATURE"),
    ]


@pytest.mark.parametrize("form", ["DEF 14A", "S-1", "", "EX-99.1", "10-D"])
def test_other_forms_have_none(form: str) -> None:
    assert item_sections(annual(), form) == []


@pytest.mark.parametrize(
    ("cover", "form"),
    [
        (f"UNITED STATES\nSECURITIES AND EXCHANGE COMMISSION\nFORM 10-K\n{ACT}", "10-K"),
        (f"Securities and\nExchange Commission\nForm 10-Q/A\n{ACT.lower()}", "10-Q"),
        (f"SECURITIES AND EXCHANGE COMMISSION\nFORM 8-K\n{ACT}", "8-K"),
        (f"SECURITIES AND EXCHANGE COMMISSION\nFORM 20-F\n{ACT}", ""),
        ("The Securities and Exchange Commission wants a Form 10-K", ""),
        ("A talk about Form 10-K", ""),
        ("x" * 7_000 + f"SECURITIES AND EXCHANGE COMMISSION FORM 10-K {ACT}", ""),
    ],
)
def test_the_cover_page_names_the_form(cover: str, form: str) -> None:
    assert form_in(cover) == form


@given(st.lists(st.sampled_from(
    ["Item 1. Business", "Item 7. Management", "Item 1A", "PART II", "SIGNATURES", "3", "\n",
     "and,", "Item 2. Properties", "Item 6. Exhibits", "Item 8.01 Other", "|", "Item",
     "(continued)"]
)), st.sampled_from(["10-K", "10-Q", "8-K"]))  # fmt: skip
def test_whatever_the_text_starts_rise_and_titles_stand_there(lines: list[str], form: str) -> None:
    text = "\n".join(lines)
    found = item_sections(text, form)
    assert [h.start for h in found] == sorted(h.start for h in found)
    check(text, form)


@pytest.mark.parametrize(
    "hostile",
    [
        "Item 1. Business\n" * 50_000,
        "item " * 200_000,
        "Item 1" + " " * 1_000_000,
        "\n" * 1_000_000 + "Item 7.",
        "PART I\n" * 100_000,
        "|" * 1_000_000,
        ("Item 1. Business\nItem 7. Management\n9\n") * 20_000,
    ],
)
def test_hostile_text_ends(hostile: str) -> None:
    for form in ("10-K", "10-Q", "8-K"):
        assert len(item_sections(hostile, form)) <= 8  # an endless loop ends by pytest's time limit


def test_real_filings(shared: Path) -> None:
    folder = shared / "financebench" / "corpora" / "financebench"
    counts = {}
    for path in sorted(folder.glob("*.txt")):
        text = path.read_text()
        form = form_in(text)
        found = item_sections(text, form)
        counts[path.stem] = (form, sum(h.title.lower().startswith("item") for h in found))
    annuals = [count for form, count in counts.values() if form == "10-K"]
    assert len(annuals) >= 10
    # AMERICANEXPRESS has one heading for four items.
    assert all(count >= 18 for count in annuals), counts
    assert all(count >= 2 for form, count in counts.values() if form), counts


@pytest.mark.parametrize(
    "hostile",
    [
        "\f" * 100_000,
        "part i" + " " * 100_000 + "x",
        "\fitem 1 x" * 20_000,
        ("item 1 business " + "\u201c" * 3_000 + "\n") * 50,
        annual() + " " * 100_000 + "x" + "\f" * 100_000,
    ],
)
def test_blanks_without_end_take_no_time(hostile: str) -> None:
    # Each took minutes to hours: a test that hangs has failed.
    item_sections(hostile, "10-K")
