from connectors.parsing.headings import page_sections


def sections(*pages: str) -> list[str]:
    text = "\f".join(pages)
    starts = [0]
    for page in pages[:-1]:
        starts.append(starts[-1] + len(page) + 1)
    found = page_sections(text, starts)
    assert all(section.span.start in starts for section in found)
    return [section.title for section in found]


def test_a_page_that_runs_on_has_no_heading() -> None:
    assert sections("and so it went.", "Income was in line with what\nwe had said.", "") == []


def test_furniture_heads_nothing() -> None:
    pages = [f"Annual report, page {n}\nand on it goes" for n in range(8)]
    assert sections(*pages, "Annual report, page 9\nBalance Sheet") == ["Balance Sheet"]


def test_a_short_line_may_end_like_a_sentence() -> None:
    assert sections("Acme, Inc.\nCash Flows") == ["Acme, Inc. – Cash Flows"]  # noqa: RUF001
