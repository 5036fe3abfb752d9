"""What is known of jobs while they are done, and the process that does them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Lock
from types import SimpleNamespace
from typing import Any

import pytest

from pipelines.serve import writer as module
from pipelines.serve.clerk import Clerk, _Round
from pipelines.serve.jobs import Brought, Job, Jobs, Request
from pipelines.serve.work import Message, Order
from pipelines.serve.writer import WriterDied, WriterProcess
from rag.errors import StoreAway
from rag.settings import Settings, StoreSettings, TelemetrySettings


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    opened = Jobs(tmp_path / "jobs")
    yield opened
    opened.close()


def submitted(jobs: Jobs, *texts: str) -> list[Job]:
    return [
        jobs.submit(Request(kind="ingest", documents=(Brought(id=text, text=text),)))
        for text in texts
    ]


def kept(jobs: Jobs, job: Job) -> Job:
    found = jobs.find(job.id)
    assert found is not None
    return found[0]


def test_an_attempt_is_on_the_disk_before_the_outcome_is_known(jobs: Jobs) -> None:
    first, second = submitted(jobs, "one", "two")
    round_ = _Round(jobs, [first, second])
    round_.hear(Message(first.id, "state", "running"))
    assert (kept(jobs, first).state, kept(jobs, first).attempts) == ("running", 1)
    round_.hear(Message(first.id, "report", {"added": 1}))
    # Whoever dies now did not die at this one; and its report is true once it is served.
    assert (kept(jobs, first).attempts, kept(jobs, first).report) == (0, None)
    round_.hear(Message(second.id, "state", "running"))
    assert round_.now[first.id].report == {"added": 1}

    round_.put_back(died=True)
    assert [(kept(jobs, each).state, kept(jobs, each).attempts) for each in (first, second)] == [
        ("queued", 0), ("queued", 1)
    ]  # fmt: skip
    round_.put_back(died=False)
    assert kept(jobs, second).attempts == 0


@pytest.mark.parametrize(("no_room", "attempts"), [(True, 0), (False, 1)])
def test_a_full_disk_is_no_jobs_fault(jobs: Jobs, no_room: bool, attempts: int) -> None:
    desk: Any = SimpleNamespace(index=SimpleNamespace(settings=Settings()))
    clerk = Clerk(jobs, desk, lambda _: None)
    (job,) = submitted(jobs, "one")
    round_ = _Round(jobs, [job])
    round_.hear(Message(job.id, "state", "running"))
    died = WriterDied()
    died.no_room = no_room
    with pytest.raises(WriterDied):
        clerk._finish_all(round_, died)
    assert (kept(jobs, job).state, kept(jobs, job).attempts) == ("queued", attempts)


@pytest.fixture
def desk() -> Any:
    return SimpleNamespace(index=SimpleNamespace(settings=Settings()), writing=Lock())


def test_a_round_takes_none_of_the_threads_that_answer(
    jobs: Jobs, desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, enough = Event(), Event()

    def long(_: Clerk) -> bool:
        began.set()
        return enough.wait(30) and False

    async def run() -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        running = asyncio.create_task(Clerk(jobs, desk, lambda _: None).run())
        assert await asyncio.wait_for(asyncio.to_thread(began.wait, 10), 20)
        enough.set()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    monkeypatch.setattr(Clerk, "_round", long)
    asyncio.run(run())


def test_of_several_clerks_one_writes(
    tmp_path: Path, desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_work: list[int] = []
    most: list[int] = []

    def do(_: Clerk, todo: Any) -> None:
        at_work.append(len(todo))
        time.sleep(0.05)
        most.append(len(at_work))
        at_work.pop()

    monkeypatch.setattr(Clerk, "_do", do)
    opened = [Jobs(tmp_path / name, name) for name in ("law", "bank", "zoo")]
    clerks = [Clerk(own, desk, lambda _: None, "x") for own in opened]
    for own in opened:
        submitted(own, "one")
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(Clerk._round, clerks)) == [True] * 3
    assert most == [1, 1, 1]
    for own in opened:
        own.close()


def test_a_stopped_writer_starts_no_more(jobs: Jobs, tmp_path: Path) -> None:
    writer = WriterProcess(TelemetrySettings())
    writer.stop()
    order = Order(Settings(store={"path": tmp_path / "index"}), jobs.folder, [])
    assert isinstance(writer.do(order, lambda _: None), WriterDied)
    assert not (tmp_path / "index").exists()


@pytest.mark.slow
def test_a_writer_is_used_again_and_never_left_running(
    jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, damaged, third = submitted(jobs, "one", "two", "three")
    (jobs.folder / f"{damaged.id}.request").write_text("{")
    settings = Settings(store={"path": tmp_path / "index"})
    writer = WriterProcess(TelemetrySettings())
    told: list[Message] = []
    assert not writer.do(Order(settings, jobs.folder, [first.id, damaged.id]), told.append)
    process = writer._process
    assert process is not None
    outcomes = {each.job_id: each for each in told if each.field in ("report", "error")}
    assert outcomes[first.id].value["added"] == 1
    assert outcomes[damaged.id].value["code"] == "unexpected"
    assert not writer.do(Order(settings, jobs.folder, []), told.append)
    away = settings.model_copy(update={"store": StoreSettings(url="http://127.0.0.1:9")})
    assert isinstance(writer.do(Order(away, jobs.folder, [third.id]), told.append), StoreAway)
    assert writer._process is process  # it lives, and was told of none of it
    assert third.id not in {each.job_id for each in told}

    def full(_: Message) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        writer.do(Order(settings, jobs.folder, [third.id]), full)
    assert not process.is_alive()

    def faulty(_: Message) -> None:
        """What Linux does to who writes through a mapping where the disk is full."""
        assert writer._process is not None
        os.kill(writer._process.pid, signal.SIGBUS)

    died = writer.do(Order(settings, jobs.folder, [third.id]), faulty)
    assert isinstance(died, WriterDied)
    assert died.no_room
    assert "the disk is full" in str(died)
    monkeypatch.setattr(module, "_ORDERS", 1)
    assert not writer.do(Order(settings, jobs.folder, []), told.append)
    assert writer._process is None


@pytest.mark.slow
def test_a_collector_that_never_answers_keeps_no_writer_alive(
    jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (job,) = submitted(jobs, "one")
    settings = Settings(store={"path": tmp_path / "index"}, telemetry={"traces": "otlp"})
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        writer = WriterProcess(settings.telemetry)
        told: list[Message] = []
        assert not writer.do(Order(settings, jobs.folder, [job.id]), told.append)
        assert told[-1].value["added"] == 1
        process = writer._process
        assert process is not None
        writer.stop()
        assert process.is_alive()  # it is not at work, and has a span to tell of
        writer.close()
        assert not process.is_alive()
        silent.accept()[0].close()  # it tried
