"""`rag mcp`, asked by the official client: over its own index, and through a server."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from connectors.registry import open_source
from pipelines.ingest import ingest
from rag.index import open_index
from rag.settings import Settings

sys.path.insert(0, str(Path(__file__).parent))
from serving import KEYS, TABLE, serving

mcp = pytest.importorskip("mcp", reason="the mcp extra is not installed")

TEXT = "The harbour office of Varde recorded 412 arrivals in May."
ASKED = "How many arrivals did the harbour office of Varde record?"


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mcp")
    (folder / "varde.txt").write_text(TEXT, encoding="utf-8")
    with open_index(Settings(store={"path": folder / "index"}), create=True) as index:
        ingest(index, [open_source(str(folder / "varde.txt"))])
    return folder / "index"


async def _used(arguments: list[str], key: str = "") -> tuple[Any, ...]:
    """The tools, what both find, and what a bad filter comes to."""
    rag = Path(sys.executable).with_name("rag")
    environment = dict(os.environ) | ({"RAG_CLIENT__API_KEY": key} if key else {})
    started = mcp.StdioServerParameters(command=str(rag), args=["mcp", *arguments], env=environment)
    async with mcp.Client(mcp.stdio_client(started)) as client:
        tools = await client.list_tools()
        found = await client.call_tool("search", {"question": ASKED})
        answer = await client.call_tool("query", {"question": ASKED})
        bad = await client.call_tool("search", {"question": ASKED, "filters": ["nonsense"]})
    return tools, found, answer, bad


def _check(tools: Any, found: Any, answer: Any, bad: Any) -> None:
    assert {tool.name for tool in tools.tools} == {"search", "query"}
    assert all(tool.annotations.read_only_hint for tool in tools.tools)
    (hit,) = found.structured_content["hits"]
    assert hit["text"] == TEXT[hit["start"] : hit["end"]]
    (citation,) = answer.structured_content["citations"]
    assert citation["quote"] == TEXT
    assert bad.is_error
    assert "cannot read the filter" in bad.content[0].text


def test_a_model_can_ask_an_index(where: Path) -> None:
    _check(*asyncio.run(_used(["--where", str(where)])))


def test_a_model_can_ask_a_server(where: Path) -> None:
    with serving(where, api_keys=TABLE) as base:
        _check(*asyncio.run(_used(["--server", base], KEYS["reader"])))
