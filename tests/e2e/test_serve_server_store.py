"""`rag serve` over an index on a Qdrant server: other processes, keys, a server that goes away.

Where SPANRAG_TEST_QDRANT_URL names a server, that one is asked, and the tests that stop it are
left out; elsewhere the stand-in of `qdrant_stand_in.py`.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from forked import run_forked

sys.path.insert(0, str(Path(__file__).parent))
from qdrants import SERVER_URL, Qdrant, StandIn, qdrant
from serving import TABLE, client, finished, serving_as, until
from tenants import ASKED, DOCUMENTS, WIDER, foreign, of_apex

from pipelines.reindex import forget, reindex, rollback
from pipelines.serve import clerk, keeping
from rag.embedding.registry import with_model
from rag.index import open_index
from rag.settings import Settings

NOTE = "The harbour office at {place} recorded {n} arrivals in May."
SOON = 0.2  # seconds between two looks, so that no test waits for one

stops = pytest.mark.skipif(bool(SERVER_URL), reason="a real server is not to be stopped")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server-store")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Qdrant]:
    made = qdrant(folder / "qdrant")
    yield made
    made.close()


@pytest.fixture(scope="module")
def settings(server: Qdrant, folder: Path) -> Settings:
    return Settings(
        store=server.store(path=folder / "index", timeout=2),
        chunking={"size": 60},
        serve={"requests_per_minute": 0, "api_keys": TABLE},
    )


@pytest.fixture(scope="module")
def base(settings: Settings) -> Iterator[str]:
    """One server for all tests: what writes starts once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clerk, "_LOOK", SOON)
        patch.setattr(keeping, "_LOOK", SOON)
        with serving_as(settings) as address:
            yield address


@pytest.fixture
def asking(base: str) -> Iterator[httpx.Client]:
    with client(base, "admin") as made:
        yield made


def note(place: str, n: int) -> dict[str, Any]:
    return {"id": place, "text": NOTE.format(place=place, n=n)}


def bring(asking: httpx.Client, *documents: dict[str, Any]) -> dict[str, Any]:
    return finished(asking, asking.post("/v1/ingest", json={"documents": documents}))


def search(asking: httpx.Client, question: str, *filters: str) -> httpx.Response:
    body = {"question": question, "top_k": 100, "filters": filters}
    return asking.post("/v1/search", json=body)


def found(asking: httpx.Client, place: str) -> set[str]:
    answer = search(asking, f"arrivals at {place}")
    assert answer.is_success, answer.text
    return {hit["text"] for hit in answer.json()["hits"]}


def command(settings: Settings, *arguments: str, **changed: str) -> tuple[int, str]:
    """A command of another process, on the same index: its exit code, and what it says to us."""
    store = settings.store
    given = {
        "RAG_STORE__URL": store.url, "RAG_STORE__COLLECTION": store.collection,
        "RAG_STORE__API_KEY": store.api_key.get_secret_value(), "RAG_CHUNKING__SIZE": "60",
    }  # fmt: skip
    code, _, err = run_forked(arguments, Path.cwd(), os.environ | given | changed, b"", 120)
    return code, err.decode()


def test_what_a_job_and_what_another_process_writes_is_served(
    asking: httpx.Client, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "ribe.txt").write_text(NOTE.format(place="Ribe", n=38))
    submitted = asking.post("/v1/ingest", json={"documents": [note("Varde", 412)]})
    code, said = command(settings, "ingest", str(tmp_path))  # nobody owns a server's index
    assert code == 0, said
    assert finished(asking, submitted)["report"]["added"] == 1
    varde, ribe = NOTE.format(place="Varde", n=412), NOTE.format(place="Ribe", n=38)
    assert {varde, ribe} <= found(asking, "Varde")
    answer = asking.post("/v1/query", json={"question": "How many arrivals has Ribe?"}).json()
    assert answer["citations"][0]["quote"] == ribe
    job = finished(asking, asking.delete(f"/v1/documents/{answer['citations'][0]['doc_id']}"))
    assert job["report"] == {"retired": 1}
    assert found(asking, "Ribe") & {varde, ribe} == {varde}


def test_tenants_are_kept_apart(base: str) -> None:
    for tenant, documents in DOCUMENTS.items():
        with client(base, f"{tenant}-writer") as writing:
            bring(writing, *(each.model_dump() for each in documents))
    theirs = of_apex(base)
    with client(base, "acme") as asking:
        assert "4,120" in search(asking, ASKED).text
        for filters in ([], *([wider] for wider in WIDER), ["tenant=apex"]):
            answer = search(asking, ASKED, *filters)
            assert answer.status_code in (200, 400, 422)
            assert not foreign(answer, theirs)
        for hit in theirs:
            assert asking.get(f"/v1/documents/{hit['doc_id']}").status_code == 404


