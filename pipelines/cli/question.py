"""How a command is asked: the question as an argument or on stdin, and which indexes to ask."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from rag.errors import UsageError

__all__ = ["Question", "RoutesFile", "read_question"]

Question = Annotated[str, typer.Argument(metavar="TEXT", help="The question; - reads stdin.")]
RoutesFile = Annotated[
    Path | None,
    typer.Option(
        "--routes", metavar="FILE", help="Search the indexes it routes to, see `rag route fit`."
    ),
]


def read_question(text: str) -> str:
    """The question an argument holds or, where it is -, stdin.

    Raises:
        UsageError: it is empty, or not UTF-8.
    """
    question = sys.stdin.read().strip() if text == "-" else text.strip()
    if any("\ud800" <= letter <= "\udfff" for letter in question):
        raise UsageError("the question is not UTF-8", hint="check the terminal's encoding")
    if not question:
        raise UsageError("the question is empty", hint="give it as an argument, or - for stdin")
    return question
