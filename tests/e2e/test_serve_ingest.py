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
from serving import TABLE, client, finished, metric, serving, until

from pipelines.serve.jobs import Brought, Jobs, Request
from rag.ids import document_id
from rag.store import generations

MAST = "\n".join(["The mast of the harbour was painted in June by two men, in nine days."] * 4)
CRANE = MAST.replace("mast", "crane")
NOTE = "The harbour office at {place} recorded {n} arrivals in May."


def note(place: str, n: int, **more: Any) -> dict[str, Any]:
    return {"id": place, "text": NOTE.format(place=place, n=n), **more}


def found(asking: httpx.Client, place: str) -> set[str]:
    """The texts found for a place."""
    answer = asking.post("/v1/search", json={"question": f"arrivals at {place}", "top_k": 100})
    assert answer.is_success, answer.text
    return {hit["text"] for hit in answer.json()["hits"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("serve-ingest")


@pytest.fixture(scope="module")
def base(folder: Path) -> Iterator[str]:
    """One server for many tests: what writes starts once."""
    with serving(folder / "index") as address:
        yield address


@pytest.fixture(scope="module")
def keyed(folder: Path) -> Iterator[str]:
    sources = (str(folder / "named"),)
    with serving(folder / "keyed", api_keys=TABLE, sources=sources) as address:
        yield address


def test_what_is_brought_is_found_replaced_and_deleted(base: str, folder: Path) -> None:
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
    folders = [each.name for each in (folder / "index").iterdir() if each.is_dir()]
    assert [generations.is_rebuilt(name) for name in folders] == [True]


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


def test_places_are_read_only_where_the_settings_name_them(keyed: str, folder: Path) -> None:
    named, other = folder / "named", folder / "other"
    for folder, place in ((named, "Varde"), (other, "Ribe")):
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "note.txt").write_text(NOTE.format(place=place, n=3))
    (named / "way-out").symlink_to(other)
    with client(keyed, "admin") as asking, client(keyed, "writer") as writer:
        for place in (other, named / ".." / "other", named / "way-out", "sql:sqlite:///x", "/"):
            answer = asking.post("/v1/ingest", json={"sources": [str(place)]})
            assert answer.status_code == 403, place
        body = {"sources": [str(named)]}
        assert writer.post("/v1/ingest", json=body).status_code == 403
        pruning = {"documents": [note("Varde", 1)], "prune": True}
        assert writer.post("/v1/ingest", json=pruning).status_code == 403
        for place in (named, named / "deep"):
            job = finished(asking, asking.post("/v1/ingest", json={"sources": [str(place)]}))
            assert job["state"] == "done"
        texts = found(asking, "Ribe")
        assert NOTE.format(place="Varde", n=3) in texts
        assert NOTE.format(place="Ribe", n=3) not in texts
        assert [each["state"] for each in asking.get("/v1/jobs").json()[:2]] == ["done"] * 2


def test_tenants_have_the_same_ids_and_know_nothing_of_each_other(keyed: str) -> None:
    with (
        client(keyed, "acme-writer") as acme,
        client(keyed, "apex-writer") as apex,
        client(keyed, "writer") as everybody,
        client(keyed, "reader") as reader,
    ):
        for asking, n in ((acme, 1), (apex, 2), (everybody, 3)):
            # The same text, too: a copy of another tenant's document is no link to it.
            same = {"id": "same", "text": MAST}
            body = {"documents": [note("Varde", n, meta={"tenant": "acme"}), same]}
            submitted = asking.post("/v1/ingest", json=body)
            report = finished(asking, submitted)["report"]
            assert report["added"] == 2
            assert ("chunks" in report) == (asking is everybody)
            others = [each for each in (acme, apex) if each is not asking]
            for other in others:
                assert other.get(submitted.headers["location"]).status_code == 404
        mast = {"question": "When was the mast painted?", "top_k": 100}
        ids = {}
        for name, asking in (("acme", acme), ("apex", apex)):
            hits = asking.post("/v1/search", json=mast).json()["hits"]
            ids[name] = [hit["doc_id"] for hit in hits if "mast" in hit["text"]]
            assert len(ids[name]) == 1, hits
            assert all(hit["also"] == [] for hit in hits)
        assert NOTE.format(place="Varde", n=2) in found(apex, "Varde")
        assert NOTE.format(place="Varde", n=1) not in found(apex, "Varde")
        where = f"/v1/documents/{ids['apex'][0]}"
        assert acme.get(where).status_code == acme.delete(where).status_code == 404
        for asking in (apex, everybody, reader):
            assert asking.get(where).json()["text"] == MAST
        assert reader.delete(f"/v1/documents/{ids['apex'][0]}").status_code == 403
        assert reader.post("/v1/ingest", json={"documents": [note("x", 1)]}).status_code == 403
        assert acme.post("/v1/ingest", json={"sources": ["named"]}).status_code == 403
        assert finished(apex, apex.delete(f"/v1/documents/{ids['apex'][0]}"))["state"] == "done"
        assert len(found(acme, "mast")) == 3
        assert found(apex, "mast") == {NOTE.format(place="Varde", n=2)}


def test_a_copy_is_its_tenants_and_nobody_elses(keyed: str) -> None:
    """Whoever brings them: documents of two tenants that say the same know nothing of each other.

    Copies of one tenant's are linked, and each can be read.
    """
    with (
        client(keyed, "acme-writer") as acme,
        client(keyed, "apex-writer") as apex,
        client(keyed, "writer") as everybody,
    ):
        documents = [
            {
                "id": f"{tenant}{n}",
                "text": MAST.replace("mast", "crane"),
                "meta": {"tenant": tenant},
            }
            for tenant in ("acme", "apex")
            for n in range(2)
        ]
        submitted = everybody.post("/v1/ingest", json={"documents": documents})
        assert finished(everybody, submitted)["report"]["linked"] == 2
        for asking, own, other in ((acme, "acme", "apex"), (apex, "apex", "acme")):
            told = asking.post("/v1/search", json={"question": "crane", "top_k": 100})
            (hit,) = [hit for hit in told.json()["hits"] if "crane" in hit["text"]]
            assert {hit["source"], *hit["also"]} == {f"api:{own}0", f"api:{own}1"}
            assert other not in told.text
        for each in documents:
            where = f"/v1/documents/{document_id('api', each['id'])}"
            for asking, tenant in ((acme, "acme"), (apex, "apex")):
                read = asking.get(where)
                if each["meta"]["tenant"] == tenant:
                    assert (read.json()["name"], read.json()["text"]) == (each["id"], each["text"])
                else:
                    assert read.status_code == 404


def test_a_job_at_which_all_died_before_is_not_tried_for_ever(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path / "index-jobs")
    job = jobs.submit(Request(kind="ingest", documents=(Brought(id="a", text="b"),)))
    jobs.update(job.model_copy(update={"state": "running", "attempts": 5}))
    jobs.close()
    with serving(tmp_path / "index") as base, client(base) as asking:
        until(lambda: asking.get(f"/v1/jobs/{job.id}").json()["state"] == "failed")
        assert "died 5 times" in asking.get(f"/v1/jobs/{job.id}").json()["error"]["message"]
        assert metric(base, 'spanrag_jobs_total{state="failed"}') == 1
    assert not [each for each in (tmp_path / "index").iterdir() if each.name.startswith("reindex")]


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
        many = [note(f"Quay{n}", n) for n in range(150)]
        submitted = asking.post("/v1/ingest", json={"documents": many})
        where = submitted.headers["location"]
        until(lambda: asking.get(where).json()["done"] > 0)
        for writer in _children(os.getpid()):  # another server's may rest here, too
            # Out of memory it goes first: the server can do without it, and begins it anew.
            assert Path(f"/proc/{writer}/oom_score_adj").read_text("ascii") == "1000\n"
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
        until(lambda: not list((tmp_path / "index-jobs").glob("*.request")))
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
