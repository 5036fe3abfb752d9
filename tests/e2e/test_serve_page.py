"""The page of `rag serve` in a real browser, and the explanation that it shows."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from pipelines.query import open_parts
from pipelines.serve.explained import Explainer, plane
from pipelines.serve.jobs import Brought
from rag.index import open_index
from rag.settings import Settings
from rag.store.generations import copy_file
from rag.types import Context

sys.path.insert(0, str(Path(__file__).parent))
import serving as server
from breaking import Hesitant, Proxy
from looking import faint, illegible
from paging import (
    ASKED,
    BAD_NAME,
    BAD_TITLE,
    DOCUMENTS,
    FACT,
    PATIENCE,
    ask,
    fill,
    indexed,
    marked,
    open_passage,
    opened,
    with_a_sticker,
)
from serving import KEYS, TABLE, client, metric, serving, until

playwright = pytest.importorskip("playwright.sync_api", reason="the dev extra is not installed")


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Path:
    others = Brought(id="other", name="other.txt", text="The Apex harbour recorded 9,900 arrivals.")
    return indexed(tmp_path_factory.mktemp("page") / "index", acme=DOCUMENTS, apex=[others])


@pytest.fixture(scope="module")
def base(where: Path) -> Iterator[str]:
    with serving(where) as address:
        yield address


def explained(base: str, who: str = "", **body: Any) -> Any:
    with client(base, who) as asking:
        asking.timeout = httpx.Timeout(PATIENCE / 1_000)
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
    shutil.copytree(where, tmp_path / "index", copy_function=copy_file)
    with serving(tmp_path / "index", api_keys=TABLE) as base:
        told = json.dumps(explained(base, "acme"))
        assert "412" in told
        assert "9,900" not in told
        assert "other.txt" not in told
        assert "9,900" in json.dumps(explained(base, "reader")["explanation"])


def test_an_embedder_nobody_can_look_into_costs_no_answer(where: Path, tmp_path: Path) -> None:
    shutil.copytree(where, tmp_path / "index", copy_function=copy_file)
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


@pytest.fixture
def page(browser: playwright.Browser, base: str) -> Iterator[playwright.Page]:
    with opened(browser, base) as shown:
        yield shown


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
    assert [each for each in dropped if each[0].isspace()] == []
    heats = first.locator(".text span").evaluate_all(
        "all => all.map(e => e.style.getPropertyValue('--heat')).filter(Boolean).map(Number)"
    )
    assert max(heats) == 1
    assert all(map(str.strip, first.locator(".protected").all_text_contents()))
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
    held: list[playwright.Route] = []
    page.route("**/v1/query", lambda route: held.append(route), times=1)
    with page.expect_request("**/v1/query"):
        page.get_by_role("button", name="Answer both ways").click()
    page.locator("#compare-progress", has_text="Answering: one way").wait_for()
    held[0].continue_()
    page.locator("#compare .outcome").nth(1).wait_for()
    assert page.locator("#compare-progress").inner_text() == ""
    first, second = page.locator("#compare .outcome").all_inner_texts()
    for told in (first, second):
        assert "Tokens left to answer from" in told
    assert "cluster" in first
    assert "cluster" not in second
    sent = page.locator("#compare dd:nth-of-type(2)").all_inner_texts()
    assert int(sent[0].replace(",", "")) < int(sent[1].replace(",", ""))


def test_facts_lead_to_where_they_stand(page: playwright.Page) -> None:
    page.route("**/v1/query", with_a_sticker)
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


@pytest.fixture
def hesitant(
    where: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, Hesitant]]:
    """A server that answers one question at a time, and what writes its answers."""
    shutil.copytree(where, tmp_path / "index", copy_function=copy_file)
    slow = Hesitant()
    monkeypatch.setattr(
        server, "open_parts", lambda *given, **named: (open_parts(*given, **named)[0], slow)
    )
    with serving(tmp_path / "index", concurrency=1, waiting=0) as base:
        yield base, slow
        slow.gate.set()


def begin(page: playwright.Page) -> None:
    """Ask, and see the answer begin."""
    page.get_by_label("Question").fill(ASKED)
    page.get_by_role("button", name="Ask", exact=True).click()
    page.locator("#draft-text", has_text="Perhaps <b>400</b>").wait_for()


def is_idle(base: str) -> bool:
    return metric(base, "spanrag_questions_under_way") == 0


def test_what_is_streamed_is_told_to_be_unverified_and_can_be_stopped(
    browser: playwright.Browser, hesitant: tuple[str, Hesitant]
) -> None:
    base, slow = hesitant
    with opened(browser, base) as page:
        begin(page)
        assert "not verified" in page.locator("#draft").inner_text()
        assert page.locator("#progress").inner_text().endswith("; writing …")
        assert not is_idle(base)
        page.get_by_role("button", name="Stop").click()
        page.locator("#progress", has_text="Stopped.").wait_for()
        for gone in ("#draft", "#answer", "#problem", "#stop"):
            assert not page.locator(gone).is_visible()
        assert page.locator(":focus").get_attribute("id") == "question"
        until(lambda: is_idle(base))  # and the answer was not waited for
        assert metric(base, 'spanrag_stage_seconds_count{stage="generate"}') == 0

        begin(page)
        slow.says = "It recorded 77 arrivals in May. [S1] Nobody knows. [S99]"
        slow.gate.set()
        page.locator("#answer").wait_for()
        assert not page.locator("#draft").is_visible()
        assert not page.locator("#stop").is_visible()
        answer = page.locator("#answer p.answer")
        assert answer.inner_text() == "It recorded 77 arrivals in May. 1? Nobody knows."
        assert "not verified" in answer.get_by_role("button").get_attribute("aria-label")
        assert page.locator("#answer .sources li").inner_text().endswith("not verified")
        doubts = page.locator("#answer .doubts li").all_inner_texts()
        assert doubts == ["In no quote: 77", "1 citation led nowhere"]


def test_an_answer_that_fails_or_breaks_off_says_so_and_another_can_be_asked_for(
    browser: playwright.Browser, hesitant: tuple[str, Hesitant]
) -> None:
    base, slow = hesitant
    with Proxy(base) as proxy, opened(browser, proxy.base, "net::ERR", "503") as page:
        begin(page)
        with opened(browser, base, "503") as other:
            other.get_by_label("Question").fill(ASKED)
            other.get_by_role("button", name="Ask", exact=True).click()
            other.locator("#problem", has_text="try again in").wait_for()
        proxy.cut()
        page.locator("#problem", has_text="broke off").wait_for()
        assert not page.locator("#draft").is_visible()
        until(lambda: is_idle(base))

        begin(page)
        assert not page.locator("#problem").is_visible()
        slow.fails = True
        slow.gate.set()
        page.locator("#problem", has_text="a model does not answer").wait_for()
        assert not page.locator("#draft").is_visible()
        slow.fails = False
        until(lambda: is_idle(base))
        ask(page)
        assert not page.locator("#problem").is_visible()

        page.route("**/v1/query", lambda route: route.fulfill(
            status=503, headers={"Retry-After": "30"}, body="<h1>busy</h1>"))  # fmt: skip
        page.get_by_role("button", name="Ask", exact=True).click()
        told = "The server refused: 503; try again in 30 s."  # what a proxy before it says
        page.locator("#problem", has_text=told).wait_for()


def test_a_citation_that_is_not_verified_says_so(page: playwright.Page) -> None:
    page.evaluate(
        """async () => (await import("/page/answer.js")).showAnswer({
            answer: "It was 412 [1] or 400 [2].", unsupported: ["400"], dropped_citations: 1,
            agreed: false,
            citations: [1, 2].map((n) => ({doc: "a.txt", page: null, section: "", quote: `q${n}`,
                verified: n === 1, also: n === 1 ? ["b.txt"] : []})),
        })"""
    )
    first, second = page.locator("#answer button.cite").all()
    assert (first.inner_text(), second.inner_text()) == ("1", "2?")
    assert second.get_attribute("aria-label") == "Source 2, not verified: a.txt"
    sure, unsure = page.locator("#answer .sources li").all_inner_texts()
    assert "not verified" not in sure
    assert "also in b.txt" in sure
    assert "not verified" in unsure
    assert page.locator("#answer .doubts li").all_inner_texts() == [
        "In no quote: 400",
        "1 citation led nowhere",
        "The facts alone and the sources gave two answers",
    ]


def test_a_source_that_changed_or_is_gone_says_so(
    browser: playwright.Browser, base: str, tmp_path: Path
) -> None:
    log, _, rain, _ = DOCUMENTS
    changed = [
        log.model_copy(update={"text": f"Corrected 🛳. {log.text}"}),
        rain.model_copy(update={"text": "In 2023 there was much rain, it turned out."}),
    ]
    with (
        serving(indexed(tmp_path / "index", acme=changed)) as later,
        opened(browser, base, "404") as page,
    ):
        ask(page)
        page.route("**/v1/documents/*", lambda route: route.continue_(
            url=route.request.url.replace(base, later)))  # fmt: skip
        for what, said, mark in (
            ("412 arrivals", "changed since; it still says this", FACT),
            ("In 2023", "changed since, and no longer says this", None),
            ("guild hired", "no such document", None),
        ):
            passage = open_passage(page, what)
            passage.get_by_role("button").click()
            page.locator("#source-note", has_text=said).wait_for()
            assert page.locator("#source mark").count() == bool(mark)
            if mark:
                assert mark in marked(page)
                assert marked(page) == passage.locator(".text").text_content()
            page.get_by_role("button", name="Close").click()


def test_only_the_source_that_was_opened_last_is_shown(full: playwright.Page) -> None:
    late: list[playwright.Route] = []
    full.route("**/v1/documents/*", lambda route: late.append(route), times=1)
    open_passage(full, "412 arrivals").get_by_role("button").click()
    full.keyboard.press("Escape")
    open_passage(full, "guild hired").get_by_role("button").click()
    assert "guild hired" in marked(full)
    with full.expect_response("**/v1/documents/*"):
        late[0].continue_()
    full.evaluate("fetch('/healthz').then((answer) => answer.text())")  # time to be shown
    assert "guild hired" in marked(full)


def test_a_key_is_asked_for_kept_for_the_tab_and_sent(
    browser: playwright.Browser, where: Path, tmp_path: Path
) -> None:
    shutil.copytree(where, tmp_path / "index", copy_function=copy_file)
    with (
        serving(tmp_path / "index", api_keys=TABLE, requests_per_minute=10) as base,
        opened(browser, base, "401", "429") as page,
    ):
        page.get_by_label("Question").fill(ASKED)
        page.keyboard.press("Enter")
        page.locator("#problem", has_text="The server asks for a key").wait_for()
        assert page.locator(":focus").get_attribute("id") == "key"
        page.keyboard.type("mistaken")
        page.keyboard.press("Enter")
        page.locator("#problem", has_text="knows no such key").wait_for()
        assert page.locator(":focus[aria-invalid]").get_attribute("id") == "key"
        page.keyboard.type(KEYS["acme"])  # in place of the other
        page.keyboard.press("Enter")
        page.locator("#answer").wait_for()
        page.reload()
        ask(page)
        page.locator("#answer button.cite").first.click()
        assert "412" in marked(page)
        page.keyboard.press("Escape")
        assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]

        with client(base, "acme") as asking:
            while asking.get("/v1/models").status_code != 429:
                pass
        page.get_by_role("button", name="Ask", exact=True).click()
        page.locator("#problem", has_text="10 requests in a minute; try again in").wait_for()
        page.get_by_role("button", name="Answer both ways").click()
        page.locator("#compare-problem", has_text="try again in").wait_for()


@pytest.fixture(scope="module")
def filled(browser: playwright.Browser, base: str) -> Iterator[playwright.Page]:
    """The page with all on it that it can show; for several tests, which only look at it."""
    with opened(browser, base) as page:
        fill(page)
        yield page


@pytest.fixture
def full(filled: playwright.Page) -> playwright.Page:
    filled.set_viewport_size({"width": 1200, "height": 900})
    filled.evaluate("document.querySelector('#source').close()")
    return filled


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_is_legible_in_light_and_dark(full: playwright.Page, scheme: Any) -> None:
    full.emulate_media(color_scheme=scheme)
    assert full.locator("#passages .text span[style*='--heat: 1;']").count() > 1
    assert illegible(full) == []
    for what, of in (
        ("textarea, input, select, button.main", "borderTopColor"),
        ("button:not(.link, .main)", "borderTopColor"),
        ("#ledger .fill", "borderTopColor"),
        ("#map circle", "stroke"),
    ):
        assert faint(full, what, of) == []
    full.locator("button.cite").first.focus()
    full.keyboard.press("Enter")
    marked(full)
    assert faint(full, ":focus-visible", "outlineColor") == []
    assert illegible(full) == []


@pytest.mark.parametrize("width", [320, 360, 1200])
def test_it_fits_any_screen(full: playwright.Page, width: int) -> None:
    full.set_viewport_size({"width": width, "height": 740})
    assert full.evaluate("document.documentElement.scrollWidth") == width
    small = full.locator("button, input, select, textarea, summary").evaluate_all(
        """all => all.filter((e) => e.checkVisibility()).filter((e) => {
            const {width, height} = e.getBoundingClientRect();
            return width < 24 || height < 24; }).map((e) => e.outerHTML)"""
    )
    assert small == []
    full.locator("button.cite").first.click()
    marked(full)
    assert full.evaluate("document.documentElement.scrollWidth") == width
    assert full.locator("#source").evaluate("e => e.scrollWidth <= e.clientWidth")
    close = full.get_by_role("button", name="Close").bounding_box()
    assert close["x"] + close["width"] <= width
    for label in full.locator("label, button:not(.link)").all():
        assert label.bounding_box()["height"] < 48, label.inner_text()  # no word is broken


def test_whoever_cannot_see_it_is_told(full: playwright.Page) -> None:
    told = full.locator("body").aria_snapshot()
    for landmark in ("banner", "main", 'region "Answer"', 'region "What was read"'):
        assert f"- {landmark}:" in told
    roles = "button|textbox|combobox|region|img|dialog|link"
    assert re.findall(rf"- (?:{roles})(?!\w| \")[^\n]*", told) == []
    levels = [int(level) for level in re.findall(r"- heading .*\[level=(\d)\]", told)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    live = full.locator("[aria-live='polite'], [role='status'], [role='alert']")
    assert live.filter(has=full.locator("#answer, .outcome")).count() == 2
    assert {"progress", "problem", "compare-problem", "source-note"} <= set(
        live.evaluate_all("all => all.map((e) => e.id)")
    )
    assert live.filter(has=full.locator("#draft")).count() == 0  # not word by word


def test_the_focus_goes_through_it_in_order_and_is_seen(full: playwright.Page) -> None:
    reached = full.evaluate(
        """() => [...document.querySelectorAll("a, input, textarea, button, select, summary, "
            + "[tabindex]")].filter((e) => e.checkVisibility()).map((e, at) => {
                e.dataset.at = at; return at; })"""
    )
    full.locator(".skip").focus()
    walked = []
    for _ in reached:
        at, outline, seen = full.locator(":focus").evaluate(
            """e => { const {top, bottom} = e.getBoundingClientRect(); return [
                Number(e.dataset.at), getComputedStyle(e).outline, bottom > 0 && top < innerHeight
            ]; }"""
        )
        assert "solid 2px" in outline
        assert seen
        walked.append(at)
        full.keyboard.press("Tab")
    assert walked == reached


def test_nothing_moves(full: playwright.Page) -> None:
    moving = full.evaluate(
        """() => [...document.querySelectorAll("*")].map((e) => getComputedStyle(e)).some(
            (style) => style.animationName !== "none" || style.transitionDuration !== "0s"
                || style.scrollBehavior !== "auto")"""
    )
    assert not moving
