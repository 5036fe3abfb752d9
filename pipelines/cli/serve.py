"""`rag serve`."""

from __future__ import annotations

import logging
from typing import Annotated, Any

import typer

from pipelines.cli.question import RoutesFile
from pipelines.cli.run import Run, command
from rag.errors import ExtraMissing

__all__ = ["register"]

_KEPT = 75  # seconds; longer than a proxy's 60, which would send on a line that is being closed


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app)(serve)


def serve(
    run: Run,
    host: Annotated[str | None, typer.Option(help="Address to listen at.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="0: any that is free.")
    ] = None,
    routes: RoutesFile = None,
) -> None:
    """Answer questions over HTTP, until it is interrupted."""
    try:
        import uvicorn

        from pipelines.serve.app import create_app, require_safe
        from pipelines.serve.listening import listening
    except ImportError as error:
        raise ExtraMissing(error.name or "fastapi", "serve") from None
    from pipelines.query import open_parts

    given: dict[str, Any] = {"host": host, "port": port}
    serving = run.settings.serve.model_copy(
        update={name: value for name, value in given.items() if value is not None}
    )
    settings = run.settings.model_copy(update={"serve": serving})
    require_safe(serving)
    line = listening(serving.host, serving.port)
    if not run.quiet:
        logging.getLogger("spanrag.access").setLevel(logging.INFO)
    app = create_app(*open_parts(settings, routes, create=True))
    name, at = line.getsockname()[:2]
    run.err.print(f"listening at http://{f'[{name}]' if ':' in name else name}:{at}")
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEPT,
        timeout_graceful_shutdown=10,
    )
    uvicorn.Server(config).run([line])
