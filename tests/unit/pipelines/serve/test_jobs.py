from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from unittest.mock import ANY

import pytest
from pydantic import ValidationError

from pipelines.serve import jobs as module
from pipelines.serve.brought import BroughtDocuments
from pipelines.serve.jobs import Brought, Jobs, Request, read_request
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
    assert [job.id for job in jobs.next_round()] == [first.id, second.id]
    assert read_request(jobs.folder, first.id) == request("one", "acme")
    assert jobs.find(first.id) == (first, "acme")
    running = first.model_copy(update={"state": "running", "done": 0.5, "total": 1})
    jobs.update(running)
    assert jobs.find(first.id) == (running, "acme")
    assert jobs.waiting == 2
    jobs.finish(running.model_copy(update={"state": "done"}))
    assert jobs.waiting == 1
    found = jobs.find(first.id)
    assert found is not None
    assert found[0].state == "done"
    assert found[0].finished is not None
    assert [job.id for job in jobs.next_round()] == [second.id]
    assert [job.id for job in jobs.latest(5)] == [second.id, first.id]
    assert [job.id for job in jobs.latest(1)] == [second.id]


def test_a_job_that_is_being_written_down_is_not_taken_for_a_damaged_one(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = jobs._write

    def looked_for_meanwhile(name: str, content: bytes) -> None:
        assert jobs.next_round() == []
        write(name, content)
        assert jobs.next_round() == []

    monkeypatch.setattr(jobs, "_write", looked_for_meanwhile)
    job = jobs.submit(request())
    assert jobs.next_round() == [job]


def test_what_was_brought_is_not_kept_longer_than_needed(jobs: Jobs, tmp_path: Path) -> None:
    job = jobs.submit(request("a secret text"))
    assert "a secret text" in _all_text(tmp_path)
    for path in ((tmp_path / "jobs"), *(tmp_path / "jobs").glob("*.[jr]*")):
        assert path.stat().st_mode & 0o077 == 0
    jobs.finish(job)
    assert "a secret text" not in _all_text(tmp_path)


def test_a_folder_that_is_there_is_closed_to_others(tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir(mode=0o755)
    Jobs(tmp_path / "jobs").close()
    assert (tmp_path / "jobs").stat().st_mode & 0o077 == 0


def test_what_a_server_left_behind_waits_for_the_next(tmp_path: Path) -> None:
    first = Jobs(tmp_path)
    job, done = first.submit(request("x", "acme")), first.submit(request())
    first.finish(done)
    first.close()
    # Cut off in the middle of taking one on, of finishing one, of writing a file.
    never = f"{0:014x}-{0:08x}"
    (tmp_path / f"{never}.request").write_text("{}")
    (tmp_path / f"{done.id}.request").write_text("{}")
    (tmp_path / f"{job.id}.job.part").write_text("{")
    second = Jobs(tmp_path)
    assert [each.id for each in second.next_round()] == [job.id]
    assert {each.name for each in tmp_path.iterdir()} == {
        "lock", f"{job.id}.job", f"{job.id}.request", f"{done.id}.job"
    }  # fmt: skip
    second.finish(job)
    assert second.find(job.id) == (job.model_copy(update={"finished": ANY}), "acme")
    with pytest.raises(ConfigError, match="another server"):
        Jobs(tmp_path)
    second.close()


def test_a_disk_that_is_full_refuses_a_job_and_is_not_filled(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.fsync", _full)
    with pytest.raises(Problem, match="cannot be written down") as refused:
        jobs.submit(request())
    assert refused.value.status == 503
    assert [each.name for each in jobs.folder.iterdir()] == ["lock"]
    assert jobs.waiting == 0


def test_a_round_is_bounded(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [jobs.submit(request("x" * 1_000)).id for _ in range(5)]
    monkeypatch.setattr(module, "_ROUND", 3)
    assert [job.id for job in jobs.next_round()] == ids[:3]
    monkeypatch.setattr(module, "_ROUND_BYTES", 2_500)
    assert [job.id for job in jobs.next_round()] == ids[:2]
    monkeypatch.setattr(module, "_ROUND_BYTES", 1)
    assert [job.id for job in jobs.next_round()] == ids[:1]


def test_no_tenant_takes_all_the_room(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_OF_A_TENANT", 2)
    for _ in range(2):
        jobs.submit(request(tenant="acme"))
    with pytest.raises(Problem, match="of yours"):
        jobs.submit(request(tenant="acme"))
    for tenant in ("apex", "", "", ""):
        jobs.submit(request(tenant=tenant))
    monkeypatch.setattr(module, "_MOST_BYTES", 1_500)
    with pytest.raises(Problem, match="too many jobs wait"):
        jobs.submit(request("x" * 1_000))


def test_a_damaged_file_keeps_no_other_job_from_being_done(jobs: Jobs, tmp_path: Path) -> None:
    bad, good = jobs.submit(request()), jobs.submit(request())
    (tmp_path / "jobs" / f"{bad.id}.job").write_text("{", encoding="utf-8")
    (tmp_path / "jobs" / "note.job").write_text("{", encoding="utf-8")
    assert [job.id for job in jobs.next_round()] == [good.id]
    assert (tmp_path / "jobs" / f"{bad.id}.job.bad").is_file()
    assert jobs.find(bad.id) is None
    assert jobs.waiting == 1


def test_too_many_that_wait_are_refused_and_old_ones_forgotten(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_WAITING", 2)
    monkeypatch.setattr(module, "_MOST_KEPT", 1)
    taken = [jobs.submit(request()) for _ in range(2)]
    with pytest.raises(Problem, match="too many jobs"):
        jobs.submit(request())
    for job in taken:
        jobs.finish(job)
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


def _full(_: int) -> None:
    raise OSError(28, "No space left on device")


def _all_text(folder: Path) -> str:
    return "".join(each.read_text() for each in folder.rglob("*") if each.is_file())
