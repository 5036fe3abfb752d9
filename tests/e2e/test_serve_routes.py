"""A server over several indexes: a question goes to its domain's, and so does what is brought."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from forked import run_forked

from connectors.registry import open_source
from pipelines.ingest import ingest
from pipelines.query import open_parts
from pipelines.reindex import reindex
from pipelines.route import fit_routes
from pipelines.serve import clerk, keeping
from pipelines.serve.jobs import Jobs
from pipelines.serve.jobs import Request as JobRequest
from rag.embedding.registry import with_model
from rag.errors import IndexMissing, StoreAway
from rag.index import Index, open_index, settings_as_built
from rag.routing.opening import at_route
from rag.settings import ChunkingSettings, Settings
from rag.store.generations import copy_file

sys.path.insert(0, str(Path(__file__).parent))
from qdrants import qdrant
from serving import KEYS, TABLE, client, finished, metric, serving_as, until

TEXTS = {
    "zoo": [
        "An adult otter eats about one kilogram of fish a day, mostly trout from the river. "
        "Badgers dig their setts in sandy woodland soil and sleep there through the day.",
        "The grey heron builds its nest in tall trees and stands still for hours to hunt. "
        "A hedgehog rolls into a ball of spines when a fox comes near its nest of leaves.",
        "Young seals are born with white fur and drink the milk of their mother for weeks. "
        "The barn owl hears a mouse under the snow and drops on it without a sound.",
    ],
    "bank": [
        "Net sales rose by four percent to 1.3 billion dollars in the third quarter. "
        "The company pays a dividend of forty cents a share to its stockholders in June.",
        "Interest on the bonds is due twice a year until the notes mature in 2031. "
        "Operating costs fell because the loss on currency hedges was smaller than before.",
        "The auditor found the consolidated balance sheet to be free of misstatement. "
        "Cash flow from operations paid for the repurchase of two million shares.",
    ],
}
CHUNKING: dict[str, dict[str, Any]] = {"zoo": {}, "bank": {"size": 40, "header_tokens": 0}}
"""Each index is served as it was built, whatever the server's settings say."""
OTTER = "What does an otter eat in a day?"
DIVIDEND = "What dividend do stockholders get for a share?"
LYNX = "The lynx that came to the zoo in May eats two hares and one roe deer a week."
LYNXES = "What does the lynx at the zoo eat in a week?"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two indexes and the routes between them; of copies, too, and with one that is not there."""
    home = tmp_path_factory.mktemp("serve-routes")
    for name, texts in TEXTS.items():
        (home / name).mkdir()
        for number, text in enumerate(texts):
            (home / name / f"{number}.txt").write_text(text)
        built = Settings(store={"path": home / f"{name}.idx"}, chunking=CHUNKING[name])
        with open_index(built, create=True) as index:
            ingest(index, [open_source(str(home / name))])
    indexes = {name: str(home / f"{name}.idx") for name in TEXTS}
    fitted = fit_routes(Settings(), indexes, coverage=0.6, most=2, texts=100)
    fitted.routes.write(home / "routes.json")
    for name, spare in {"zoo": "spare", "bank": "other"}.items():
        shutil.copytree(home / f"{name}.idx", home / f"{spare}.idx", copy_function=copy_file)
    for file, bank in {"spare": "other", "away": "away"}.items():
        there = {"zoo": str(home / "spare.idx"), "bank": str(home / f"{bank}.idx")}
        fitted.routes.model_copy(update={"indexes": there}).write(home / f"{file}.json")
    return home


@pytest.fixture(scope="module")
def base(home: Path) -> Iterator[str]:
    settings = Settings(
        serve={"api_keys": TABLE, "requests_per_minute": 0, "sources": (str(home / "zoo"),)}
    )
    with serving_as(settings, home / "routes.json") as address:
        yield address


def hits(asking: httpx.Client, question: str) -> dict[str, Any]:
    answer = asking.post("/v1/search", json={"question": question, "top_k": 50})
    assert answer.is_success, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_question_goes_to_its_domain(base: str) -> None:
    with client(base, "reader") as asking:
        assert asking.get("/readyz").is_success
        for question, route, fact in [
            (OTTER, "zoo", "one kilogram of fish"),
            (DIVIDEND, "bank", "forty cents"),
        ]:
            found = hits(asking, question)
            assert (found["searched"][0], found["degraded"]) == (route, "")
            answer = asking.post("/v1/query", json={"question": question, "explain": True}).json()
            assert fact in answer["citations"][0]["quote"]
            (retrieve,) = (each for each in answer["ledger"] if each["stage"] == "retrieve")
            assert retrieve["note"].startswith(f"to {route} (")
            assert answer["explanation"]["passages"]
            at = answer["citations"][0]
            document = asking.get(f"/v1/documents/{at['doc_id']}").json()  # whichever index has it
            assert document["text"][at["start"] : at["end"]] == at["quote"]
            chat = {"messages": [{"role": "user", "content": question}]}
            said = asking.post("/v1/chat/completions", json=chat).json()
            assert fact in said["spanrag"]["citations"][0]["quote"]


def test_what_is_brought_goes_where_it_is_sent(base: str, home: Path) -> None:
    with client(base, "admin") as asking:
        document = {"id": "lynx", "text": LYNX}
        unsent = asking.post("/v1/ingest", json={"documents": [document]})
        assert unsent.status_code == 400
        assert unsent.json()["detail"].endswith("one of: zoo, bank")
        unknown = asking.post("/v1/ingest", json={"documents": [document], "route": "../zoo"})
        assert unknown.status_code == 400

        brought = {"documents": [document], "route": "zoo"}
        job = finished(asking, asking.post("/v1/ingest", json=brought))
        assert (job["state"], job["route"], job["report"]["documents"]) == ("done", "zoo", 4)
        assert (home / "zoo.idx-jobs" / f"{job['id']}.job").exists()
        other = {"documents": [{"id": "bond", "text": "The bond of May pays 3 percent."}]}
        later = finished(asking, asking.post("/v1/ingest", json=other | {"route": "bank"}))
        assert [each["id"] for each in asking.get("/v1/jobs").json()[:2]] == [
            later["id"],
            job["id"],
        ]
        assert metric(base, 'spanrag_jobs_total{state="done"}', "admin") >= 2

        found = hits(asking, LYNXES)
        (lynx,) = (each for each in found["hits"] if each["doc"] == "lynx")
        assert (found["searched"][0], lynx["text"]) == ("zoo", LYNX)
        answer = asking.post("/v1/query", json={"question": LYNXES}).json()
        assert answer["citations"][0]["quote"] == LYNX

        gone = finished(asking, asking.delete(f"/v1/documents/{lynx['doc_id']}"))
        assert (gone["route"], gone["report"]["retired"]) == ("zoo", 1)
        assert all(each["doc"] != "lynx" for each in hits(asking, LYNXES)["hits"])
        assert asking.delete(f"/v1/documents/{lynx['doc_id']}").status_code == 404


def test_a_command_brings_to_a_route(base: str, home: Path, tmp_path: Path) -> None:
    (tmp_path / "lynx.txt").write_text(LYNX)
    environment = os.environ | {"RAG_CLIENT__API_KEY": KEYS["admin"]}

    def run(*arguments: str) -> tuple[int, str]:
        code, out, err = run_forked(
            [*arguments, "--server", base], tmp_path, environment, b"", timeout=240
        )
        return code, (out + err).decode()

    code, said = run("ingest", str(home / "zoo"), "--route", "bank")
    assert (code, "added 3" in said) == (0, True), said
    code, said = run("ingest", str(home / "zoo"))
    assert code == 2
    assert "one of: zoo, bank" in said
    code, said = run("search", OTTER)
    assert code == 0
    assert said.splitlines()[-1].startswith("to zoo")


def test_a_tenant_has_its_own_in_every_index(base: str) -> None:
    with client(base, "acme-writer") as bringing:
        for route in TEXTS:
            said = f"Acme keeps a plan for its lynx and its dividend in {route}."
            body = {"documents": [{"id": f"plan-{route}", "text": said}], "route": route}
            assert finished(bringing, bringing.post("/v1/ingest", json=body))["state"] == "done"
    seen = {}
    for who in ("acme", "apex"):
        with client(base, who) as asking:
            found = [
                hit["doc"] for each in (LYNXES, DIVIDEND) for hit in hits(asking, each)["hits"]
            ]
            seen[who] = set(found)
    assert seen == {"acme": {"plan-zoo", "plan-bank"}, "apex": set()}


def test_routes_may_be_collections_of_a_server(
    tmp_path: Path, home: Path, tiny_bert: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (clerk, keeping):
        monkeypatch.setattr(module, "_LOOK", 0.2)
    server = qdrant(tmp_path / "qdrant")
    settings = Settings(
        store=server.store(path=tmp_path / "index"),
        chunking={"size": 90},  # that of neither
        serve={"requests_per_minute": 0},
    )
    collections = {name: server.store()["collection"] for name in TEXTS}
    zoo = at_route(settings, collections["zoo"])
    for name, collection in collections.items():
        built = at_route(settings, collection).model_copy(
            update={"chunking": ChunkingSettings(**(CHUNKING[name] or {"size": 60}))}
        )
        with open_index(built, create=True) as index:
            ingest(index, [open_source(str(home / name))])
    fitted = fit_routes(settings, collections, coverage=0.6, most=2, texts=100)
    fitted.routes.write(tmp_path / "routes.json")
    with serving_as(settings, tmp_path / "routes.json") as base, client(base) as asking:
        assert hits(asking, DIVIDEND)["searched"] == ["bank"]
        other = with_model(settings.embedding, str(tiny_bert("otters eat fish")))
        with open_index(zoo, as_built=True) as index:
            settings_of_zoo = settings_as_built(zoo, index.store.manifest())
            wanted = settings_of_zoo.model_copy(update={"embedding": other})
            assert reindex(index.store, wanted).swapped
        body = {"documents": [{"id": "lynx", "text": LYNX}], "route": "zoo"}
        for route in ("zoo", "bank"):
            job = asking.post("/v1/ingest", json=body | {"route": route})
            assert finished(asking, job)["state"] == "done"
        # It is in the new collection alone, which is taken up without a restart.
        until(lambda: any(hit["doc"] == "lynx" for hit in hits(asking, LYNXES)["hits"]))
        assert (tmp_path / "index-jobs" / "zoo" / "lock").exists()
    server.close()


def test_a_document_in_two_indexes_is_read_and_deleted_where_it_is_meant(base: str) -> None:
    said = {"zoo": "The lynx of June eats hares.", "bank": "June: the bond pays three percent."}
    with client(base, "admin") as asking:
        for route, text in said.items():
            body = {"documents": [{"id": "june", "text": text}], "route": route}
            assert finished(asking, asking.post("/v1/ingest", json=body))["state"] == "done"
        (hit,) = (
            each
            for each in hits(asking, "What does the bond pay its stockholders in June?")["hits"]
            if each["text"] == said["bank"]
        )
        where = f"/v1/documents/{hit['doc_id']}"
        assert asking.get(where).json()["text"] == said["zoo"]  # the first that has it
        for route, text in said.items():
            revision = hit["revision"] if route == "bank" else ""
            assert asking.get(where, params={"revision": revision}).json()["text"] == text
        assert asking.get(where, params={"revision": "gone"}).json()["text"] == said["zoo"]
        unsure = asking.delete(where)
        assert (unsure.status_code, unsure.json()["code"]) == (400, "usage")
        assert unsure.json()["detail"].endswith("one of: zoo, bank")
        for route in said:
            gone = finished(asking, asking.delete(where, params={"route": route}))
            assert (gone["route"], gone["report"]["retired"]) == (route, 1)
        assert asking.get(where).status_code == 404


def test_where_the_chosen_index_holds_nothing_that_may_be_shown_the_next_is_asked(
    base: str,
) -> None:
    with client(base, "admin") as asking:
        body = {"documents": [{"id": "note", "text": "Otters.", "meta": {"kind": "odd"}}]}
        finished(asking, asking.post("/v1/ingest", json=body | {"route": "bank"}))
        asked = {"question": OTTER, "filters": ["kind=odd"]}
        found = asking.post("/v1/search", json=asked).json()
        assert [each["doc"] for each in found["hits"]] == ["note"]
        assert found["searched"] == ["zoo", "bank"]


def test_a_route_that_fails_is_named_and_no_folder_is(
    base: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(index: Index, *_: Any, **__: Any) -> None:
        if index.settings.store.path.name == "bank.idx":
            raise StoreAway(f"no index at {home}/bank.idx")
        return search(index, *_, **__)

    search = Index.search
    monkeypatch.setattr(Index, "search", broken)
    with client(base, "reader") as asking:
        found = hits(asking, DIVIDEND)
        assert found["degraded"] == "without bank: no index at [...]"
        assert found["searched"] == ["zoo"]
        answer = asking.post("/v1/query", json={"question": DIVIDEND})
        assert str(home) not in answer.text
        assert answer.json()["ledger"][0]["degraded"] == found["degraded"]


def test_jobs_of_another_server_are_spoken_of(
    home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    left = Jobs(tmp_path / "jobs")
    left.submit(JobRequest(kind="delete", doc_id="x"))
    left.close()
    settings = Settings(serve={"jobs": tmp_path / "jobs"})
    with serving_as(settings, home / "spare.json") as base, client(base) as asking:
        assert asking.get("/readyz").is_success
    (told,) = (each.getMessage() for each in caplog.records if "jobs wait" in each.getMessage())
    assert str(tmp_path / "jobs") in told


def test_a_model_is_told_where_was_looked(home: Path) -> None:
    mcp = pytest.importorskip("mcp", reason="the mcp extra is not installed")

    async def asked() -> tuple[Any, Any]:
        rag = str(Path(sys.executable).with_name("rag"))
        routes = ["mcp", "--routes", str(home / "spare.json")]
        started = mcp.StdioServerParameters(command=rag, args=routes, env=dict(os.environ))
        async with mcp.Client(mcp.stdio_client(started)) as asking:
            found = await asking.call_tool("search", {"question": DIVIDEND})
            return found, await asking.call_tool("query", {"question": DIVIDEND})

    found, answer = (each.structured_content for each in asyncio.run(asked()))
    assert (found["searched"], found["degraded"]) == (["bank"], "")
    assert "forty cents" in found["hits"][0]["text"]
    assert "forty cents" in answer["citations"][0]["quote"]


def test_a_server_wants_all_its_indexes(home: Path) -> None:
    with pytest.raises(IndexMissing, match=r"the route bank: no index at .*away\.idx"):
        open_parts(Settings(), home / "away.json")
    open_index(Settings(store={"path": home / "spare.idx"})).close()  # it was let go of
