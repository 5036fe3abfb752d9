"""`rag reindex`."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

MOCK = "llama_index.core:MockEmbedding"


def mock(dimension: int) -> tuple[str, ...]:
    """An embedder that costs nothing."""
    values = ("kind=llama_index", f"model={MOCK}", f"options.embed_dim={dimension}")
    return tuple(word for value in values for word in ("--set", f"embedding.{value}"))


def test_another_embedder_is_swapped_in_and_out_and_no_setting_has_to_follow(
    rag, tmp_path: Path
) -> None:
    (tmp_path / "owl.txt").write_text("The barn owl hunts voles at dusk.\n")
    assert rag("ingest", "owl.txt", *mock(8)).code == 0
    (tmp_path / "owl.txt").unlink()  # no source is read

    report = rag("reindex", *mock(4), "--json").json
    assert (report["swapped"], report["interrupted"]) == (True, False)
    assert (report["chunks"], report["links"], report["truncated"]) == (1, 0, 0)
    assert report["before"] != report["after"]
    status = rag("status", "--json").json
    assert status["manifest"]["embedder"] == report["after"]
    assert status["manifest"]["model"] == {"kind": "llama_index", "model": MOCK}
    assert status["kept"] == {"embedder": report["before"], "differing": 0}

    refused = rag("search", "owl", "--json")  # no code that an index names is run
    assert (refused.code, refused.error["code"]) == (3, "config")
    assert f"built with the class {MOCK}" in refused.error["message"]
    found = rag("query", "What does the barn owl hunt?", "--json", *mock(4))
    assert (found.code, "voles" in found.stdout) == (0, True)
    back = rag("reindex", "--rollback")
    assert back.stdout == f"served  {report['before']}\nkept    {report['after']}\n"
    assert "only settings that name it open them" in back.stderr
    assert f"kept          {report['after']} " in rag("status").stdout
    gone = rag("reindex", "--forget", "--json").json
    assert gone == {"served": report["before"], "forgotten": report["after"], "differing": 0}
    again = rag("reindex", *mock(8)).stdout
    assert again == f"nothing to do: the index was built with {report['before']}\n"


def test_what_cannot_be_done_is_said(rag) -> None:
    ran = rag("reindex", "--rollback", "--forget", "--json")
    assert (ran.code, ran.error["code"]) == (2, "usage")
    ran = rag("reindex", "--model", "bundled", "--json")
    assert (ran.code, ran.error["code"]) == (5, "index_missing")
    ran = rag("reindex", "--model", "", "--json")
    assert (ran.code, ran.error["code"]) == (2, "usage")


def test_a_file_that_names_the_old_embedder_is_pointed_out(rag, tmp_path: Path) -> None:
    (tmp_path / "owl.txt").write_text("The barn owl hunts voles at dusk.\n")
    (tmp_path / "rag.toml").write_text(
        '[embedding]\nkind = "llama_index"\nmodel = "llama_index.core:MockEmbedding"\n'
        "options = {embed_dim = 8}\n"
    )
    assert rag("ingest", "owl.txt").code == 0
    ran = rag("reindex", "--model", "bundled")
    assert ran.code == 0
    assert "rag.toml sets embedding.kind: set it to auto" in ran.stderr
    ran = rag("search", "owl", "--json")
    assert (ran.code, ran.error["code"]) == (3, "index_mismatch")
    assert "embedding.kind = auto" in ran.error["hint"]


@pytest.mark.slow
def test_an_interrupted_reindex_ends_cleanly_and_the_old_vectors_are_served(
    start_rag, rag, tmp_path: Path
) -> None:
    (tmp_path / "docs").mkdir()
    for number in range(150):
        text = " ".join(f"Report {number} has a sentence {n} of its own." for n in range(20))
        (tmp_path / f"docs/{number:03}.txt").write_text(text)
    before = rag("ingest", "docs", *mock(8), "--json").json
    process = start_rag(
        "reindex", "--model", "bundled", "--json", "--set", "ingest.window_tokens=256"
    )
    give_up = time.monotonic() + 120
    while not list((tmp_path / ".spanrag").glob("reindex-*/edge_config.json")):
        assert time.monotonic() < give_up
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 130, stderr
    report = json.loads(stdout)
    assert (report["swapped"], report["interrupted"]) == (False, True)
    assert report["chunks"] < before["chunks"]
    status = rag("status", "--json").json
    assert (status["chunks"], status["kept"]) == (before["chunks"], None)
    assert not list((tmp_path / ".spanrag").glob("reindex-*"))
