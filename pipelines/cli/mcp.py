"""`rag mcp`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from pipelines.cli.question import RoutesFile
from pipelines.cli.remote import Server, remote, server_of
from pipelines.cli.run import Run, command
from rag.errors import ExtraMissing, UsageError

if TYPE_CHECKING:
    from pipelines.serve.mcp import Ask

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app)(mcp)


def mcp(run: Run, routes: RoutesFile = None, server: Server = None) -> None:
    """Offer search and query to a model, over stdin and stdout (Model Context Protocol)."""
    try:
        from pipelines.serve.mcp import mcp_server
    except ImportError as error:
        raise ExtraMissing(error.name or "mcp", "mcp") from None
    there = server_of(run, server)
    if there and routes is not None:
        raise UsageError("--server does not know --routes", hint="leave it out")
    with _remote(there) if there else _here(run, routes) as asks, redirect_stdout(sys.__stdout__):
        mcp_server(*asks).run("stdio")


@contextmanager
def _remote(there: Any) -> Iterator[tuple[Ask, Ask]]:
    with remote(there) as serving:
        yield serving.search, serving.query


@contextmanager
def _here(run: Run, routes: Path | None) -> Iterator[tuple[Ask, Ask]]:
    from pipelines.payloads import answer_to_json, hit_to_json
    from pipelines.query import open_parts
    from rag.engine import QueryEngine, look_up
    from rag.store import parse_condition

    index, generator = open_parts(run.settings, routes)
    with index:
        engine = QueryEngine(index, generator)

        def search(body: dict[str, Any]) -> dict[str, Any]:
            conditions = [parse_condition(each) for each in body["filters"]]
            question, top_k = body["question"], body["top_k"]
            looked = look_up(index, question, top_k=top_k, conditions=conditions)
            hits = [hit_to_json(each.chunk, each.score) for each in looked.hits]
            found: dict[str, Any] = {"question": question, "hits": hits}
            if looked.searched:
                found |= {"searched": list(looked.searched), "degraded": looked.degraded}
            return found

        def query(body: dict[str, Any]) -> dict[str, Any]:
            conditions = [parse_condition(each) for each in body["filters"]]
            return answer_to_json(engine.query(body["question"], conditions=conditions))

        yield search, query
