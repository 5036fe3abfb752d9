"""`rag serve` and browsers: pages of other origins, and its own."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from serving import client, serving


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("browsers") / "index"


@pytest.fixture(scope="module")
def base(where: Path) -> Iterator[str]:
    with serving(where, requests_per_minute=0) as address:
        yield address


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:9"])
def test_no_page_of_another_origin_is_told_anything(base: str, origin: str) -> None:
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST",
             "Access-Control-Request-Headers": "authorization,content-type",
             "Access-Control-Request-Private-Network": "true"}  # fmt: skip
    with client(base) as asking:
        answers = [asking.options(path, headers=asked) for path in ("/v1/query", "/", "/metrics")]
        assert {answer.status_code for answer in answers} == {405}
        answers += [asking.get(path, headers=asked) for path in ("/v1/models", "/", "/healthz")]
        answers.append(asking.post("/v1/search", json={"question": "How many?"}, headers=asked))
    for answer in answers:
        assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    "kind",
    [None, "", "text/plain", "text/plain;application/json", "text/json-not",
     "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "*/*",
     "application/jsonx", "application/octet-stream"],
)  # fmt: skip
def test_what_a_page_can_send_without_leave_does_nothing(
    base: str, where: Path, kind: str | None
) -> None:
    """A browser asks before it sends JSON elsewhere; anything else it sends at once."""
    body = b'{"documents": [{"id": "forged", "text": "Brought by a page of another origin."}]}'
    headers = {"Origin": "https://evil.example"} | ({} if kind is None else {"Content-Type": kind})
    with client(base) as asking:
        answer = asking.post("/v1/ingest", content=body, headers=headers)
    assert answer.status_code in (400, 415, 422), answer.text
    assert [each.name for each in where.with_name("index-jobs").iterdir()] == ["lock"]


class _Parts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.found += [f"{tag} {name}" for name in given if name.startswith("on")]
        self.found += ["style" for name in given if name == "style"]
        self.found += ["inline script" for _ in [0] if tag == "script" and "src" not in given]
        addresses = [given[name] or "" for name in ("src", "href", "action") if name in given]
        self.found += [each for each in addresses if ":" in each and not each.startswith("data:")]


def test_the_page_has_nothing_its_policy_would_have_to_forbid(base: str) -> None:
    with client(base) as asking:
        page = asking.get("/")
    policy = dict(
        part.split(" ", 1) for part in page.headers["content-security-policy"].split("; ")
    )
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    parts = _Parts()
    parts.feed(page.text)
    assert parts.found == []
    risky = re.compile(
        r"\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|srcdoc"
        r"|localStorage|document\.cookie|postMessage|window\.open)"
    )
    for script in files("pipelines.serve").joinpath("page").iterdir():
        if script.name.endswith(".js"):
            assert not risky.search(script.read_text(encoding="utf-8")), script.name
