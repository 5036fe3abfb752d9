"""`rag attribute`."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from pipelines.cli.run import Run, command
from rag.errors import UsageError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app)(attribute)


def attribute(
    run: Run,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The text; - reads stdin.")],
    method: Annotated[
        str,
        typer.Option("--method", help="globenc, decompx, adjoint, sensitivity, random or lexical."),
    ] = "adjoint",
    pair: Annotated[
        str | None, typer.Option("--pair", help="A second text, read together with the first.")
    ] = None,
    query: Annotated[
        str | None, typer.Option("--query", help="What the scores should be about.")
    ] = None,
    bias: Annotated[
        str | None, typer.Option("--bias", help="Of decompx: absdot, biastoken or none.")
    ] = None,
    readout: Annotated[
        str | None, typer.Option("--readout", help="What is made of the contributions.")
    ] = None,
) -> None:
    """Score every token of a text by what it contributes to the embedder's view of it."""
    from rag.attribution import encoder_of, load_attributor
    from rag.embedding.registry import load_embedder

    text = sys.stdin.read() if text == "-" else text
    given = f"{text}{pair or ''}{query or ''}"
    if any("\ud800" <= letter <= "\udfff" for letter in given):
        raise UsageError("the text is not UTF-8", hint="check the terminal's encoding")
    encoder = encoder_of(load_embedder(run.settings.embedding, offline=run.settings.offline))
    attributor = load_attributor(method, encoder, bias=bias, readout=readout)
    (found,) = attributor.scores([text], query=query, pairs=None if pair is None else [pair])
    payload: dict[str, Any] = {
        "method": method,
        "bias": attributor.bias,
        "readout": attributor.readout(query),
        "model": encoder.name,
        "tokens": list(found.tokens),
        "offsets": found.offsets.tolist(),
        "scores": found.scores.tolist(),
    }

    def human(console: Console) -> None:
        """The tokens one below the other, with a bar for those of the text."""
        top = max((abs(score) for score in found.scores[found.ranked]), default=0.0) or 1.0
        for token, score, ranked in zip(found.tokens, found.scores, found.ranked, strict=True):
            bar = "█" * round(20 * abs(score) / top) if ranked else ""
            line = Text(f"{score:+10.4f}  {token:<20.20}  ")
            line.append(bar, style="green" if score > 0 else "red")
            console.print(line)

    run.show(payload, human)
