"""What every command shares: its common options, its settings, and who may write where.

With `--json` stdout carries one JSON object and nothing else; whatever a library prints on the
way goes to stderr, as all progress, logs and warnings do.
"""

from __future__ import annotations

import inspect
import json
import logging
import os
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from pipelines.telemetry import exporting, set_up_logs
from rag.errors import UsageError
from rag.profiles import profile_names

if TYPE_CHECKING:
    from rag.settings import LoadedSettings, Settings

__all__ = ["Run", "command"]

_COMMON: dict[str, Any] = {
    "config": Annotated[
        Path | None, typer.Option("--config", "-c", help="Settings file (default: rag.toml).")
    ],
    "profile": Annotated[
        str | None,
        typer.Option(
            "--profile",
            metavar="NAME|FILE",
            help=f"Settings of a domain, under all others: {', '.join(profile_names())} or a file.",
        ),
    ],
    "overrides": Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one setting.")
    ],
    "where": Annotated[
        Path | None, typer.Option("--where", metavar="DIR", help="Folder of the embedded index.")
    ],
    "as_json": Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")],
    "quiet": Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no warnings.")],
    "verbose": Annotated[bool, typer.Option("--verbose", "-v", help="Logs and tracebacks.")],
    "offline": Annotated[bool, typer.Option("--offline", help="Never ask a model hub.")],
}


# On the network, or full of what is secret (botocore's debug lines hold session tokens).
_CHATTY = tuple("boto3 botocore filelock httpcore httpx markdown_it openai urllib3".split())
_FLAGS = ("as_json", "quiet", "verbose", "offline")


@dataclass(slots=True)
class Run:
    """One invocation: its settings and its two consoles."""

    loaded: LoadedSettings
    as_json: bool
    quiet: bool
    verbose: bool
    out: Console
    err: Console
    result: Any = None
    exit_code: int = 0

    @property
    def settings(self) -> Settings:
        """The resolved settings."""
        return self.loaded.settings

    def warn(self, line: str) -> None:
        """Say on stderr what the user should know and need not mend."""
        if not self.quiet:
            self.err.print(line, markup=False)

    def show(self, payload: Any, human: Callable[[Console], None]) -> None:
        """Print the result: `payload` with `--json`, else what `human` draws."""
        if self.as_json:
            self.result = payload
        else:
            human(self.out)


def command(app: typer.Typer, name: str | None = None) -> Callable[[Callable[..., None]], Any]:
    """Register `function(run, ...)` as a command that also takes the common options."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        common = [
            inspect.Parameter(
                option,
                inspect.Parameter.KEYWORD_ONLY,
                annotation=annotation,
                default=False if option in _FLAGS else None,
            )
            for option, annotation in _COMMON.items()
        ]

        @wraps(function)
        def invoke(**arguments: Any) -> None:
            options = {option: arguments.pop(option) for option in _COMMON}
            run = _prepare(**options)
            try:
                with exporting(run.settings.telemetry):
                    with redirect_stdout(sys.stderr):
                        function(run, **arguments)
                    if run.as_json:
                        sys.stdout.write(json.dumps(run.result, ensure_ascii=False) + "\n")
                        sys.stdout.flush()  # the answer first, then a collector
            except KeyboardInterrupt:  # of which Typer would make an exit without a word
                raise typer.Abort from None
            if run.exit_code:
                raise typer.Exit(run.exit_code)

        keywords = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own]
        parameters = [*keywords, *common]
        invoke.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        invoke.__annotations__ = {each.name: each.annotation for each in parameters}
        del invoke.__wrapped__  # Typer would read its signature
        app.command(name)(invoke)
        return function

    return register


def _prepare(
    *,
    config: Path | None,
    profile: str | None,
    overrides: list[str] | None,
    where: Path | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    offline: bool,
) -> Run:
    from rag.settings import load_settings  # a third of a second that no help should wait for

    values: dict[str, Any] = {}
    for override in overrides or []:
        key, equals, value = override.partition("=")
        if not equals:
            raise UsageError(f"cannot read --set {override}", hint="write it as KEY=VALUE")
        values[key.strip()] = value.strip()
    if where is not None:
        values |= {"store.path": str(where), "store.kind": "edge"}
    if offline:
        values["offline"] = True
    loaded = load_settings(config, values, profile)
    if loaded.settings.offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    level = logging.DEBUG if verbose else logging.ERROR if quiet else logging.WARNING
    set_up_logs(loaded.settings.telemetry, level)
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(logging.WARNING)
    return Run(
        loaded,
        as_json=as_json,
        quiet=quiet,
        verbose=verbose,
        out=Console(
            file=sys.stdout,
            highlight=False,
            markup=False,  # documents are full of [brackets] and :colons:
            emoji=False,
            soft_wrap=not sys.stdout.isatty(),
        ),
        err=Console(stderr=True, highlight=False, emoji=False, soft_wrap=True),
    )
