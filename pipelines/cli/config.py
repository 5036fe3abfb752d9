"""`rag config show` and `rag config check`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.table import Table

from pipelines.cli.run import Run, command

if TYPE_CHECKING:  # slow, and `rag --help` needs none of it
    from pydantic import BaseModel

__all__ = ["app"]

_MASK = "********"

app = typer.Typer(help="Settings: what they are and where they come from.", no_args_is_help=True)


@command(app)
def show(run: Run) -> None:
    """Every setting, its value and its origin; secrets are masked."""
    rows = [
        (key, value, run.loaded.origins.get(key, "default")) for key, value in _rows(run.settings)
    ]

    def human(console: Console) -> None:
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("setting", no_wrap=True)
        table.add_column("value", overflow="fold")
        table.add_column("origin", overflow="fold", min_width=30)  # a long value leaves it room
        for key, value, origin in rows:
            table.add_row(key, str(value), origin)
        console.print(table)

    settings = {key: {"value": value, "origin": origin} for key, value, origin in rows}
    run.show({"settings": settings, "hash": run.settings.hash}, human)


@command(app)
def check(run: Run) -> None:
    """Read the settings and say whether they hold together."""
    run.show({"ok": True}, lambda console: console.print("the settings are valid"))


def _rows(group: BaseModel, prefix: str = "") -> list[tuple[str, Any]]:
    from pydantic import BaseModel, SecretStr

    rows: list[tuple[str, Any]] = []
    for name in type(group).model_fields:
        value = getattr(group, name)
        if isinstance(value, BaseModel):
            rows += _rows(value, f"{prefix}{name}.")
        elif isinstance(value, SecretStr):
            rows.append((f"{prefix}{name}", _MASK if value.get_secret_value() else ""))
        else:
            rows.append((f"{prefix}{name}", _shown(value)))
    return rows


def _shown(value: Any) -> Any:
    """A value as JSON can hold it; what an option calls a key or a password is masked."""
    from rag.settings import SECRET_OPTION

    if isinstance(value, dict):
        return {key: _MASK if SECRET_OPTION.search(key) else each for key, each in value.items()}
    if isinstance(value, tuple):
        return list(value)
    return value if isinstance(value, (str, int, float)) else str(value or "")
