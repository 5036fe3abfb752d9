"""What every test may rely on: no hub, no stray settings, and the data where there is any."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = REPOSITORY.parent / "shared"

# Derandomised: a failure on one machine is a failure on all of them.
settings.register_profile("spanrag", derandomize=True, deadline=None)
settings.load_profile("spanrag")


@pytest.fixture(autouse=True)
def _no_stray_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = ("QDRANT_URL", "QDRANT_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_KEY")
    for variable in list(os.environ):
        if variable.startswith("RAG_") or variable in foreign:
            monkeypatch.delenv(variable)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The evaluation data beside the repository; absent in a user's clone."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared beside this clone: its corpora are not part of the repository")
    return SHARED
