"""`rag serve` under requests that are made up from its own OpenAPI document.

What is checked, and what is not and why, stands in schemathesis.toml. SPANRAG_FUZZ is how many
requests are made up for each operation, SPANRAG_FUZZ_SEED with which seed; for long runs pytest
needs `-o timeout=0`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from serving import KEYS, TABLE, serving
from tenants import MARKS, indexed

pytest.importorskip("schemathesis", reason="the dev extra is not installed")

EXAMPLES = os.environ.get("SPANRAG_FUZZ", "6")
SEED = os.environ.get("SPANRAG_FUZZ_SEED", "1")
# Nobody is asked for a key.
WITHOUT_KEYS = (
    "--exclude-checks", "ignored_auth,missing_required_header",
    "--generation-with-security-parameters", "false",
)  # fmt: skip


def tried(base: str, where: Path, *options: str) -> dict[str, Any]:
    """What became of a run in a folder, which has its `responses.har`."""
    ran = subprocess.run(
        [Path(sys.executable).with_name("st"), "--no-color",
         "--config-file", Path(__file__).with_name("schemathesis.toml"),
         "run", f"{base}/openapi.json", "--seed", SEED, "--max-examples", EXAMPLES,
         "--report", "json,har", "--report-json-path", "report.json",
         "--report-har-path", "responses.har", *options],
        capture_output=True, text=True, check=False, cwd=where,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    report: dict[str, Any] = json.loads((where / "report.json").read_text(encoding="utf-8"))
    return report


@pytest.mark.slow
def test_no_request_of_a_tenant_breaks_the_document_or_shows_anothers(tmp_path: Path) -> None:
    where = indexed(tmp_path / "index")
    with serving(where, api_keys=TABLE, requests_per_minute=0) as base:
        key = f"Authorization: Bearer {KEYS['acme-writer']}"
        report = tried(base, tmp_path, "--header", key)
    assert report["operations"]["tested"] == report["operations"]["total"] > 10
    for label, phases in report["valid_rates"].items():
        if label.startswith("POST "):  # or else it got no further than to be refused
            assert any(rate["accepted"] for rate in phases.values()), label
    entries = json.loads((tmp_path / "responses.har").read_text(encoding="utf-8"))["log"]["entries"]
    assert len(entries) >= report["test_cases"]["generated"]
    told = json.dumps([entry["response"] for entry in entries], ensure_ascii=False)
    assert "4,120 valves" in told
    assert [mark for mark in MARKS if mark in told] == []


@pytest.mark.slow
def test_no_request_breaks_the_document_without_keys(tmp_path: Path) -> None:
    with serving(tmp_path / "index", requests_per_minute=0) as base:
        report = tried(base, tmp_path, *WITHOUT_KEYS, "--phases", "examples,fuzzing")
    assert report["test_cases"]["generated"] > 2 * report["operations"]["total"]
