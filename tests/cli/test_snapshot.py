"""`rag snapshot`."""

from __future__ import annotations

from pathlib import Path


def test_a_snapshot_fills_another_index(library, tmp_path: Path) -> None:
    file, other = str(tmp_path / "library.gz"), str(tmp_path / "index")
    taken = library.rag("snapshot", file)
    chunks = library.ingested.json["chunks"]
    assert taken.stdout.startswith(f"wrote {chunks} chunks and 0 links of copies to {file} in ")

    restored = library.rag("snapshot", file, "--restore", "--where", other, "--json").json
    assert (restored["chunks"], restored["links"], restored["kept"]) == (chunks, 0, False)
    here = library.rag("search", "What does an otter eat?", "--json")
    assert here.stdout
    assert library.rag("search", "What does an otter eat?", "--where", other, "--json") == here

    again = library.rag("snapshot", file, "--restore", "--where", other)
    assert "kept what was served before: `rag reindex --rollback`" in again.stdout


def test_what_cannot_be_done_is_said(rag, tmp_path: Path) -> None:
    ran = rag("snapshot", "owl.gz", "--json")
    assert (ran.code, ran.error["code"]) == (5, "index_missing")
    ran = rag("snapshot", "owl.gz", "--restore", "--json")
    assert (ran.code, ran.error["code"]) == (2, "usage")
    assert not (tmp_path / ".spanrag").exists()