@stops
def test_a_wrong_key_is_one_line(settings: Settings) -> None:
    code, said = command(settings, "status", RAG_STORE__API_KEY="mistaken")
    assert code == 5
    (line,) = said.splitlines()
    assert "401" in line
    assert "store.api_key" in line
    assert "mistaken" not in line


@stops
def test_a_server_that_is_away_is_told_and_found_again(
    asking: httpx.Client, server: StandIn
) -> None:
    bring(asking, note("Esbjerg", 90))
    server.close()
    assert asking.get("/healthz").status_code == 200
    body = {"question": "How many arrivals has Esbjerg?"}
    answers = [asking.get("/readyz"), search(asking, "x"), asking.get("/v1/documents/x")]
    answers += [asking.post("/v1/query", json={**body, "stream": way}) for way in (False, True)]
    for answer in answers:
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["retry-after"] == "5"
        assert answer.json()["code"] == "store"
        assert server.url not in answer.text
    submitted = asking.post("/v1/ingest", json={"documents": [note("Skagen", 51)]})
    assert submitted.status_code == 202
    server.start()
    assert asking.get("/readyz").status_code == 200
    assert NOTE.format(place="Esbjerg", n=90) in found(asking, "Esbjerg")
    assert finished(asking, submitted)["report"]["added"] == 1
    assert NOTE.format(place="Skagen", n=51) in found(asking, "Skagen")


@stops
def test_a_server_that_hangs_holds_up_nobody_for_good(
    asking: httpx.Client, server: StandIn
) -> None:
    server.send(signal.SIGSTOP)
    assert [search(asking, "x").status_code, asking.get("/healthz").status_code] == [503, 200]
    server.send(signal.SIGCONT)
    assert search(asking, "x").status_code == 200


@stops
def test_a_job_during_which_the_server_dies_is_done_when_it_is_back(
    asking: httpx.Client, server: StandIn
) -> None:
    many = [note(f"Quay{n}", n) for n in range(60)]
    submitted = asking.post("/v1/ingest", json={"documents": many})
    where = submitted.headers["location"]
    until(lambda: asking.get(where).json()["done"] > 0)
    server.close()
    until(lambda: asking.get(where).json()["state"] == "queued")
    server.start()
    job = finished(asking, submitted)
    assert (job["state"], job["attempts"], job["error"]) == ("done", 1, None)
    assert job["report"]["added"] + job["report"]["unchanged"] == 60
    for n in (0, 31, 59):
        assert NOTE.format(place=f"Quay{n}", n=n) in found(asking, f"Quay{n}")


def test_what_is_reindexed_is_taken_up_without_a_restart(
    asking: httpx.Client, settings: Settings, tiny_bert: Callable[[str], Path]
) -> None:
    model = with_model(settings.embedding, str(tiny_bert("arrivals harbour")))
    varde, ribe = NOTE.format(place="Varde", n=412), NOTE.format(place="Ribe", n=38)
    bring(asking, note("Varde", 412))
    first = unit(asking)
    with answering(asking) as statuses:
        with open_index(settings) as index:
            assert reindex(index.store, settings.model_copy(update={"embedding": model})).swapped
        until(lambda: unit(asking) != first)
        second = unit(asking)
        assert varde in found(asking, "Varde")
        # Jobs are written to what is served, too.
        assert bring(asking, note("Ribe", 38))["report"]["added"] == 1
        assert ribe in found(asking, "Ribe")
        with open_index(settings) as index:
            rollback(index.store, settings)
        until(lambda: unit(asking) == first)
        assert found(asking, "Ribe") & {varde, ribe} == {varde}
    assert set(statuses) == {200}

    with open_index(settings) as index:
        rollback(index.store, settings)
    with open_index(settings) as index:
        forget(index.store)  # which is still answered from
    until(lambda: unit(asking) == second)
    assert {varde, ribe} <= found(asking, "Ribe")


@contextmanager
def answering(asking: httpx.Client) -> Iterator[list[int]]:
    """The statuses of questions that are asked all the time."""
    statuses: list[int] = []
    enough = threading.Event()

    def ask() -> None:
        while not enough.is_set():
            statuses.append(search(asking, "arrivals").status_code)

    crowd = threading.Thread(target=ask)
    crowd.start()
    try:
        yield statuses
    finally:
        enough.set()
        crowd.join()


def unit(asking: httpx.Client) -> str:
    """Whose tokens are counted: those of the embedder of the index that is served."""
    answer = asking.post("/v1/query", json={"question": "How many arrivals has Varde?"})
    if answer.status_code == 503:  # what was served is deleted, and what is was not seen yet
        assert answer.headers["retry-after"] == "5"
        return ""
    told: str = answer.json()["token_unit"]
    return told
