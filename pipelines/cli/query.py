"""`rag query` and `rag search`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from pipelines.cli.documents import plain, where
from pipelines.cli.explain import explanation_to_json, print_explanation
from pipelines.cli.progress import show_writing
from pipelines.cli.question import Question, RoutesFile, read_question
from pipelines.cli.remote import Server, remote, server_of
from pipelines.cli.route import looked_to_json
from pipelines.cli.run import Run, command
from pipelines.payloads import answer_from_json, answer_to_json, chunk_from_json, hit_to_json
from rag.errors import UsageError
from rag.explain import losses
from rag.ledger import Entry
from rag.types import Answer, Context, Grounding

__all__ = ["print_answer", "register"]

TopK = Annotated[int | None, typer.Option("--top-k", min=1, max=1000, help="Chunks to retrieve.")]
Filters = Annotated[
    list[str] | None,
    typer.Option("--filter", metavar="FIELD=VALUE", help="Only where, e.g. year>=2021."),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app)(query)
    command(app)(search)


def query(
    run: Run,
    text: Question,
    top_k: TopK = None,
    filters: Filters = None,
    routes: RoutesFile = None,
    server: Server = None,
    budget: Annotated[
        int | None, typer.Option("--budget", min=1, help="Tokens of context, at most.")
    ] = None,
    target_recall: Annotated[
        float | None,
        typer.Option(
            "--target-recall", min=0.01, max=1, help="Keep this share of the expected evidence."
        ),
    ] = None,
    grounding: Annotated[
        Literal["off", "extractive", "sift"] | None,
        typer.Option("--grounding", help="Answer by way of a sticker of facts (SIFT)."),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show what each stage kept and dropped, and why.")
    ] = False,
    fail_on_abstain: Annotated[
        bool, typer.Option("--fail-on-abstain", help="Exit 8 where there is no answer.")
    ] = False,
) -> None:
    """Answer a question, with citations and the token ledger."""
    from pipelines.query import open_engine
    from rag.store import parse_condition

    question = read_question(text)
    conditions = [parse_condition(each) for each in filters or []]
    if budget is not None and target_recall is not None:
        raise UsageError("--budget and --target-recall say two things", hint="leave one out")
    there = server_of(run, server)
    if there:
        if routes is not None or explain:
            raise UsageError("--server knows neither --routes nor --explain", hint="leave it out")
        options = {"budget": budget, "target_recall": target_recall, "grounding": grounding}
        with remote(there) as serving:
            told = serving.query(_body(question, top_k, filters) | {"options": options})
        run.show(told, lambda console: print_answer(console, answer_from_json(told)))
        run.exit_code = 8 if told["abstained"] and fail_on_abstain else 0
        return
    chosen = {"budget": budget, "target_recall": target_recall}
    selection = run.settings.selection.model_copy(
        update={name: value for name, value in chosen.items() if value is not None}
    )
    mode = {} if grounding is None else {"mode": grounding}
    settings = run.settings.model_copy(
        update={
            "selection": selection,
            "grounding": run.settings.grounding.model_copy(update=mode),
        }
    )
    steps: list[tuple[str, Context]] = []
    with (
        open_engine(settings, routes) as engine,
        show_writing(run.err, run.quiet or run.as_json) as watch,
    ):
        answer = engine.query(
            question,
            top_k=top_k,
            conditions=conditions,
            observe=lambda stage, context: steps.append((stage, context)),
            watch=watch,
        )
    dropped = losses(steps) if explain else []
    payload = answer_to_json(answer)
    if explain:
        payload |= explanation_to_json(answer, dropped)

    def human(console: Console) -> None:
        print_answer(console, answer)
        if explain:
            print_explanation(console, answer, dropped)

    run.show(payload, human)
    run.exit_code = 8 if answer.abstained and fail_on_abstain else 0


def search(
    run: Run,
    text: Question,
    top_k: TopK = None,
    filters: Filters = None,
    routes: RoutesFile = None,
    server: Server = None,
) -> None:
    """Find the chunks nearest to a question; no language model is asked."""
    from rag.index import open_index
    from rag.store import parse_condition

    question = read_question(text)
    there = server_of(run, server)
    if there:
        with remote(there) as serving:
            told = serving.search(_body(question, top_k, filters))
        if told.get("searched"):
            run.warn(
                "; ".join(filter(None, (f"to {', '.join(told['searched'])}", told["degraded"])))
            )
        run.show(told, lambda console: _print_hits(console, told["hits"]))
        return
    conditions = [parse_condition(each) for each in filters or []]
    where_to: dict[str, Any] = {}
    if routes is None:
        with open_index(run.settings) as index:
            found = index.search(question, top_k=top_k, conditions=conditions)
    else:
        from rag.routing import open_routed

        with open_routed(run.settings, routes) as several:
            looked = several.retrieve(question, top_k=top_k, conditions=conditions)
        found = looked.chunks
        where_to = looked_to_json(looked, several.router.routes.indexes)
        run.warn("; ".join(filter(None, (looked.note, looked.degraded))))
    hits = [hit_to_json(hit.chunk, hit.score) for hit in found]
    run.show(
        {"question": question, "hits": hits, **where_to}, lambda console: _print_hits(console, hits)
    )


def _body(question: str, top_k: int | None, filters: list[str] | None) -> dict[str, Any]:
    """What a server is sent."""
    return {"question": question, "top_k": top_k, "filters": filters or []}


def _print_hits(console: Console, hits: list[dict[str, Any]]) -> None:
    for rank, hit in enumerate(hits, start=1):
        chunk = chunk_from_json(hit)
        console.print(f"{rank}. {where(chunk, chunk.places[0])}  {hit['score']:.4f}")
        console.print(f"   {plain(chunk.text)[:300]}")
    if not hits:
        console.print("nothing found")


def print_answer(console: Console, answer: Answer) -> None:
    """The answer, its sources with exact quotes, and the ledger as a small table."""
    console.print("\n".join(map(plain, answer.text.splitlines())))
    if answer.citations:
        console.print()
    for number, citation in enumerate(answer.citations, start=1):
        doubt = "" if citation.verified else "  (not verified)"
        place = where(citation, citation.place)
        span = f"characters {citation.span.start:,}-{citation.span.end:,}"
        console.print(f"[{number}] {place}, {span}{doubt}")
        console.print(f'    "{plain(citation.quote)}"', style="dim")
    if answer.dropped_citations:
        console.print(f"{answer.dropped_citations} citations led nowhere and were dropped")
    if answer.unsupported:
        console.print(f"not in any cited quote: {plain(', '.join(answer.unsupported))}")
    if answer.grounding:
        _print_grounding(console, answer.grounding)
    console.print()
    console.print(_ledger_table(answer))


def _print_grounding(console: Console, grounding: Grounding) -> None:
    """Whether two ways led to the answer, and the facts."""
    said = {
        True: "The facts alone lead to this answer too:",
        False: "Not agreed: the facts alone lead to another answer:",
        None: "Facts for an answer:",
    }
    console.print()
    console.print(said[grounding.agreed])
    for fact in grounding.sticker.facts:
        places = ", ".join(where(each, each.place) for each in fact.evidence)
        console.print(f"  - {plain(fact.text)}  ({places or 'no source'})")


def _remark(entry: Entry) -> str:
    """What the ledger has to say beside the figures of a stage."""
    remarks = (
        f"degraded: {entry.degraded}" if entry.degraded else "",
        entry.note,
        f"{entry.llm_cached:,} tokens remembered" if entry.llm_cached else "",
        f"{entry.overruled} kept by protection" if entry.overruled else "",
    )
    return "; ".join(filter(None, remarks))


def _ledger_table(answer: Answer) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("stage")
    for column in ("tokens in", "out", "LLM calls", "LLM tokens", "seconds"):
        table.add_column(column, justify="right")
    table.add_column("")
    for entry in answer.ledger:
        table.add_row(
            entry.stage,
            f"{entry.tokens_in:,}",
            f"{entry.tokens_out:,}",
            f"{entry.llm_calls}",
            f"{entry.llm_tokens:,}",
            f"{entry.seconds:.3f}",
            _remark(entry),
        )
    return table
