"""`rag route`, and the commands that go by its file. In this process: each start costs seconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.cli.main import app
from rag.errors import IndexMissing, RagError, UsageError
from rag.index import open_index
from rag.settings import Settings

TEXTS = {
    "zoo": [
        "An adult otter eats about one kilogram of fish a day, mostly trout from the river.",
        "Badgers dig their setts in sandy woodland soil and sleep there through the day.",
        "The grey heron builds its nest in tall trees and stands still for hours to hunt.",
        "A hedgehog rolls into a ball of spines when a fox comes near its nest of leaves.",
        "Young seals are born with white fur and drink the milk of their mother for weeks.",
        "The barn owl hears a mouse under the snow and drops on it without a sound.",
    ],
    "bank": [
        "Net sales rose by four percent to 1.3 billion dollars in the third quarter.",
        "The company pays a dividend of forty cents a share to its stockholders in June.",
        "Interest on the bonds is due twice a year until the notes mature in 2031.",
        "Operating costs fell because the loss on currency hedges was smaller than before.",
        "The auditor found the consolidated balance sheet to be free of misstatement.",
        "Cash flow from operations paid for the repurchase of two million shares.",
    ],
    "guard": [
        "The ransomware encrypts every shared drive and deletes the shadow copies first.",
        "Attackers sent a phishing mail with a macro that downloads a remote access trojan.",
        "The backdoor beacons to its command server over encrypted web requests each hour.",
        "Stolen credentials let the intruders move laterally by remote desktop sessions.",
        "A patch closes the buffer overflow that let anyone run code on the mail gateway.",
        "The malware hides in a scheduled task and injects itself into the browser process.",
    ],
}
ASKED = {
    "zoo": "What does an otter eat in a day?",
    "bank": "What dividend do stockholders get for a share?",
    "guard": "Which trojan did the phishing mail download?",
}


def run(*arguments: str) -> None:
    assert not app(list(arguments), standalone_mode=False)


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    capsys.readouterr()
    run(*arguments, "--json", "--quiet")
    return json.loads(capsys.readouterr().out)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three indexes of three documents, one built under another profile, and the routes."""
    home = tmp_path_factory.mktemp("home")
    for name, texts in TEXTS.items():
        (home / name).mkdir()
        for number in range(0, len(texts), 2):
            (home / name / f"{number}.txt").write_text(" ".join(texts[number : number + 2]))
        profile = ["--profile", "cyber"] if name == "guard" else []
        run("ingest", str(home / name), "--where", str(home / f"{name}.idx"), "--quiet", *profile)
    named = [f"{name}={home / name}.idx" for name in TEXTS]
    run("route", "fit", *named, "--out", str(home / "routes.json"), "--most", "2", "--quiet")
    return home


@pytest.fixture
def routes(home: Path) -> str:
    return str(home / "routes.json")


def test_what_was_fitted_says_how_good_it_is(home: Path, tmp_path: Path, capsys) -> None:
    named = [f"{name}={home / name}.idx" for name in TEXTS]
    out = str(tmp_path / "routes.json")
    fitted = shown(capsys, "route", "fit", *named, "--out", out, "--most", "2")
    assert [route["name"] for route in fitted["routes"]] == list(TEXTS)
    for route in fitted["routes"]:
        assert (route["documents"], route["texts"], route["held"]) == (3, 4, 2)
        assert 0 <= route["accuracy"] <= 1
    assert fitted["log_loss"]["after"] <= fitted["log_loss"]["before"]
    assert set(fitted["ece"]) == {"before", "after"}
    assert Path(out).read_bytes() == (home / "routes.json").read_bytes()  # the same each time


@pytest.mark.parametrize("name", TEXTS)
def test_a_question_goes_to_its_domain(routes: str, name: str, capsys) -> None:
    said = shown(capsys, "route", "ask", routes, ASKED[name])["routes"]
    assert said[0]["name"] == name
    assert said[0]["chosen"]
    assert sum(route["probability"] for route in said) == pytest.approx(1, abs=1e-5)
    assert sum(route["chosen"] for route in said) <= 2


def test_a_search_says_where_it_looked(routes: str, capsys) -> None:
    found = shown(capsys, "search", "--routes", routes, ASKED["guard"], "--top-k", "3")
    assert "/guard/" in found["hits"][0]["source"]  # whose chunk is first, equal scores decide
    assert any(TEXTS["guard"][1] in hit["text"] for hit in found["hits"])
    assert found["searched"] == [each["name"] for each in found["routes"] if each["chosen"]]
    assert found["degraded"] == ""


def test_an_answer_cites_the_right_index_and_the_ledger_says_which(routes: str, capsys) -> None:
    answer = shown(capsys, "query", "--routes", routes, ASKED["zoo"])
    assert answer["citations"][0]["quote"] == TEXTS["zoo"][0]
    (retrieve,) = (entry for entry in answer["ledger"] if entry["stage"] == "retrieve")
    assert retrieve["note"].startswith("to zoo (")
    assert retrieve["degraded"] == ""


def test_an_index_that_is_gone_is_named_and_the_others_answer(home: Path, capsys) -> None:
    moved = json.loads((home / "routes.json").read_text())
    moved["indexes"]["guard"] = str(home / "nowhere")
    (home / "moved.json").write_text(json.dumps(moved))
    found = shown(capsys, "search", "--routes", str(home / "moved.json"), ASKED["guard"])
    assert found["degraded"] == f"without guard: no index at {home / 'nowhere'}"
    assert "guard" not in found["searched"]
    assert found["hits"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["a=zoo.idx"], UsageError, "nothing to choose"),
        (["a=zoo.idx", "b"], UsageError, "cannot read the route b"),
        (["a=zoo.idx", "a=bank.idx"], UsageError, "two routes are called a"),
        (["a=zoo.idx", "b=bank.idx", "c=zoo/../zoo.idx"], UsageError, "a and c are both the index"),
        (["a=zoo.idx", "b=nowhere"], IndexMissing, "no index at .*nowhere"),
        (["a=zoo.idx", "b=bank.idx", "--out", "zoo"], UsageError, "cannot write zoo: it is a f"),
    ],
)
def test_what_cannot_be_fitted_is_said(
    home: Path, monkeypatch, arguments: list[str], error: type[RagError], message: str
) -> None:
    monkeypatch.chdir(home)
    with pytest.raises(error, match=message):
        run("route", "fit", *arguments, "--quiet")


def test_an_index_with_too_little_text_is_said(home: Path, tmp_path: Path) -> None:
    open_index(Settings(store={"path": tmp_path / "idx"}), create=True).close()
    with pytest.raises(UsageError, match="index of thin holds too little to learn from: 0 docu"):
        run("route", "fit", f"a={home}/zoo.idx", f"thin={tmp_path}/idx", "--quiet")
