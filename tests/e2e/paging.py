"""Pages of `rag serve` in a browser, over documents of a harbour."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.ingest import ingest
from pipelines.serve.brought import BroughtDocuments
from pipelines.serve.jobs import Brought
from rag.index import open_index
from rag.settings import Settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page, Route

PATIENCE = 120_000  # milliseconds; other tests may have the machine
ASKED = "How many arrivals did the harbour office record in May?"
FACT = "The harbour office recorded 412 arrivals in May 2025 🛳, most of them ferries."
BAD_NAME = "<img src=x onerror=\"document.title='taken'\">.txt"
BAD_TITLE = "<script>document.title = 'taken'</script>"
FILLER = " ".join(f"On day {day} the tide was low and nothing was loaded." for day in range(40))
DOCUMENTS = [
    Brought(id="log", name="log.txt",
            text=f"🚢🌊 Log 😀 of the port. {FILLER}\n\n{FACT}\n\n{FILLER}"),
    Brought(id="bad", name=BAD_NAME, title=BAD_TITLE, text=f"{BAD_TITLE}{BAD_NAME} The pilots' "
            "guild hired Ada Novak as its first master in 1998."),
    *(Brought(id=f"rain{year}", name=f"rain-{year}.txt",
              text=f"In {year} the harbour had little rain and a mild winter.")
      for year in (2023, 2024)),
]  # fmt: skip


def indexed(path: Path, **brought: list[Brought]) -> Path:
    """An index there of what tenants brought."""
    with open_index(Settings(store={"path": path}), create=True) as index:
        for tenant, documents in brought.items():
            assert not ingest(index, [BroughtDocuments(documents, tenant)]).failed
    return path


@contextmanager
def opened(browser: Browser, base: str, *expected: str) -> Iterator[Page]:
    """The page; what else it complains of, and a request that leaves the server, are errors."""
    with browser.new_context(viewport={"width": 1200, "height": 900}) as context:
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        troubles: list[str] = []
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda request: not request.url.startswith((f"{base}/", "data:"))
                and troubles.append(request.url))  # fmt: skip
        page.goto(base)
        yield page
        assert page.title() == "spanrag"
        assert [each for each in troubles if not any(known in each for known in expected)] == []


def ask(page: Page, question: str = ASKED) -> None:
    page.get_by_label("Question").fill(question)
    page.get_by_role("button", name="Ask", exact=True).click()
    page.locator("#answer").wait_for()


def marked(page: Page) -> str:
    page.locator("#source mark").wait_for()
    return str(page.locator("#source mark").text_content())


def open_passage(page: Page, what: str) -> Locator:
    """The first passage that says this, unfolded."""
    passage = page.locator("#passages details", has_text=what).first
    if passage.get_attribute("open") is None:
        passage.locator("summary").click()
    return passage


def with_a_sticker(route: Route) -> None:
    """Ask for one: the page asks as the server is set."""
    asked = route.request.post_data_json
    route.continue_(post_data={"options": {"grounding": "extractive"}} | asked)


def fill(page: Page) -> None:
    """Have it show all that it can."""
    page.route("**/v1/query", with_a_sticker)
    ask(page)
    page.get_by_role("button", name="Answer both ways").click()
    page.locator("#compare .outcome").nth(1).wait_for()
    page.evaluate(
        """async () => {
            document.querySelectorAll("[hidden]").forEach((e) => { e.hidden = false; });
            const filled = "#problem, #compare-problem, #draft-text, #source-note";
            document.querySelectorAll(filled).forEach((e) => { e.textContent = "Something"; });
            const doubts = document.createElement("ul");
            doubts.className = "doubts";
            doubts.innerHTML = "<li>One</li>";
            const cite = document.querySelector("button.cite").cloneNode(true);
            cite.className = "cite unverified";
            document.querySelector("#answer-body").append(doubts, cite);
            for (let at = 0; at < 8; at += 1) {
                const dot = document.querySelector("#map circle").cloneNode();
                dot.setAttribute("class", `c${at} left`);
                document.querySelector("#map svg").append(dot);
            }
        }"""
    )
