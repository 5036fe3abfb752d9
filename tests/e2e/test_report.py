"""The report in a real browser: complete, self-contained, readable on a phone and in the dark."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from eval.datasets import Question
from eval.located import Located
from eval.report import Entry, write_report
from eval.runs import DocumentRecord, Header, QuestionRecord, Run, StageRecord
from eval.score import score_run
from rag.errors import UsageError

sys.path.insert(0, str(Path(__file__).parent))
from looking import contrast

playwright = pytest.importorskip("playwright.sync_api", reason="the dev extra is not installed")

TEXT = (
    "Preface. <script>document.title = 'taken over'</script> The reactor made 42 MW in May. "
    "Its owner & builder is Acme. " + "Nothing else of note happened. " * 60
)
EVIDENCE = "The reactor made 42 MW in May."


def located(quote: str) -> Located:
    start = TEXT.index(quote)
    return Located("plant.txt", start, start + len(quote))


def entry(label: str, kept: str, corpora: tuple[str, ...] = ("power", "law")) -> Entry:
    """A run of four questions in which selection keeps one sentence."""
    whole = Located("plant.txt", 0, len(TEXT))
    records = tuple(
        QuestionRecord(
            Question(
                f"q{number}", f"How much <b>power</b>, {number}?", (located(EVIDENCE),), corpus
            ),
            (
                StageRecord("retrieve", (whole,), 400, 0.01),
                StageRecord("select", (located(kept),), 12, 0.02),
                StageRecord("generate", None, 12),
                StageRecord("verify", (located(kept),), 12),
            ),
            answer=f"{kept} [1]",
        )
        for number in range(2)
        for corpus in corpora
    )
    document = DocumentRecord.of("plant.txt", TEXT, [(0, len(TEXT))])
    run = Run(Header(label, "words", config_hash="abc"), (document,), records)
    return Entry(run, score_run(run, texts={"plant.txt": TEXT}))


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    entries = [entry("lost & found", "Its owner & builder is Acme."), entry("found", EVIDENCE)]
    write_report(path, entries, {"plant.txt": TEXT})
    return path


@pytest.fixture
def page(browser: playwright.Browser, page_file: Path) -> Iterator[playwright.Page]:
    """The report, opened; anything it fetches or complains of is an error."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    opened = context.new_page()
    troubles: list[str] = []
    opened.on("console", lambda message: troubles.append(message.text))
    opened.on("pageerror", lambda error: troubles.append(str(error)))
    opened.on("request", lambda request: troubles.append(request.url))
    opened.goto(page_file.as_uri())
    yield opened
    assert troubles == [page_file.as_uri()]
    context.close()


def test_every_section_is_there(page: playwright.Page) -> None:
    assert page.locator("h2").all_inner_texts() == [
        "Stage by stage",
        "Against lost & found",
        "How far it can be narrowed",
        "By corpus",
        "Worst questions",
    ]
    assert page.locator("svg").count() == 4
    assert page.locator("svg").first.bounding_box()["width"] > 300


def test_figures_stand_where_they_belong(page: playwright.Page) -> None:
    row = page.locator("tr", has_text="select").first.locator("td")
    assert row.nth(0).inner_text() == "select"
    assert row.nth(3).inner_text().startswith("0.0")
    assert row.nth(5).inner_text() == "12"
    second = page.locator("tr", has_text="select").nth(1).locator("td")
    assert second.nth(1).inner_text().startswith("100.0")


def test_the_text_of_a_bad_question_is_shown_marked_and_harmless(page: playwright.Page) -> None:
    assert page.title() == "Evaluation: lost & found, found"
    first = page.locator("details").first
    assert first.get_attribute("open") is not None
    assert first.locator("mark.missed").inner_text() == EVIDENCE
    assert first.locator("mark.wasted").inner_text() == "Its owner & builder is Acme."
    assert "<script>document.title" in first.locator(".excerpt").inner_text()
    assert "How much <b>power</b>" in first.locator("summary").inner_text()


def test_the_evidence_that_was_lost_stands_out(page: playwright.Page) -> None:
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        marked = page.locator("details mark.missed").first
        colours = marked.evaluate(
            "e => [getComputedStyle(e).backgroundColor, getComputedStyle(e).color]"
        )
        assert contrast(*colours) > 4.5


def test_a_phone_shows_it_without_sideways_scrolling(page: playwright.Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_a_closed_question_opens_by_keyboard(page: playwright.Page) -> None:
    second = page.locator("details").nth(1)
    second.locator("summary").focus()
    page.keyboard.press("Enter")
    assert second.locator("mark").first.is_visible()


def test_without_the_documents_the_page_says_so(
    tmp_path: Path, browser: playwright.Browser
) -> None:
    write_report(tmp_path / "report.html", [entry("alone", EVIDENCE, ("power",))], None)
    opened = browser.new_page()
    opened.goto((tmp_path / "report.html").as_uri())
    assert "no text can be shown" in opened.locator("section").last.inner_text()
    assert "Against" not in opened.inner_text("body")
    opened.close()


def test_the_same_runs_make_the_same_page(page_file: Path, tmp_path: Path) -> None:
    entries = [entry("lost & found", "Its owner & builder is Acme."), entry("found", EVIDENCE)]
    write_report(tmp_path / "again.html", entries, {"plant.txt": TEXT})
    assert (tmp_path / "again.html").read_bytes() == page_file.read_bytes()


def test_changed_documents_are_refused() -> None:
    with pytest.raises(UsageError, match=r"plant\.txt is not what it was"):
        entry("any", EVIDENCE).run.require_texts({"plant.txt": TEXT + "!"})
