"""`rag synth`."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from pipelines.cli.run import Run, command
from rag.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from pipelines.synthesize.corpus import Corpus
    from pipelines.synthesize.draft import Engine
    from pipelines.synthesize.run import Synthesis
    from rag.index import Index

__all__ = ["register"]

_TRIES = {"rules": 60, "llm": 10}  # attempts for each question that is wanted
_ROOM = 2_048  # tokens of a question with its excerpts, and of thoughts that come before


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app)(synth)


def synth(
    run: Run,
    source: Annotated[
        str,
        typer.Argument(
            metavar="[SOURCE|INDEX]",
            help="Documents, or the folder of an index (default: the index of the settings).",
        ),
    ] = "",
    n: Annotated[int, typer.Option("--n", min=1, help="Questions to keep.")] = 100,
    engine: Annotated[
        str,
        typer.Option(
            "--engine",
            help="llm: the model of the settings, or rules: none. Default: llm if there is one.",
        ),
    ] = "",
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="Where to write the questions.")
    ] = Path("questions.jsonl"),
    seed: Annotated[int, typer.Option("--seed", help="Another seed asks elsewhere.")] = 0,
    attempts: Annotated[
        int | None, typer.Option("--attempts", min=1, help="Give up after so many.")
    ] = None,
    max_llm_tokens: Annotated[
        int, typer.Option("--max-llm-tokens", min=0, help="Give up after so many; 0: no limit.")
    ] = 0,
) -> None:
    """Make questions with exact references out of documents. Run again to resume, or for more."""
    from eval.files import require_writable
    from pipelines.cli.progress import show_progress
    from pipelines.synthesize.corpus import open_corpus
    from pipelines.synthesize.run import Budget, synthesize

    chosen = engine or ("rules" if run.settings.generation.kind == "extractive" else "llm")
    if chosen not in _TRIES:
        raise UsageError(f"no engine {chosen}", hint="llm or rules")
    if chosen == "llm" and run.settings.generation.kind == "extractive":
        raise ConfigError(
            "--engine llm needs a language model",
            hint="set generation.kind to bundled, local or server, or use --engine rules",
        )
    require_writable(out)
    budget = Budget(n, attempts or _TRIES[chosen] * n, max_llm_tokens)
    with ExitStack() as stack:
        documents = stack.enter_context(show_progress(run.err, run.quiet, "documents"))
        corpus = stack.enter_context(open_corpus(run.settings, source, documents))
        asked = stack.enter_context(show_progress(run.err, run.quiet, "questions"))
        writer = _engine(run, chosen, corpus.index)
        made = synthesize(
            corpus, writer, run.settings.synthesis, budget, out, seed=seed, progress=asked
        )
    run.show(_payload(made, out, corpus), lambda console: _print(console, made, out))
    run.exit_code = 4 if corpus.failed else 0


def _engine(run: Run, name: str, index: Index) -> Engine:
    from pipelines.synthesize.model import ModelEngine
    from pipelines.synthesize.rules import RulesEngine

    if name == "rules":
        return RulesEngine(run.settings.synthesis)
    from rag.generation import load_generator
    from rag.generation.base import Writer

    settings = run.settings.generation
    if settings.kind != "bundled":  # which writes a line at a time
        room = min(max(settings.max_tokens, _ROOM), settings.context_window // 2)
        settings = settings.model_copy(update={"max_tokens": room})
    writer = load_generator(
        settings, index.embedder.counter, run.settings.models.path, offline=run.settings.offline
    )
    assert isinstance(writer, Writer)
    batch = settings.concurrency if settings.kind == "server" else 1
    return ModelEngine(writer, run.settings.synthesis, batch)


def _payload(made: Synthesis, out: Path, corpus: Corpus) -> dict[str, Any]:
    kept = len(made.lines)
    return {
        "questions": str(out),
        "kept": kept,
        "attempts": made.attempts,
        "rejected": made.rejected,
        "kinds": made.kinds,
        "references": _references(made),
        "documents": {"all": len(corpus.documents), "asked": len(_documents(made))},
        "failed": list(corpus.failed),
        "exhausted": made.exhausted,
        "llm_calls": made.usage.calls,
        "llm_tokens": made.usage.tokens,
        "llm_tokens_per_question": round(made.usage.tokens / kept, 1) if kept else None,
        "seconds": round(made.seconds, 1),
        "questions_per_minute": round(60 * kept / made.seconds, 1) if made.seconds else None,
    }


def _references(made: Synthesis) -> dict[str, int]:
    """How many questions have one excerpt, two, and so on."""
    counts = Counter(len(line["references"]) for line in made.lines)
    return {str(count): counts[count] for count in sorted(counts)}


def _documents(made: Synthesis) -> set[str]:
    return {line["references"][0]["doc"] for line in made.lines}


def _print(console: Console, made: Synthesis, out: Path) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("attempts")
    table.add_column("", justify="right")
    table.add_column("share", justify="right")
    for name, count in (*made.rejected.items(), ("kept", len(made.lines))):
        table.add_row(name, f"{count:,}", f"{count / max(made.attempts, 1):.1%}")
    console.print(table)
    kinds = ", ".join(f"{count} {kind}" for kind, count in made.kinds.items())
    several = sum(len(line["references"]) > 1 for line in made.lines)
    console.print(f"{len(made.lines)} questions about {len(_documents(made))} documents: {kinds}")
    console.print(f"{several} have excerpts from several places")
    if made.usage.calls and made.lines:
        console.print(
            f"{made.usage.calls:,} LLM calls, {made.usage.tokens:,} LLM tokens, "
            f"{made.usage.tokens / len(made.lines):,.0f} a question"
        )
    if made.exhausted:
        console.print("attempts or tokens ran out: --attempts, --max-llm-tokens, or more documents")
    console.print(f"wrote {out}")
