"""Files that cannot be read cost a line of the report each, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import pypdfium2
import pytest
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas
from tiny_index import open_tiny

from connectors.registry import open_source
from pipelines.ingest import ingest


def no_pages() -> bytes:
    buffer = BytesIO()
    with pypdfium2.PdfDocument.new() as document:
        document.save(buffer)
    return buffer.getvalue()


def pdf(text: str, password: str = "") -> bytes:
    buffer = BytesIO()
    canvas = Canvas(buffer, encrypt=StandardEncryption(password) if password else None)
    canvas.drawString(72, 720, text)
    canvas.save()
    return buffer.getvalue()


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut-short.pdf": (lambda path: path.write_bytes(pdf("whole")[:200]), "damaged PDF"),
    "no-pdf.pdf": (lambda path: path.write_bytes(b"%PDF-1.7 and no more"), "damaged PDF"),
    "no-pages.pdf": (lambda path: path.write_bytes(no_pages()), "PDF has no pages"),
    "blank-page.pdf": (lambda path: path.write_bytes(pdf("")), "neither text nor images"),
    "secret.pdf": (lambda path: path.write_bytes(pdf("secret", "1234")), "password-protected PDF"),
    "rubbish.txt": (lambda path: path.write_bytes(Random(1).randbytes(5000)), "not text"),
    "rubbish.md": (lambda path: path.write_bytes(bytes(range(256)) * 20), "not text"),
    "rubbish.html": (lambda path: path.write_bytes(Random(2).randbytes(5000)), "not text"),
    "empty.txt": (lambda path: path.write_bytes(b""), "empty file"),
    "empty.pdf": (lambda path: path.write_bytes(b""), "empty file"),
    "blank.txt": (lambda path: path.write_text(" \n\t\n "), "nothing but white space"),
    "nowhere.txt": (lambda path: path.symlink_to("nothing-there"), "leads nowhere"),
    "passwords.txt": (lambda path: path.symlink_to("/etc/passwd"), "leaves the folder"),
}
GOOD = {"a-first.txt", "m-middle.pdf", "z-last.md"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    docs = tmp_path_factory.mktemp("bad") / "docs"
    (docs / "folder.txt").mkdir(parents=True)  # no file at all, for all its name
    for name, (make, _) in BAD.items():
        make(docs / name)
    (docs / "a-first.txt").write_text("The first document is good.")
    (docs / "m-middle.pdf").write_bytes(pdf("The middle document is good."))
    (docs / "z-last.md").write_text("The last document is good.")
    return docs


@pytest.fixture(scope="module")
def report(folder: Path) -> Any:
    """What `rag ingest` prints of them."""
    rag = Path(sys.executable).with_name("rag")
    ran = subprocess.run(
        [rag, "ingest", "docs", "--json"], cwd=folder.parent, capture_output=True, text=True
    )
    assert ran.returncode == 4, ran.stderr
    assert "Traceback" not in ran.stderr
    return json.loads(ran.stdout)


def test_every_bad_document_and_no_other_is_one_line_of_the_report(report: Any) -> None:
    sources = [failure["source"] for failure in report["failed"]]
    assert sorted(sources) == sorted(f"docs/{name}" for name in BAD)
    assert [f for f in report["failed"] if len(f["reason"].splitlines()) != 1] == []


@pytest.mark.parametrize("name", BAD)
def test_the_reason_says_what_is_wrong(name: str, report: Any) -> None:
    reasons = {failure["source"]: failure["reason"] for failure in report["failed"]}
    assert BAD[name][1] in reasons[f"docs/{name}"]


def test_all_others_are_ingested(report: Any) -> None:
    assert (report["added"], report["documents"]) == (len(GOOD), len(GOOD))


def test_the_next_run_says_the_same_and_leaves_the_good_ones_alone(
    folder: Path, tmp_path: Path
) -> None:
    with open_tiny(tmp_path / "index") as index:
        first = ingest(index, [open_source(str(folder))])
        second = ingest(index, [open_source(str(folder))], prune=True)
        assert {record.name for record in index.store.documents()} == GOOD
    assert (first.added, second.added, second.unchanged, second.retired) == (3, 0, 3, 0)
    assert second.failed == first.failed


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file, whatever its mode")
def test_a_file_without_read_permission_is_one_line_of_the_report(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/good.txt").write_text("good")
    (tmp_path / "docs/locked.txt").write_text("locked")
    (tmp_path / "docs/locked.txt").chmod(0)
    with open_tiny(tmp_path / "index") as index:
        report = ingest(index, [open_source(str(tmp_path / "docs"))])
    assert report.added == 1
    (failure,) = report.failed
    assert "cannot be read: Permission denied" in failure.reason


def test_a_file_deleted_between_listing_and_reading_is_one_line_of_the_report(
    tmp_path: Path,
) -> None:
    (tmp_path / "docs").mkdir()
    for name in ("good", "brief"):
        (tmp_path / f"docs/{name}.txt").write_text(name)
    connector = open_source(str(tmp_path / "docs"))
    fetch = connector.fetch

    def fetch_late(ref: Any) -> Any:
        (tmp_path / "docs/brief.txt").unlink(missing_ok=True)
        return fetch(ref)

    connector.fetch = fetch_late  # type: ignore[method-assign]
    with open_tiny(tmp_path / "index") as index:
        report = ingest(index, [connector])
    assert report.added == 1
    (failure,) = report.failed
    assert failure.source.endswith("docs/brief.txt")
    assert "cannot be read: No such file or directory" in failure.reason
