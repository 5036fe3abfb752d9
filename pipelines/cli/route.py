"""`rag route fit` and `rag route ask`: which of several indexes a question goes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from pipelines.cli.documents import plain
from pipelines.cli.question import Question, read_question
from pipelines.cli.run import Run, command
from rag.errors import UsageError

if TYPE_CHECKING:  # the command line answers `--help` before any of this is read
    from pipelines.route import FittedRoutes
    from rag.routing import Routing
    from rag.routing.routed import Found

__all__ = ["app", "looked_to_json"]

app = typer.Typer(help="Several indexes, and which a question goes to.", no_args_is_help=True)


@command(app)
def fit(
    run: Run,
    indexes: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME=INDEX...", help="A name, and the folder (or collection) of its index."
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="Where to write the routes.")
    ] = Path("routes.json"),
    coverage: Annotated[
        float,
        typer.Option(
            "--coverage", min=0.01, max=1, help="Search routes until they are this probable."
        ),
    ] = 0.9,
    most: Annotated[int, typer.Option("--most", min=1, help="Routes searched, at most.")] = 3,
    texts: Annotated[
        int, typer.Option("--texts", min=8, help="Sentences of each index to learn from, at most.")
    ] = 2_000,
) -> None:
    """Learn from the texts of several indexes which of them a question goes to."""
    from eval.files import require_writable
    from pipelines.cli.progress import show_progress
    from pipelines.route import fit_routes

    named = _named(indexes)
    require_writable(out)
    with show_progress(run.err, run.quiet, "sentences") as progress:
        fitted = fit_routes(
            run.settings, named, coverage=coverage, most=most, texts=texts, progress=progress
        )
    fitted.routes.write(out)
    run.show(_payload(fitted, out), lambda console: _print_fitted(console, fitted, out))


@command(app)
def ask(
    run: Run,
    routes: Annotated[Path, typer.Argument(metavar="ROUTES", help="What `rag route fit` wrote.")],
    text: Question,
) -> None:
    """Say where a question would go; no index is opened."""
    from rag.routing import Router, Routes
    from rag.routing.opening import router_embedder

    question = read_question(text)
    found = Routes.read(routes)
    routing = Router(found, router_embedder(run.settings)).route(question)
    payload = {"question": question, "routes": _routing_to_json(routing, found.indexes)}
    run.show(payload, lambda console: _print_routing(console, routing))


def looked_to_json(found: Found, indexes: Mapping[str, str]) -> dict[str, Any]:
    """Where a search looked, every route, and why one of them could not be searched."""
    return {
        "routes": _routing_to_json(found.routing, indexes),
        "searched": list(found.searched),
        "degraded": found.degraded,
    }


def _routing_to_json(routing: Routing, indexes: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "index": indexes[name],
            "probability": round(probability, 6),
            "chosen": name in routing.chosen,
        }
        for name, probability in routing.probabilities.items()
    ]


def _named(pairs: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        name, _, index = pair.partition("=")
        if not name.strip() or not index.strip():
            raise UsageError(f"cannot read the route {pair}", hint="write it as NAME=INDEX")
        if name in found:
            raise UsageError(f"two routes are called {name}", hint="give each its own name")
        found[name] = index
    return found


def _payload(fitted: FittedRoutes, out: Path) -> dict[str, Any]:
    held = fitted.calibration
    return {
        "out": str(out),
        "routes": [
            {**asdict(report), "accuracy": round(report.accuracy, 4)} for report in fitted.reports
        ],
        "ece": {"before": round(held.ece_before, 4), "after": round(held.ece, 4)},
        "log_loss": {"before": round(held.log_loss_before, 4), "after": round(held.log_loss, 4)},
        "temperature": fitted.routes.classifier.temperature,
        "seconds": round(fitted.seconds, 1),
    }


def _print_fitted(console: Console, fitted: FittedRoutes, out: Path) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("route")
    for column in ("documents", "sentences", "held out", "accuracy"):
        table.add_column(column, justify="right")
    for each in fitted.reports:
        counts = (each.documents, each.texts, each.held)
        table.add_row(plain(each.name), *(f"{count:,}" for count in counts), f"{each.accuracy:.1%}")
    console.print(table)
    found = fitted.calibration
    console.print(
        f"calibration error {found.ece_before:.3f} -> {found.ece:.3f}, log loss "
        f"{found.log_loss_before:.3f} -> {found.log_loss:.3f}\n"
        "both on the sentences held out, which temperature and trust were fitted to"
    )
    alone = [plain(report.name) for report in fitted.reports if report.documents == 1]
    if alone:
        console.print(f"one document only, so its own end was held out: {', '.join(alone)}")
    console.print(f"wrote {out} in {fitted.seconds:.1f} s")


def _print_routing(console: Console, routing: Routing) -> None:
    for name, probability in routing.probabilities.items():
        mark = "searched" if name in routing.chosen else ""
        console.print(f"{probability:6.1%}  {plain(name)}  {mark}".rstrip())
