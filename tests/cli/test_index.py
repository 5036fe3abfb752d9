"""`rag ingest`, `rag status`, `rag doctor`."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rag.manifest import IndexManifest
from rag.store.edge import EdgeStore

MANIFEST = IndexManifest("model:1", 4, "bm25:english", "sentences:model:200/0", 32)


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.txt").write_text("A sentence about apples.")
    return tmp_path / "docs"


def files(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def test_ingest_prints_its_report(library) -> None:
    report = library.ingested.json
    wanted = {"added": 3, "replaced": 0, "unchanged": 0, "retired": 0, "documents": 3}
    assert report.items() >= wanted.items()
    assert report["chunks"] == 3
    assert report["tokens"] > 30
    assert report["seconds"] > 0
    assert [type(report[key]) for key in ("chunks", "tokens", "seconds")] == [int, int, float]


def test_a_failed_document_is_reported_with_its_reason_and_the_exit_code_is_4(library) -> None:
    (failure,) = library.ingested.json["failed"]
    assert set(failure) == {"source", "reason"}
    assert failure["source"] == "docs/broken.pdf"
    assert "damaged PDF" in failure["reason"]
    assert library.ingested.code == 4


def test_status_says_what_the_index_holds(library) -> None:
    status, report = library.rag("status", "--json"), library.ingested.json
    assert status.code == 0
    for key in ("documents", "chunks", "tokens"):
        assert status.json[key] == report[key]
    assert (status.json["unfinished"], status.json["namespaces"]) == (0, {"file": 3})
    assert status.json["manifest"]["embedder"].startswith("all-MiniLM-L6-v2:")


def test_a_dry_run_prints_the_plan_and_makes_not_even_a_folder(rag, docs: Path) -> None:
    before = files(docs.parent)
    ran = rag("ingest", "docs", "--dry-run", "--json")
    assert (ran.code, ran.json) == (0, {"plan": ["add    docs/a.txt"], "unchanged": 0})
    assert files(docs.parent) == before


def test_a_dry_run_over_an_index_leaves_it_as_it_is(library) -> None:
    status = library.rag("status", "--json").json
    ran = library.rag("ingest", "docs/birds", "docs/otter.txt", "--dry-run", "--prune", "--json")
    assert ran.code == 0
    # A narrower source names these documents otherwise; nothing else is known to be new.
    assert ran.json["plan"] == ["check  docs/birds/heron.pdf"]
    assert ran.json["unchanged"] == 1
    assert library.rag("status", "--json").json == status


def test_a_missing_source_is_a_usage_error_and_makes_no_index(rag, tmp_path: Path) -> None:
    ran = rag("ingest", "nowhere", "--json")
    assert (ran.code, ran.error["code"]) == (2, "usage")
    assert "nowhere" in ran.error["message"]
    assert files(tmp_path) == set()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ingest", "--json"], "SOURCE"),
        (["ingest", "docs", "--nonsense", "--json"], "--nonsense"),
        (["ingest", "", "--json"], "empty source"),
        (["ingest", "sftp://host/docs", "--json"], "sftp"),
        (["digest", "--json"], "digest"),
    ],
)
def test_a_wrong_call_is_a_usage_error(rag, arguments: list[str], said: str) -> None:
    ran = rag(*arguments)
    assert (ran.code, ran.error["code"]) == (2, "usage")
    assert said in ran.error["message"]


def test_no_index_is_a_store_error_that_says_how_to_make_one(rag) -> None:
    ran = rag("status", "--where", "nowhere", "--json")
    assert (ran.code, ran.error["code"]) == (5, "index_missing")
    assert "nowhere" in ran.error["message"]
    assert "rag ingest" in ran.error["hint"]


def test_an_index_that_another_process_has_open_is_locked(rag, tmp_path: Path) -> None:
    with EdgeStore.open(tmp_path / "mine", MANIFEST):
        ran = rag("status", "--where", "mine", "--json")
    assert (ran.code, ran.error["code"]) == (5, "store_locked")
    assert rag("status", "--where", "mine", "--json").code == 0


def test_the_index_is_where_the_option_or_the_environment_says(rag, tmp_path: Path) -> None:
    for name in ("option", "environment"):
        EdgeStore.open(tmp_path / name, MANIFEST).close()
    env = {"RAG_STORE__PATH": "environment"}
    assert rag("status", "--json", env=env).json["index"] == "environment"
    assert rag("status", "--json", "--where", "option", env=env).json["index"] == "option"
    ran = rag("status", "--json", "--set", "store.path=option", env=env)
    assert ran.json["index"] == "option"


def test_an_index_of_other_settings_is_refused_and_both_sides_are_named(
    rag, tmp_path: Path
) -> None:
    EdgeStore.open(tmp_path / "other", MANIFEST).close()
    ran = rag("search", "otters", "--where", "other", "--json")
    assert (ran.code, ran.error["code"]) == (3, "index_mismatch")
    assert "sentences:model:200/0" in ran.error["message"]
    assert "sentences:all-MiniLM-L6-v2:200/0" in ran.error["message"]
    assert "--where" in ran.error["hint"]


def test_what_was_ingested_with_a_profile_is_asked_with_it(rag, tmp_path: Path) -> None:
    (tmp_path / "owl.txt").write_text("The barn owl hunts voles at dusk.\n")
    (tmp_path / "small.toml").write_text("[chunking]\nsize = 100\n")
    query = ("query", "What does the barn owl hunt?", "--json")
    assert rag("ingest", "owl.txt", "--profile", "small.toml").code == 0
    ran = rag(*query)
    assert (ran.code, ran.error["code"]) == (3, "index_mismatch")
    assert "--profile NAME" in ran.error["hint"]
    assert 'profile = "NAME" in rag.toml' in ran.error["hint"]
    assert rag(*query, "--profile", "small.toml").code == 0
    (tmp_path / "rag.toml").write_text('profile = "small.toml"\n')
    assert rag(*query).code == 0


def test_without_json_an_error_is_one_line_on_stderr(rag) -> None:
    ran = rag("status")
    assert (ran.code, ran.stdout) == (5, "")
    (line,) = ran.stderr.splitlines()
    assert line.startswith("rag: no index at .spanrag; ")


def test_doctor_finds_this_installation_whole(library) -> None:
    ran = library.rag("doctor", "--json")
    assert ran.code == 0, ran.stdout
    found = {check["subject"]: check for check in ran.json["checks"]}
    assert {check["state"] for check in found.values()} <= {"ok", "note"}
    assert found["index"] == {"state": "ok", "subject": "index", "finding": "3 documents, 3 chunks"}


@pytest.mark.slow
def test_an_interrupted_ingest_ends_cleanly_and_the_next_one_goes_on(
    start_rag, rag, tmp_path: Path
) -> None:
    (tmp_path / "docs").mkdir()
    for number in range(120):
        text = " ".join(f"Report {number} has a sentence {n} of its own." for n in range(20))
        (tmp_path / f"docs/{number:03}.txt").write_text(text)
    process = start_rag("ingest", "docs", "--json", "--set", "ingest.window_tokens=256")
    # When the index is there, the run has begun; what comes next is loading the model.
    wait_for(lambda: (tmp_path / ".spanrag/edge_config.json").is_file())
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 130, stderr
    report = json.loads(stdout)
    assert report["interrupted"]
    assert report["failed"] == []
    assert 0 < report["added"] == report["documents"] < 120
    again = rag("ingest", "docs", "--json")
    assert again.code == 0
    assert again.json["added"] == 120 - report["added"]
    assert (again.json["unchanged"], again.json["documents"]) == (report["added"], 120)


def wait_for(happened: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 120
    while not happened():
        assert time.monotonic() < give_up
        time.sleep(0.02)
