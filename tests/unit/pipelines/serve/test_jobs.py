from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from pipelines.serve import jobs as module
from pipelines.serve.brought import BroughtDocuments
from pipelines.serve.jobs import Brought, Jobs, Request
from pipelines.serve.problems import Problem
from rag.errors import ConfigError, DocumentError


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    opened = Jobs(tmp_path / "jobs")
    yield opened
    opened.close()


def request(text: str = "x", tenant: str = "") -> Request:
    return Request(kind="ingest", documents=(Brought(id="a", text=text),), tenant=tenant)


def test_a_job_waits_is_found_and_finished_in_order(jobs: Jobs) -> None:
    first, second = jobs.submit(request("one", "acme")), jobs.submit(request("two"))
    assert [job.id for job, _ in jobs.waiting()] == [first.id, second.id]
    assert jobs.waiting()[0][1] == request("one", "acme")
    assert jobs.find(first.id) == (first, "acme")
    running = first.model_copy(update={"state": "running", "done": 0.5, "total": 1})
    jobs.update(running, request("one", "acme"))
    assert jobs.find(first.id) == (running, "acme")
    jobs.finish(running.model_copy(update={"state": "done"}), request("one", "acme"))
    found = jobs.find(first.id)
    assert found is not None
    assert found[0].state == "done"
    assert found[0].finished is not None
    assert [job.id for job, _ in jobs.waiting()] == [second.id]


def test_what_was_brought_is_not_kept_longer_than_needed(jobs: Jobs, tmp_path: Path) -> None:
    job = jobs.submit(request("a secret text"))
    assert "a secret text" in _all_text(tmp_path)
    jobs.finish(job, request("a secret text"))
    assert "a secret text" not in _all_text(tmp_path)
    assert (tmp_path / "jobs").stat().st_mode & 0o077 == 0


def test_what_a_server_left_behind_waits_for_the_next(tmp_path: Path) -> None:
    first = Jobs(tmp_path)
    job = first.submit(request())
    first.close()
    second = Jobs(tmp_path)
    assert [each.id for each, _ in second.waiting()] == [job.id]
    with pytest.raises(ConfigError, match="another server"):
        Jobs(tmp_path)
    second.close()


def test_a_damaged_file_keeps_no_other_job_from_being_done(jobs: Jobs, tmp_path: Path) -> None:
    bad, good = jobs.submit(request()), jobs.submit(request())
    (tmp_path / "jobs" / f"{bad.id}.todo").write_text("{", encoding="utf-8")
    (tmp_path / "jobs" / "note.todo").write_text("{", encoding="utf-8")
    assert [job.id for job, _ in jobs.waiting()] == [good.id]
    assert (tmp_path / "jobs" / f"{bad.id}.bad").is_file()


def test_too_many_that_wait_are_refused_and_old_ones_forgotten(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_WAITING", 2)
    monkeypatch.setattr(module, "_MOST_KEPT", 1)
    taken = [jobs.submit(request()) for _ in range(2)]
    with pytest.raises(Problem, match="too many jobs"):
        jobs.submit(request())
    for job in taken:
        jobs.finish(job, request())
    assert [jobs.find(job.id) is not None for job in taken] == [False, True]


@pytest.mark.parametrize("name", ["", "../jobs", "x", "0" * 14, "0" * 14 + "-" + "0" * 8])
def test_no_other_name_leads_to_a_file(jobs: Jobs, name: str) -> None:
    assert jobs.find(name) is None


@pytest.mark.parametrize("meta", [{"a": float("nan")}, {"a": float("inf")}, {"a": {}}, {"a": None}])
def test_facts_that_no_filter_could_compare_are_refused(meta: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Brought(id="a", text="x", meta=meta)


def test_facts_keep_their_kind_on_their_way_through_a_file() -> None:
    meta = {"whole": 3, "real": 3.5, "yes": True, "text": "3", "list": ["a"]}
    there = Brought.model_validate_json(Brought(id="a", text="x", meta=meta).model_dump_json())
    assert there.meta == meta
    assert [type(value) for value in there.meta.values()] == [int, float, bool, str, list]


def test_what_is_brought_is_parsed_by_its_name_and_marked_as_its_tenants() -> None:
    brought = BroughtDocuments(
        [Brought(id="a", name="a.md", text="# Title\n\nText.", meta={"tenant": "apex", "n": 1}),
         Brought(id="b", text="# no title", meta={}), Brought(id="c", text=" \n")],
        "acme",
    )  # fmt: skip
    refs = {ref.key: ref for ref in brought.list()}
    first, second = brought.fetch(refs["a"]), brought.fetch(refs["b"])
    assert (first.title, first.meta) == ("Title", {"tenant": "acme", "n": 1})
    assert (second.title, second.source, second.meta) == ("", "api:b", {"tenant": "acme"})
    assert first.namespace == "api:acme"
    assert brought.covers("a")
    assert not brought.covers("d")
    with pytest.raises(DocumentError):
        brought.fetch(refs["c"])
    other = BroughtDocuments([Brought(id="b", text="# no title")], "apex")
    assert next(other.list()).fingerprint != refs["b"].fingerprint


def _all_text(folder: Path) -> str:
    return "".join(each.read_text() for each in folder.rglob("*") if each.is_file())
