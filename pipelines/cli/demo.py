"""`rag demo`: a few fictional documents, three questions, real answers."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.console import Console

from pipelines.cli.query import print_answer
from pipelines.cli.run import Run, command
from pipelines.payloads import answer_to_json

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app)(demo)


def demo(run: Run) -> None:
    """Ingest the sample documents into an index of their own and ask them three questions."""
    from platformdirs import user_cache_path

    import pipelines.demo
    from connectors.registry import open_source
    from pipelines.cli.progress import show_progress
    from pipelines.demo.questions import QUESTIONS
    from pipelines.ingest import ingest
    from pipelines.query import open_engine
    from rag.index import open_index
    from rag.settings import StoreSettings

    documents = Path(pipelines.demo.__file__).parent / "documents"
    settings = run.settings
    if run.loaded.origins.get("store.path") != "command line":
        # Never the user's own; and one for each combination of settings that may not share one.
        path = user_cache_path("spanrag") / f"demo-{settings.hash}"
        settings = settings.model_copy(update={"store": StoreSettings(path=path)})
    with (
        open_index(settings, create=True) as index,
        show_progress(run.err, run.quiet, "documents") as progress,
    ):
        report = ingest(index, [open_source(str(documents))], progress=progress)
    with open_engine(settings) as engine:
        answers = [engine.query(question.text) for question in QUESTIONS]

    def human(console: Console) -> None:
        console.print(
            f"{report.documents} documents, {report.chunks} chunks, {report.tokens:,} tokens "
            f"({report.added} added, {report.unchanged} unchanged, in {report.seconds:.1f} s)"
        )
        for answer in answers:
            console.print()
            console.print(f"> {answer.question}", style="bold")
            console.print()
            print_answer(console, answer)

    run.show({"answers": [answer_to_json(answer) for answer in answers]}, human)
