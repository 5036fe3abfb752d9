"""`rag adapt`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from pipelines.cli.run import Run, command

if TYPE_CHECKING:
    from pipelines.adapt.run import Adaptation

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app)(adapt)


def adapt(
    run: Run,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where to put the model, if it is kept.")
    ],
    source: Annotated[
        str,
        typer.Argument(
            metavar="[SOURCE|INDEX]",
            help="Documents, or the folder of an index (default: the index of the settings).",
        ),
    ] = "",
    method: Annotated[
        str, typer.Option("--method", help="triplets, dupmae, lem or text2token.")
    ] = "triplets",
    questions: Annotated[
        Path | None,
        typer.Option("--questions", metavar="FILE", help="To judge by; default: made by rules."),
    ] = None,
    n: Annotated[int, typer.Option("--n", min=20, help="Questions to make.")] = 200,
    share: Annotated[
        float, typer.Option("--share", min=0.1, max=0.9, help="Of the documents, to train on.")
    ] = 0.5,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Of training.")] = None,
    batch: Annotated[int | None, typer.Option("--batch", min=2, help="Queries in a step.")] = None,
    rate: Annotated[float | None, typer.Option("--rate", min=0, help="Of learning.")] = None,
    pooling: Annotated[
        str, typer.Option("--pooling", help="keep, mean, cls, last, latent or layers.")
    ] = "keep",
    dims: Annotated[
        str, typer.Option("--dims", metavar="N,N", help="Matryoshka: also train these lengths.")
    ] = "",
    lexical_dims: Annotated[
        int | None,
        typer.Option("--lexical-dims", min=0, help="Numbers added for the words; default: 768."),
    ] = None,
    focal: Annotated[
        float, typer.Option("--focal", min=0, help="Weigh hard queries more; KaLM has 0.5.")
    ] = 0.0,
    mixing: Annotated[
        float, typer.Option("--mixing", min=0, help="Mix hard negatives; KaLM has 2.")
    ] = 0.0,
    interpolation: Annotated[
        float,
        typer.Option(
            "--interpolation", min=0, max=1, help="From the base's weights (0) to the trained (1)."
        ),
    ] = 0.5,
    emo: Annotated[
        bool, typer.Option("--emo", help="lem: also by the distance between tokens.")
    ] = False,
    translations: Annotated[
        Path | None,
        typer.Option("--translations", metavar="FILE", help='Lines of {"text", "translation"}.'),
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", min=0, max=2**32 - 1, help="Of all that is drawn.")
    ] = 0,
) -> None:
    """Adapt the embedder to documents, without labels; it is kept only if it proves better."""
    from pipelines.adapt.recipe import Recipe
    from pipelines.adapt.rows import read_translations
    from pipelines.adapt.run import Asked, Watch
    from pipelines.adapt.run import adapt as run_adapt
    from pipelines.cli.progress import show_progress

    given = {"steps": steps, "batch": batch, "rate": rate}
    recipe = Recipe(
        method=method,  # type: ignore[arg-type]  # it refuses what is none
        pooling=pooling,  # type: ignore[arg-type]
        dims=_dims(dims),
        lexical_dims=lexical_dims,
        focal=focal,
        mixing=mixing,
        interpolation=interpolation,
        emo=emo,
        seed=seed,
        **{name: value for name, value in given.items() if value is not None},  # type: ignore[arg-type]
    )
    pairs = read_translations(translations) if translations else ()
    asked = Asked(source, recipe, out, questions, n, share, tuple(pairs))
    with ExitStack() as stack:
        watch = Watch(
            *(
                stack.enter_context(show_progress(run.err, run.quiet, what))
                for what in ("documents", "questions", "steps")
            )
        )
        found = run_adapt(run.settings, asked, watch)
    run.show(found.to_payload(), lambda console: _print(console, found))
    run.exit_code = 7 if not found.verdict.accepted else 4 if found.failed else 0


def _dims(text: str) -> tuple[int, ...]:
    from rag.errors import UsageError

    try:
        found = tuple(int(each) for each in text.split(",") if each.strip())
    except ValueError:
        found = (0,)
    if any(each < 1 for each in found):
        raise UsageError(f"cannot read --dims {text}", hint="write it as 256,128")
    return found


def _print(console: Console, found: Adaptation) -> None:
    from pipelines.adapt.judge import FIGURES

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("ranking", "figure", "before", "after", "gain", "95 %"):
        table.add_column(column, justify="left" if column in ("ranking", "figure") else "right")
    before, after = found.before.means(), found.after.means()
    gains = {"dense": found.verdict.dense, "served": found.verdict.served}
    for ranking, figures in before.items():
        for at, figure in enumerate(FIGURES):
            row = [ranking, figure, f"{figures[figure]:.3f}"]
            if ranking in gains:
                gain = gains[ranking][at]
                row += [
                    f"{after[ranking][figure]:.3f}",
                    f"{after[ranking][figure] - figures[figure]:+.3f}",
                    f"[{gain.low:+.3f}, {gain.high:+.3f}]",
                ]
            table.add_row(*row)
    console.print(table)
    made = "made by rules" if found.synthetic else "given"
    console.print(
        f"{len(found.before.dense)} questions ({made}) about {found.held_documents} documents that "
        f"training did not see; trained on {found.trained:,} passages of {found.train_documents} "
        f"others in {found.train_seconds:,.0f} s, {found.seconds:,.0f} s in all"
    )
    if found.failed:
        console.print(f"{len(found.failed)} documents could not be read")
    if found.verdict.accepted:
        console.print(f"accepted: {found.verdict.why}; wrote {found.model}")
        console.print(f"to use it: rag reindex --model {found.model}")
    else:
        console.print(f"refused: {found.verdict.why}; the base stays, nothing was written")
