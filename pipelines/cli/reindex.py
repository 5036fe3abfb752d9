"""`rag reindex`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from pipelines.cli.interrupt import interruptible
from pipelines.cli.run import Run, command
from rag.errors import UsageError

if TYPE_CHECKING:
    from pipelines.reindex import Kept, ReindexReport
    from rag.settings import Settings

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app)(reindex)


def reindex(
    run: Run,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="DIR|NAME|bundled",
            help="A sentence-transformers model, or the bundled one; others by --set embedding...",
        ),
    ] = None,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Serve the vectors that are kept, and keep these.")
    ] = False,
    forget: Annotated[
        bool, typer.Option("--forget", help="Delete the vectors that are kept.")
    ] = False,
) -> None:
    """Embed what the index holds with another model, beside the old vectors; then swap them."""
    if sum((model is not None, rollback, forget)) > 1:
        raise UsageError(
            "--model, --rollback and --forget are three different things", hint="give one of them"
        )
    if rollback:
        _rollback(run)
    elif forget:
        _forget(run)
    else:
        _reindex(run, model)


def _reindex(run: Run, model: str | None) -> None:
    from pipelines.cli.progress import show_progress
    from pipelines.reindex import reindex as run_reindex
    from rag.store import open_store

    settings = _with_model(run.settings, model)
    with (
        show_progress(run.err, run.quiet, "chunks") as progress,
        interruptible() as stop,
        open_store(settings.store) as store,
    ):
        report = run_reindex(store, settings, progress=progress, stop=stop)
    run.show(asdict(report), lambda console: _print(console, report))
    run.exit_code = 130 if report.interrupted else 0
    if report.swapped:
        _warn_of_settings(run, settings.embedding.kind == "llama_index")


def _with_model(settings: Settings, model: str | None) -> Settings:
    if model is None:
        return settings
    from rag.embedding.registry import with_model

    embedding = with_model(settings.embedding, model)
    return settings.model_copy(update={"embedding": embedding})


def _warn_of_settings(run: Run, llama_index: bool) -> None:
    """What is served from now on has to be what the settings name when it is opened.

    Args:
        run: the command.
        llama_index: whether a class made the vectors; auto runs no code that an index names.
    """
    if llama_index:
        run.warn(
            "a class made these vectors, and only settings that name it open them: "
            "embedding.kind = llama_index, embedding.model, and the same embedding.options"
        )
        return
    origin = run.loaded.origins.get("embedding.kind", "command line")
    if origin != "command line" and run.settings.embedding.kind != "auto":
        run.warn(
            f"{origin} sets embedding.kind: set it to auto (and take out embedding.model), or the "
            "index opens only with that embedder"
        )


def _print(console: Console, report: ReindexReport) -> None:
    if report.interrupted:
        console.print(
            f"interrupted: {report.before} is served as before; run it again to begin anew"
        )
        return
    if not report.swapped:
        console.print(f"nothing to do: the index was built with {report.before}")
        return
    console.print(
        f"embedded {report.chunks:,} chunks ({report.tokens:,} tokens) with {report.after} in "
        f"{report.seconds:.1f} s"
    )
    if report.truncated:
        console.print(f"{report.truncated:,} chunks are longer than it reads")
    console.print(
        f"kept {report.before}: `rag reindex --rollback` serves it again, --forget deletes it"
    )


def _rollback(run: Run) -> None:
    from pipelines.reindex import rollback
    from rag.store import open_store

    with open_store(run.settings.store) as store:
        swapped = rollback(store, run.settings)

    def human(console: Console) -> None:
        console.print(f"served  {swapped.served}")
        console.print(f"kept    {swapped.kept}")
        if swapped.differing:
            console.print(
                f"{swapped.differing:,} documents differ between the two: the next `rag ingest` of "
                "their sources brings what is served up to date"
            )

    run.show(_told(swapped), human)
    _warn_of_settings(run, swapped.model.get("kind") == "llama_index")


def _forget(run: Run) -> None:
    from pipelines.reindex import forget
    from rag.store import open_store

    with open_store(run.settings.store) as store:
        gone = forget(store)

    def human(console: Console) -> None:
        console.print(f"deleted {gone.kept}; {gone.served} is served")
        if gone.differing:
            console.print(
                f"{gone.differing:,} documents were not the same in both; what is served is up to "
                "date after the next `rag ingest` of their sources"
            )

    run.show({"served": gone.served, "forgotten": gone.kept, "differing": gone.differing}, human)


def _told(kept: Kept) -> dict[str, Any]:
    return {"served": kept.served, "kept": kept.kept, "differing": kept.differing}
