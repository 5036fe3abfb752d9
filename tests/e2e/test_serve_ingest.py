"""What is brought to a server: jobs, tenants, deletions, and processes that are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from serving import TABLE, client, finished, serving, until

from rag.store import generations

NOTE = "The harbour office at {place} recorded {n} arrivals in May."


def note(place: str, n: int, **more: Any) -> dict[str, Any]:
    return {"id": place, "text": NOTE.format(place=place, n=n), **more}


def found(asking: httpx.Client, place: str) -> set[str]:
    """The texts found for a place."""
    answer = asking.post("/v1/search", json={"question": f"arrivals at {place}", "top_k": 100})
    assert answer.is_success, answer.text
    return {hit["text"] for hit in answer.json()["hits"]}


@pytest.fixture
def base(tmp_path: Path) -> Iterator[str]:
    with serving(tmp_path / "index") as address:
        yield address


def test_what_is_brought_is_found_replaced_and_deleted(base: str, tmp_path: Path) -> None:
    with client(base) as asking:
        assert found(asking, "Varde") == set()
        body = {"documents": [note("Varde", 412, meta={"year": 2025}), note("Ribe", 38)]}
        job = finished(asking, asking.post("/v1/ingest", json=body))
        assert (job["state"], job["report"]["added"], job["total"]) == ("done", 2, 2)
        assert NOTE.format(place="Varde", n=412) in found(asking, "Varde")
        filtered = {"question": "arrivals", "filters": ["year=2025"]}
        (hit,) = asking.post("/v1/search", json=filtered).json()["hits"]
        assert (hit["doc"], hit["source"]) == ("Varde", "api:Varde")

        again = finished(asking, asking.post("/v1/ingest", json=body))
        assert again["report"]["unchanged"] == 2
        newer = finished(
            asking, asking.post("/v1/ingest", json={"documents": [note("Varde", 413)]})
        )
        assert newer["report"]["replaced"] == 1
        texts = found(asking, "Varde")
        assert NOTE.format(place="Varde", n=413) in texts
        assert NOTE.format(place="Varde", n=412) not in texts

        gone = finished(asking, asking.delete(f"/v1/documents/{hit['doc_id']}"))
        assert gone["report"] == {"retired": 1}
        assert found(asking, "Varde") == {NOTE.format(place="Ribe", n=38)}
        assert asking.delete(f"/v1/documents/{hit['doc_id']}").status_code == 404
    folders = [each.name for each in (tmp_path / "index").iterdir() if each.is_dir()]
    assert len([name for name in folders if generations.is_rebuilt(name)]) <= 2


def test_one_bad_document_is_a_line_of_the_report(base: str) -> None:
    documents = [note("Varde", 1), {"id": "empty", "text": "  \n "}]
    with client(base) as asking:
        job = finished(asking, asking.post("/v1/ingest", json={"documents": documents}))
    assert job["state"] == "done"
    assert job["report"]["added"] == 1
    assert [each["source"] for each in job["report"]["failed"]] == ["api:empty"]


def test_questions_are_answered_while_documents_are_brought(base: str) -> None:
    with client(base) as asking:
        finished(asking, asking.post("/v1/ingest", json={"documents": [note("Varde", 412)]}))
        many = [note(f"Port{n}", n) for n in range(150)]
        submitted = asking.post("/v1/ingest", json={"documents": many})
        answers = 0
        while asking.get(submitted.headers["location"]).json()["state"] != "done":
            assert NOTE.format(place="Varde", n=412) in found(asking, "Varde")
            answers += 1
        assert answers > 1
        assert NOTE.format(place="Port7", n=7) in found(asking, "Port7")


def test_places_are_read_only_where_the_settings_name_them(tmp_path: Path) -> None:
    named, other = tmp_path / "named", tmp_path / "other"
    for folder, place in ((named, "Varde"), (other, "Ribe")):
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "note.txt").write_text(NOTE.format(place=place, n=3))
    (named / "way-out").symlink_to(other)
    with serving(tmp_path / "index", sources=(str(named),)) as base, client(base) as asking:
        for place in (other, named / ".." / "other", named / "way-out", "sql:sqlite:///x", "/"):
            answer = asking.post("/v1/ingest", json={"sources": [str(place)]})
            assert answer.status_code == 403, place
        for place in (named, named / "deep"):
            job = finished(asking, asking.post("/v1/ingest", json={"sources": [str(place)]}))
            assert job["state"] == "done"
        assert found(asking, "Ribe") == {NOTE.format(place="Varde", n=3)}


def test_tenants_have_the_same_ids_and_know_nothing_of_each_other(tmp_path: Path) -> None:
    with (
        serving(tmp_path / "index", api_keys=TABLE) as base,
        client(base, "acme-writer") as acme,
        client(base, "apex-writer") as apex,
        client(base, "writer") as everybody,
        client(base, "reader") as reader,
    ):
        for asking, n in ((acme, 1), (apex, 2), (everybody, 3)):
            # The same text, too: a copy of another tenant's document is no link to it.
            same = {"id": "same", "text": "The mast was painted in June."}
            body = {"documents": [note("Varde", n, meta={"tenant": "acme"}), same]}
            submitted = asking.post("/v1/ingest", json=body)
            assert finished(asking, submitted)["report"]["added"] == 2
            others = [each for each in (acme, apex) if each is not asking]
            for other in others:
                assert other.get(submitted.headers["location"]).status_code == 404
        mast = {"question": "When was the mast painted?", "top_k": 100}
        ids = {}
        for name, asking in (("acme", acme), ("apex", apex)):
            hits = asking.post("/v1/search", json=mast).json()["hits"]
            ids[name] = [hit["doc_id"] for hit in hits if "mast" in hit["text"]]
            assert len(ids[name]) == 1
            assert all(hit["also"] == [] for hit in hits)
        assert NOTE.format(place="Varde", n=2) in found(apex, "Varde")
        assert NOTE.format(place="Varde", n=1) not in found(apex, "Varde")
        where = f"/v1/documents/{ids['apex'][0]}"
        assert acme.get(where).status_code == acme.delete(where).status_code == 404
        for asking in (apex, everybody, reader):
            assert asking.get(where).json()["text"] == "The mast was painted in June."
        assert reader.delete(f"/v1/documents/{ids['apex'][0]}").status_code == 403
        assert reader.post("/v1/ingest", json={"documents": [note("x", 1)]}).status_code == 403
        assert acme.post("/v1/ingest", json={"sources": [str(tmp_path)]}).status_code == 403
        assert finished(apex, apex.delete(f"/v1/documents/{ids['apex'][0]}"))["state"] == "done"
        assert len(found(acme, "mast")) == 3


def test_what_is_nothing_or_too_much_is_refused(base: str) -> None:
    with client(base) as asking:
        for body in ({}, {"documents": [{"id": "", "text": "x"}]}, {"documents": [{"id": "x"}]},
                     {"documents": [note("x", 1, meta={"a": {"b": 1}})]},
                     {"documents": [note("x", 1, tenant="acme")]}):  # fmt: skip
            assert asking.post("/v1/ingest", json=body).status_code == 422
        large = {"documents": [{"id": "x", "text": "x" * 21_000_000}]}
        assert asking.post("/v1/ingest", json=large).status_code == 413
        assert asking.get("/v1/jobs/../../etc/passwd").status_code == 404
        assert asking.get("/v1/jobs/none").status_code == 404


@pytest.mark.slow
def test_a_writer_that_is_killed_is_tried_again(base: str) -> None:
    with client(base) as asking:
        many = [note(f"Port{n}", n) for n in range(150)]
        submitted = asking.post("/v1/ingest", json={"documents": many})
        where = submitted.headers["location"]
        until(lambda: asking.get(where).json()["done"] > 0)
        (writer,) = _children(os.getpid())
        os.kill(writer, signal.SIGKILL)
        job = finished(asking, submitted)
        assert (job["state"], job["attempts"], job["report"]["added"]) == ("done", 1, 150)


@pytest.mark.slow
def test_a_killed_server_loses_nothing_that_it_took_on(tmp_path: Path) -> None:
    """Documents are brought all the time, and the server is killed again and again."""
    taken: list[int] = []
    for seconds in (1.0, 3.0):
        with _command(tmp_path) as (running, asking):
            killer = threading.Timer(seconds, running.kill)
            killer.start()
            with suppress(httpx.TransportError):
                while True:
                    n = 1_000 * len(taken) + 7
                    body = {"documents": [note(f"Port{n}", n)]}
                    if asking.post("/v1/ingest", json=body).status_code == 202:
                        taken.append(n)
                    found(asking, "anything")
                    time.sleep(0.3)
            running.wait()
            assert running.returncode == -signal.SIGKILL
    assert len(taken) > 2
    with _command(tmp_path) as (running, asking):
        until(lambda: not list((tmp_path / "index-jobs").glob("*.todo")))
        for n in taken:
            assert NOTE.format(place=f"Port{n}", n=n) in found(asking, f"Port{n}")
        running.send_signal(signal.SIGTERM)
        running.wait()


@contextmanager
def _command(folder: Path) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    """`rag serve`, once it is ready, and a client."""
    rag = Path(sys.executable).with_name("rag")
    with subprocess.Popen(
        [rag, "serve", "--where", folder / "index", "--port", "0"],
        stderr=subprocess.PIPE, text=True,
    ) as running:  # fmt: skip
        assert running.stderr is not None
        try:
            base = running.stderr.readline().strip().removeprefix("listening at ")
            threading.Thread(target=running.stderr.read, daemon=True).start()
            with client(base) as asking:
                until(lambda: _ready(asking))
                yield running, asking
        finally:
            running.kill()


def _ready(asking: httpx.Client) -> bool:
    try:
        return asking.get("/readyz").is_success
    except httpx.TransportError:
        return False


def _children(pid: int) -> list[int]:
    """Processes of a writer: children that were spawned, apart from Python's own tracker."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            status = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            command = (entry / "cmdline").read_text()
        except (OSError, IndexError):
            continue
        if entry.name.isdigit() and int(status[1]) == pid and "spawn_main" in command:
            found.append(int(entry.name))
    return found
