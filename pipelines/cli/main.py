"""The entry point: which commands there are, and what an error becomes."""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Annotated

import typer

from pipelines.cli import (
    adapt,
    attribute,
    config,
    demo,
    doctor,
    evaluate,
    index,
    mcp,
    models,
    query,
    reindex,
    route,
    serve,
    snapshot,
    synth,
)
from rag.errors import RagError

__all__ = ["app", "main"]

app = typer.Typer(
    name="rag",
    help="Answers from private documents: exact citations, few tokens, measured proof.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_COMMANDS = (
    demo, index, reindex, snapshot, query, attribute, synth, adapt, serve, mcp, doctor,
)  # fmt: skip
for group in _COMMANDS:
    group.register(app)
app.add_typer(config.app, name="config")
app.add_typer(models.app, name="models")
app.add_typer(route.app, name="route")
app.add_typer(evaluate.app, name="eval")


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        sys.stdout.write(f"spanrag {version('spanrag')}\n")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Answers from private documents: exact citations, few tokens, measured proof."""


def main() -> None:
    """Run the command line. Every failure is one line, what and how to mend, and an exit code."""
    # OpenMP threads spin while they wait; on a shared machine that starves whoever has work.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    as_json = "--json" in sys.argv
    try:
        code = app(standalone_mode=False)
    except RagError as error:
        if "-v" in sys.argv or "--verbose" in sys.argv:
            traceback.print_exc()
        _fail(error.code, error.message, error.hint, as_json)
        code = error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        _fail("interrupted", "interrupted", "run it again to go on", as_json)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(130)  # an orderly exit would wait for what engines still do in their threads
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:  # noqa: BLE001  the last resort: a line, not a traceback
        code = getattr(error, "exit_code", 1)  # Typer's own usage errors carry 2
        if code == 1 and ("-v" in sys.argv or "--verbose" in sys.argv):
            traceback.print_exc()
        what = _describe(error, code)
        if what[1].startswith("Usage: "):  # a bare `rag` or `rag config`: the help is the answer
            sys.stderr.write(what[1] + "\n")
        else:
            _fail(*what, as_json)
    sys.exit(code or 0)


def _describe(error: Exception, code: int) -> tuple[str, str, str]:
    if code == 2:
        message = getattr(error, "format_message", lambda: str(error))()
        return "usage", message.rstrip("."), "see `rag --help`"
    text = str(error).splitlines()
    message = f"{type(error).__name__}: {text[0] if text else ''}"
    return "unexpected", message, "run it again with -v for the traceback, and report it"


def _fail(code: str, message: str, hint: str, as_json: bool) -> None:
    if as_json:
        error = {"code": code, "message": message, "hint": hint}
        sys.stdout.write(json.dumps({"error": error}, ensure_ascii=False) + "\n")
    sys.stderr.write(f"rag: {message}{f'; {hint}' if hint else ''}\n")
