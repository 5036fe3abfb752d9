"""The pinned versions: those that are tested here, and none that the oldest Python would refuse."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

# A newer one may do without some, or need others.
pytestmark = pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="pinned on Python 3.11")

ROOT = Path(__file__).parents[2]
PINNED = re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)


@pytest.mark.parametrize(("name", "version"), PINNED, ids=[name for name, _ in PINNED])
def test_what_is_pinned_is_tested_and_runs_on_the_oldest_python(name: str, version: str) -> None:
    found = distribution(name)
    assert Version(found.version).public == version
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (oldest,) = SpecifierSet(project["requires-python"])
    assert SpecifierSet(found.metadata.get("Requires-Python", "")).contains(f"{oldest.version}.0")
