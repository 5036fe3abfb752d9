"""`rag ingest` and `rag status`."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from pipelines.cli.interrupt import interruptible
from pipelines.cli.remote import Server, remote, server_of
from pipelines.cli.run import Run, command
from rag.errors import UsageError

if TYPE_CHECKING:  # the command line answers `--help` before any of this is read
    from connectors.base import Connector
    from pipelines.ingest import IngestReport
    from rag.settings import ClientSettings

__all__ = ["register"]


class Engine(StrEnum):
    """Where the stages of an ingest run."""

    local = "local"
    ray = "ray"


Sources = Annotated[
    list[str],
    typer.Argument(metavar="SOURCE...", help="Folder, file, glob, or scheme:place, see docs."),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app)(ingest)
    command(app)(status)


def ingest(
    run: Run,
    sources: Sources,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan; write nothing.")
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Retire documents that are gone from the source.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Prune however much is gone.")] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, help="Threads that fetch and parse ahead.")
    ] = None,
    engine: Annotated[
        Engine, typer.Option(help="local: this process; ray: a cluster, see docs/scale.md.")
    ] = Engine.local,
    server: Server = None,
    route: Annotated[
        str, typer.Option(metavar="NAME", help="Of a --server with routes: whose index.")
    ] = "",
) -> None:
    """Make the index hold what the sources hold. Run again to resume, or after any change."""
    from pipelines.ingest import ingest as run_ingest
    from pipelines.ingest import list_all
    from pipelines.sources import connect
    from rag.index import open_index

    there = server_of(run, server)
    if there:
        if dry_run or workers is not None or engine is Engine.ray:
            raise UsageError(
                "--server knows neither --dry-run nor --workers nor --engine", hint="leave it out"
            )
        body = {"sources": _whole(sources), "prune": prune}
        # An older server knows no routes.
        _ingest_there(run, there, body | ({"route": route} if route else {}))
        return
    if route:
        raise UsageError("--route is for a server with routes", hint="name it with --server")
    settings = run.settings
    if workers is not None:
        more = settings.ingest.model_copy(update={"workers": workers})
        settings = settings.model_copy(update={"ingest": more})
    connectors = [connect(source, settings) for source in sources]
    if dry_run:
        _dry_run(run, connectors, prune, yes)
        return
    from pipelines.cli.progress import show_progress

    listings = list_all(connectors)  # a source that is not there must not leave an empty index
    with (
        show_progress(run.err, run.quiet, "documents") as progress,
        interruptible() as stop,
    ):
        how: dict[str, Any] = {
            "listings": listings,
            "prune": prune,
            "yes": yes,
            "progress": progress,
            "stop": stop,
        }
        if engine is Engine.ray:
            from pipelines.distributed import ingest_distributed

            report = ingest_distributed(settings, sources, **how)
        else:
            with open_index(settings, create=True) as index:
                report = run_ingest(index, connectors, **how)
    run.show(asdict(report), lambda console: _print_report(console, report))
    run.exit_code = 130 if report.interrupted else 4 if report.failed else 0


def _whole(sources: list[str]) -> list[str]:
    """A folder is one for the server, wherever that was started."""
    return [str(Path(each).resolve()) if Path(each).exists() else each for each in sources]


def _ingest_there(run: Run, there: ClientSettings, body: dict[str, Any]) -> None:
    """Have a server ingest what lies at these places, as it sees them."""
    from pipelines.cli.progress import show_progress
    from pipelines.ingest import Failure, IngestReport

    with remote(there) as serving, show_progress(run.err, run.quiet, "documents") as progress:
        told = serving.ingest(body, progress)
    report = IngestReport(**told | {"failed": [Failure(**each) for each in told["failed"]]})
    run.show(told, lambda console: _print_report(console, report))
    run.exit_code = 4 if report.failed else 0


def _dry_run(run: Run, connectors: list[Connector], prune: bool, yes: bool) -> None:
    from pipelines.ingest import list_all, plan_all
    from pipelines.sync import guard_prune
    from rag.errors import IndexMissing
    from rag.index import open_index

    listings = list_all(connectors)
    try:
        with open_index(run.settings) as index:
            plans = [planned for _, planned in plan_all(listings, index.store.documents)]
    except IndexMissing:  # planning must not make one
        plans = [planned for _, planned in plan_all(listings, lambda namespace: ())]
    if prune and not yes:  # what a real run would refuse, a dry one refuses too
        for planned in plans:
            guard_prune(planned, run.settings.ingest.max_delete_fraction)
    lines = [line for planned in plans for line in planned.lines(prune=prune)]
    unchanged = sum(len(planned.unchanged) for planned in plans)

    def human(console: Console) -> None:
        for line in lines:
            console.print(line)
        console.print(f"{len(lines)} to do, {unchanged} unchanged; nothing was written")

    run.show({"plan": lines, "unchanged": unchanged}, human)
    run.exit_code = 4 if any(planned.unlisted for planned in plans) else 0


def _print_report(console: Console, report: IngestReport) -> None:
    for failure in report.failed:
        console.print(f"failed  {failure.source}: {failure.reason}")
    console.print(
        f"added {report.added}, replaced {report.replaced}, linked {report.linked}, unchanged "
        f"{report.unchanged}, retired {report.retired}, failed {len(report.failed)} in "
        f"{report.seconds:.1f} s"
    )
    console.print(
        f"the index holds {report.documents:,} documents, {report.chunks:,} chunks, "
        f"{report.tokens:,} tokens"
    )
    if report.vanished:
        console.print(f"{report.vanished} documents are gone from the source; --prune retires them")
    if report.truncated:
        console.print(f"{report.truncated} chunks are longer than the embedder reads")
    if report.interrupted:
        console.print("interrupted; run it again to go on")


def status(run: Run) -> None:
    """What the index holds, and what it was built with."""
    from pipelines.reindex import kept_beside
    from rag.store import open_store

    with open_store(run.settings.store) as store:
        kept = kept_beside(store)
        manifest = store.manifest()
        records = list(store.documents())
        chunks = store.count()
    live = [record for record in records if record.live]
    store_settings = run.settings.store
    where = str(store_settings.path) if store_settings.kind == "edge" else store_settings.url
    payload = {
        "index": where,
        "documents": len(live),
        "chunks": chunks,
        "tokens": sum(record.tokens for record in live),
        "unfinished": len(records) - len(live),
        "namespaces": dict(Counter(record.namespace for record in live)),
        "manifest": manifest.to_payload(),
        "kept": {"embedder": kept.kept, "differing": kept.differing} if kept else None,
    }

    def human(console: Console) -> None:
        console.print(f"index       {where}")
        for key in ("documents", "chunks", "tokens"):
            console.print(f"{key:11} {payload[key]:,}")
        if payload["unfinished"]:
            console.print(f"unfinished  {payload['unfinished']} (the next ingest cleans up)")
        for key, value in manifest.to_payload().items():
            console.print(f"{key:13} {value['model'] if key == 'model' else value}")
        if kept:
            console.print(f"kept          {kept.kept} (`rag reindex --rollback` or --forget)")

    run.show(payload, human)
