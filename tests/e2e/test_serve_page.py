"""The page of `rag serve` in a real browser, and the explanation that it shows."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import numpy as np
import pytest

from pipelines.ingest import ingest
from pipelines.query import open_parts
from pipelines.serve.brought import BroughtDocuments
from pipelines.serve.explained import Explainer, plane
from pipelines.serve.jobs import Brought
from rag.generation.base import Generation, Watch
from rag.generation.extractive import ExtractiveGenerator
from rag.index import open_index
from rag.settings import Settings
from rag.types import Context

sys.path.insert(0, str(Path(__file__).parent))
import serving as server
from serving import KEYS, TABLE, client, serving

playwright = pytest.importorskip("playwright.sync_api", reason="the dev extra is not installed")

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
_PATIENCE = 120_000  # milliseconds; other tests may have the machine
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


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "index"
    others = Brought(id="other", name="other.txt", text="The Apex harbour recorded 9,900 arrivals.")
    with open_index(Settings(store={"path": path}), create=True) as index:
        for brought, tenant in ((DOCUMENTS, "acme"), ([others], "apex")):
            assert not ingest(index, [BroughtDocuments(brought, tenant)]).failed
    return path


@pytest.fixture(scope="module")
def base(where: Path) -> Iterator[str]:
    with serving(where) as address:
        yield address


def explained(base: str, who: str = "", **body: Any) -> Any:
    with client(base, who) as asking:
        asking.timeout = httpx.Timeout(_PATIENCE / 1_000)
        told = asking.post("/v1/query", json={"question": ASKED, "explain": True, **body})
    assert told.is_success, told.text
    return told.json()


def test_an_explanation_tells_what_each_stage_kept(base: str) -> None:
    answer = explained(base)
    passages = answer["explanation"]["passages"]
    with client(base) as asking:
        for passage in passages:
            found = asking.get(f"/v1/documents/{passage['doc_id']}").json()
            assert found["text"][passage["start"] : passage["end"]] == passage["text"]
    for passage in passages:
        assert [each["stage"] for each in passage["stages"]] == ["retrieve", "cluster", "select"]
        kept = [covered(each["kept"]) for each in passage["stages"]]
        assert kept[0] == set(range(passage["start"], passage["end"]))
        assert kept[0] >= kept[1] >= kept[2]
        scores = [score for _, _, score in passage["tokens"]]
        assert max(scores) == 1
        assert min(scores) >= 0
    holding = next(passage for passage in passages if "412 arrivals" in passage["text"])
    at = holding["text"].index("412 arrivals") + holding["start"]
    assert at in covered(holding["protected"])
    points = answer["explanation"]["points"]
    assert {point["passage"] for point in points} <= set(range(len(passages)))
    assert len({point["cluster"] for point in points}) > 1


def covered(spans: list[dict[str, int]]) -> set[int]:
    return {at for span in spans for at in range(span["start"], span["end"])}


def test_nobody_explains_who_is_not_asked_to(base: str) -> None:
    assert explained(base, explain=False)["explanation"] is None


def test_a_tenants_explanation_has_its_own_documents_only(where: Path, tmp_path: Path) -> None:
    shutil.copytree(where, tmp_path / "index")
    with serving(tmp_path / "index", api_keys=TABLE) as base:
        told = json.dumps(explained(base, "acme"))
        assert "412" in told
        assert "9,900" not in told
        assert "other.txt" not in told
        assert "9,900" in json.dumps(explained(base, "reader")["explanation"])


def test_an_embedder_nobody_can_look_into_costs_no_answer(where: Path, tmp_path: Path) -> None:
    shutil.copytree(where, tmp_path / "index")
    with open_index(Settings(store={"path": tmp_path / "index"})) as index:
        context = Context.of(index.search(ASKED))
        index.embedder = index.sentences  # an embedder, and no local model
        told = Explainer(index).explain(ASKED, [("retrieve", context)])
    assert told["attribution"] is None
    assert [passage["tokens"] for passage in told["passages"]] == [None] * len(context.passages)
    assert told["points"]


@pytest.mark.parametrize("shape", [(1, 4), (2, 4), (5, 1), (6, 4)])
def test_the_plane_is_where_vectors_differ_most(shape: tuple[int, int]) -> None:
    vectors = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    places = plane(vectors)
    assert places.shape == (shape[0], 2)
    assert np.allclose(places, plane(vectors))
    spread = places.var(axis=0)
    assert spread[0] >= spread[1]
    assert spread.sum() <= vectors.astype(float).var(axis=0).sum() + 1e-9


def test_the_page_is_under_a_strict_policy(base: str) -> None:
    with client(base) as asking:
        for path in ("/", "/page/page.js", "/page/page.css"):
            headers = asking.get(path).headers
            policy = headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
            assert "unsafe" not in policy
            assert headers["referrer-policy"] == "no-referrer"
            assert headers["x-content-type-options"] == "nosniff"
        for path in ("/page/", "/page/page.py", "/page/..%2Fpage.py", "/page/index.html"):
            assert asking.get(path).status_code == 404


@pytest.fixture(scope="module")
def browser() -> Iterator[playwright.Browser]:
    if BROWSER is None:
        pytest.skip("no chromium on this machine: `make browser` installs one as root")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(
            executable_path=BROWSER, args=["--no-sandbox", "--disable-background-networking"]
        )
        yield opened
        opened.close()


def opened(browser: playwright.Browser, base: str, **options: Any) -> Iterator[playwright.Page]:
    """The page; what it complains of, and a request that leaves the server, are errors."""
    context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **options})
    context.set_default_timeout(_PATIENCE)
    page = context.new_page()
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("request", lambda request: not request.url.startswith((f"{base}/", "data:"))
            and troubles.append(request.url))  # fmt: skip
    page.goto(base)
    yield page
    assert page.title() == "spanrag"
    assert not troubles
    context.close()


@pytest.fixture
def page(browser: playwright.Browser, base: str) -> Iterator[playwright.Page]:
    yield from opened(browser, base)


def ask(page: playwright.Page, question: str = ASKED) -> None:
    page.get_by_label("Question").fill(question)
    page.get_by_role("button", name="Ask", exact=True).click()
    page.locator("#answer").wait_for()


def marked(page: playwright.Page) -> str:
    page.locator("#source mark").wait_for()
    return str(page.locator("#source mark").text_content())


def test_a_citation_opens_its_source_at_the_quote(page: playwright.Page) -> None:
    ask(page)
    assert "412 arrivals" in page.locator("#answer p.answer").inner_text()
    assert page.locator("#progress").inner_text().startswith("Done: retrieve (")
    quote = page.locator("#answer q").first.text_content()
    page.locator("#answer button.cite").first.click()
    assert marked(page) == quote
    assert "🛳" in quote
    assert page.locator("#source mark").evaluate(
        "e => { const {top, bottom} = e.getBoundingClientRect();"
        " return top >= 0 && bottom <= innerHeight && e.parentElement.scrollTop > 0; }"
    )
    page.keyboard.press("Escape")
    assert not page.locator("#source").is_visible()
    assert page.locator("#answer button.cite").first.evaluate("e => e === document.activeElement")


def test_every_passage_shows_what_was_kept_and_why_it_counts(page: playwright.Page) -> None:
    ask(page)
    passages = page.locator("#passages details")
    assert passages.count() > 1
    first = page.locator("#passages details", has_text="412 arrivals").first
    assert "".join(first.locator(".text").all_text_contents()) in DOCUMENTS[0].text
    assert FACT in first.locator(".text").text_content()
    dropped = first.locator(".text del").all_text_contents()
    assert dropped
    assert FACT not in "".join(dropped)
    heats = first.locator(".text span").evaluate_all(
        "all => all.map(e => e.style.getPropertyValue('--heat')).filter(Boolean).map(Number)"
    )
    assert max(heats) == 1
    assert first.locator(".protected").count()
    page.get_by_label("What was left after").select_option(label="retrieve")
    assert page.locator("#passages details .text del").count() == 0


def test_tokens_and_clusters_are_drawn_and_told(page: playwright.Page) -> None:
    ask(page)
    widths = page.locator("#ledger .fill").evaluate_all("all => all.map(e => e.clientWidth)")
    assert widths[0] == max(widths) > min(widths)
    assert page.locator("#ledger .stage").all_inner_texts() == [
        "retrieve", "cluster", "select", "generate", "verify",
    ]  # fmt: skip
    assert page.locator("#map circle.kept").count() > 0
    assert "cluster" in page.locator("#map svg.map").get_attribute("aria-label")
    rows = page.locator("#map .clusters li").all_inner_texts()
    assert len(rows) > 1
    assert rows[0].startswith("Cluster 1: ")


def test_markup_of_a_document_stays_text(page: playwright.Page) -> None:
    ask(page, "Whom did the pilots' guild hire as its first master?")
    assert "Ada Novak" in page.locator("#answer p.answer").inner_text()
    assert BAD_NAME in page.locator("#answer .sources").inner_text()
    passage = page.locator("#passages details", has_text="pilots").first
    assert BAD_TITLE in passage.locator(".text").text_content()
    passage.get_by_role("button").click()
    assert BAD_TITLE in marked(page)
    assert page.locator("#source-head").inner_text() == BAD_TITLE
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 1


def test_two_ways_are_compared(page: playwright.Page) -> None:
    page.get_by_label("Question").fill(ASKED)
    sides = page.locator("#compare fieldset")
    sides.nth(0).get_by_label("grounding").select_option("on")
    page.get_by_role("button", name="Answer both ways").click()
    page.locator("#compare .outcome").nth(1).wait_for()
    first, second = page.locator("#compare .outcome").all_inner_texts()
    for told in (first, second):
        assert "Tokens left to answer from" in told
    assert "cluster" in first
    assert "cluster" not in second
    sent = page.locator("#compare dd:nth-of-type(2)").all_inner_texts()
    assert int(sent[0].replace(",", "")) < int(sent[1].replace(",", ""))


def test_facts_lead_to_where_they_stand(page: playwright.Page) -> None:
    # The page asks as the server is set; here it asks for a sticker.
    page.route(
        "**/v1/query",
        lambda route: route.continue_(
            post_data={**route.request.post_data_json, "options": {"grounding": "extractive"}}
        ),
    )
    ask(page)
    page.locator("#sticker button").first.click()
    assert marked(page) in DOCUMENTS[0].text


def test_all_can_be_done_by_keyboard(page: playwright.Page) -> None:
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Skip to the question"
    assert page.locator(":focus").bounding_box()["x"] >= 0
    page.keyboard.press("Enter")
    page.keyboard.type(ASKED)
    page.keyboard.press("Enter")
    page.locator("#answer").wait_for()
    for _ in range(3):  # past the button, which is ready again
        page.keyboard.press("Tab")
        if page.locator(":focus").get_attribute("class") == "cite":
            break
    outline = page.locator(":focus").evaluate("e => getComputedStyle(e).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    assert "412" in marked(page)
    assert page.locator(":focus").inner_text() == "Close"
    page.keyboard.press("Enter")
    assert page.locator(":focus").get_attribute("class") == "cite"


def test_what_is_streamed_is_told_to_be_unverified(
    browser: playwright.Browser, where: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(where, tmp_path / "index")
    slow = Hesitant()
    monkeypatch.setattr(
        server, "open_parts", lambda *given, **named: (open_parts(*given, **named)[0], slow)
    )
    with serving(tmp_path / "index") as base:
        for page in opened(browser, base):
            page.get_by_label("Question").fill(ASKED)
            page.get_by_role("button", name="Ask", exact=True).click()
            page.locator("#draft-text", has_text="Perhaps <b>400</b>").wait_for()
            assert "not verified" in page.locator("#draft").inner_text()
            slow.gate.set()
            page.locator("#answer").wait_for()
            assert not page.locator("#draft").is_visible()


class Hesitant(ExtractiveGenerator):
    """Writes something, and waits before it has an answer."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = Event()

    def generate(
        self, question: str, context: Context, *, watch: Watch | None = None
    ) -> Generation:
        if watch:
            watch("Perhaps <b>400</b>")
        assert self.gate.wait(60)
        return super().generate(question, context, watch=watch)


def test_a_key_is_asked_for_kept_for_the_tab_and_sent(
    browser: playwright.Browser, where: Path, tmp_path: Path
) -> None:
    shutil.copytree(where, tmp_path / "index")
    context = browser.new_context()
    context.set_default_timeout(_PATIENCE)
    with serving(tmp_path / "index", api_keys=TABLE) as base:
        page = context.new_page()
        page.goto(base)
        page.get_by_label("Question").fill(ASKED)
        page.keyboard.press("Enter")
        page.locator("#problem", has_text="no such key").wait_for()
        page.get_by_label("Key").fill(KEYS["acme"])
        page.reload()
        ask(page)
        page.locator("#answer button.cite").first.click()
        assert "412" in marked(page)
        assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
    context.close()


def test_it_is_readable_on_any_screen(page: playwright.Page) -> None:
    ask(page)
    for width in (390, 1200):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") == width
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            for what in ("body", "#answer q", "#passages .text del", "#progress", "button.cite"):
                assert contrast(*colours(page, what)) > 4.5, (what, scheme)
            for what in (".text > span", ".text > del > span"):
                hottest = page.locator(f"#passages {what}[style*='--heat: 1;']").first
                ink = hottest.evaluate("e => getComputedStyle(e).color")
                assert contrast(blended(hottest), ink) > 4.5, (what, scheme)
        page.locator("button.cite").first.click()
        marked(page)
        assert page.evaluate("document.documentElement.scrollWidth") == width
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            ground = page.locator("#source mark").evaluate(
                "e => getComputedStyle(e).backgroundColor"
            )
            assert contrast(ground, colours(page, "body")[0]) > 4.5, scheme
        page.keyboard.press("Escape")


def colours(page: playwright.Page, what: str) -> tuple[str, str]:
    """Its text's colour, and the page's ground."""
    return (
        page.locator(what).first.evaluate("e => getComputedStyle(e).color"),
        page.locator("body").evaluate("e => getComputedStyle(e).backgroundColor"),
    )


def blended(found: playwright.Locator) -> str:
    """The ground of an element that the page's shines through."""
    over, under = (
        [float(each) for each in colour[colour.index("(") + 1 : -1].split(",")]
        for colour in found.evaluate(
            "e => [e, document.body].map(e => getComputedStyle(e).backgroundColor)"
        )
    )
    share = over[3] if len(over) > 3 else 1.0
    mixed = [round(share * a + (1 - share) * b) for a, b in zip(over, under, strict=False)][:3]
    return f"rgb({mixed[0]}, {mixed[1]}, {mixed[2]})"


def contrast(*colours: str) -> float:
    """The contrast ratio of two CSS colours, as WCAG 2 defines it."""
    lights = []
    for colour in colours:
        parts = [int(each) / 255 for each in colour[4:-1].split(",")]
        linear = [x / 12.92 if x <= 0.03928 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
        lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(lights) + 0.05) / (min(lights) + 0.05)
