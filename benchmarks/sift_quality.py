"""What grounding does to answers: right ones, agreement, abstention, calls and tokens.

The same narrowed contexts (retrieval and stages as by default) are answered by the bundled model
without grounding (`off`), with a sticker of chosen sentences (`extractive`), and with stickers that
the model writes (`sift`); `quoted` is the default generator, which quotes what is kept and asks no
model. Questions of the testing side; financebench trains nothing, all of its are asked. Its answers
and xquad's are people's; covidqa has none but its references, which serve as such.

*Agreed* is the share of questions whose two predictions agree in the end. *Processed* are the
tokens that the engine did read or write, without those it remembered from a prompt that began
alike; *naive tokens* are the sum of all prompts and answers. Each way is asked all questions before
the next one is, so that none profits from what another had the engine read. *Unsupported* is the
share of answers with a number, date or identifier that no cited quote holds.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as the `rag` command sets it

import numpy as np
from clustered import load_writer
from report import heading, say, table
from searching import CACHE
from workload import SHARED

from connectors.registry import open_source
from eval.datasets import Question, read_questions
from eval.metrics.answer import contained, exact_match, token_f1
from eval.split import split_questions
from eval.stats import bootstrap
from pipelines.evaluate import read_corpus, texts_of
from pipelines.ingest import ingest
from pipelines.train.examples import TRAINING_SETS
from rag.engine import Gathered, QueryEngine, selection_stage
from rag.generation import ExtractiveGenerator, Generator
from rag.grounding.sift import SiftGenerator
from rag.ids import digest
from rag.index import Index, open_index
from rag.ledger import TokenLedger
from rag.settings import GroundingSettings, SelectionSettings, Settings, StoreSettings
from rag.types import Answer

POOLS = {"published": TRAINING_SETS, "financebench": ("financebench",)}
SETS = {"xquad": "published", "covidqa": "published", "financebench": "financebench"}
STAGES = ("sticker", "forward", "inverse")


class Answered(NamedTuple):
    """One question, answered in one way."""

    gold: tuple[str, ...]
    answer: Answer

    @property
    def said(self) -> str:
        """The answer without its citations' numbers; nothing, where it abstained."""
        text = "" if self.answer.abstained else self.answer.text
        for number in range(1, len(self.answer.citations) + 1):
            text = text.replace(f"[{number}]", "")
        return text.strip()

    def scored(self, said: str) -> tuple[float, float, float]:
        """Exact match, token F1, contained."""
        return exact_match(said, self.gold), token_f1(said, self.gold), contained(said, self.gold)


Results = dict[str, list[Answered]]


def ask(
    index: Index,
    questions: Sequence[Question],
    gold: Sequence[tuple[str, ...]],
    modes: Mapping[str, Generator],
) -> Results:
    """Every question in every way, from the same context."""
    gathering = QueryEngine(index, ExtractiveGenerator())
    gathered = [gathering.gather(question.text) for question in questions]
    results: Results = {}
    for name, generator in modes.items():
        say(name)
        engine = QueryEngine(index, generator)
        for (text, context, before), answers in zip(gathered, gold, strict=True):
            asked = Gathered(text, context, TokenLedger(unit=before.unit))
            results.setdefault(name, []).append(Answered(answers, engine.answer(asked)))
    return results


def gold_of(question: Question, texts: Mapping[str, str]) -> tuple[str, ...]:
    """The right answers: people's, or the references where they gave none."""
    found = tuple(each.span.text_in(texts[each.doc]) for each in question.references)
    return question.answers or found


def percent(values: Sequence[float]) -> str:
    """A mean with its interval, in per cent."""
    if not len(values):
        return "-"
    array = np.asarray(values, dtype=float)
    (interval,) = bootstrap(array[:, None])
    return f"{100 * array.mean():.1f} ({100 * interval.low:.1f} to {100 * interval.high:.1f})"


def quality_row(name: str, answered: Sequence[Answered]) -> tuple[str, ...]:
    """What became of the questions in one way."""
    exact, f1, held = np.transpose([each.scored(each.said) for each in answered])
    agreed = [each.answer.grounding.agreed for each in answered if each.answer.grounding]
    judged = [each for each in agreed if each is not None]
    told = [each for each in answered if not each.answer.abstained]
    return (
        name,
        percent(exact),
        percent(f1),
        percent(held),
        percent(judged),
        percent([each.answer.abstained for each in answered]),
        percent([bool(each.answer.unsupported) for each in told]),
    )


def cost_row(name: str, answered: Sequence[Answered]) -> tuple[str, ...]:
    """What a question cost."""
    entries = [list(each.answer.ledger) for each in answered]
    calls = [sum(entry.llm_calls for entry in each) for each in entries]
    naive = np.array([sum(entry.llm_tokens for entry in each) for each in entries])
    cached = np.array([sum(entry.llm_cached for entry in each) for each in entries])
    seconds = [sum(entry.seconds for entry in each) for each in entries]
    share = f"{(naive - cached).sum() / naive.sum():.2f}" if naive.sum() else "-"
    return (
        name,
        f"{np.mean(calls):.1f}",
        f"{naive.mean():,.0f}",
        f"{(naive - cached).mean():,.0f}",
        share,
        f"{np.mean(seconds):.2f}",
    )


def trust_row(name: str, answered: Sequence[Answered]) -> tuple[str, ...]:
    """How good the answers are that were agreed on, and the others."""
    f1 = {True: [], False: []}  # type: dict[bool, list[float]]
    for each in answered:
        grounding = each.answer.grounding
        if grounding and grounding.agreed is not None and not each.answer.abstained:
            f1[grounding.agreed].append(token_f1(each.said, each.gold))
    return name, str(len(f1[True])), percent(f1[True]), str(len(f1[False])), percent(f1[False])


def stage_rows(off: Sequence[Answered], sift: Sequence[Answered]) -> list[tuple[str, ...]]:
    """SIFT, had it ended after each stage: the answer agreed on by then, else the plain one."""
    rows: list[tuple[str, ...]] = []
    for last, stage in enumerate(STAGES):
        said: list[str] = []
        agreed: list[bool] = []
        alone: list[float] = []
        both: list[float] = []
        for plain, grounded in zip(off, sift, strict=True):
            rounds = grounded.answer.grounding.rounds if grounded.answer.grounding else ()
            until = [each for each in rounds if each.stage in STAGES[: last + 1]]
            found = next((each.from_both for each in until if each.agreed), None)
            agreed.append(found is not None)
            said.append(plain.said if found is None else found)
            at = [each for each in rounds if each.stage == stage]
            alone += [token_f1(each.from_sticker, grounded.gold) for each in at]
            both += [token_f1(each.from_both, grounded.gold) for each in at]
        exact, f1, held = np.transpose(
            [each.scored(text) for each, text in zip(sift, said, strict=True)]
        )
        right = [token_f1(text, each.gold) for each, text in zip(sift, said, strict=True)]
        shared = [score for score, same in zip(right, agreed, strict=True) if same]
        rows.append(
            (
                stage,
                str(len(alone)),
                percent(alone),
                percent(both),
                percent(agreed),
                percent(shared),
                percent(exact),
                percent(f1),
                percent(held),
            )
        )
    return rows


def questions_of(name: str, count: int) -> list[Question]:
    """At most so many of the testing side, the same ones each time."""
    every = read_questions(SHARED / name / "questions.jsonl")
    if SETS[name] == "published":
        every = split_questions(every, "test")
    return sorted(every, key=lambda each: digest(["sift", each.id]))[:count]


def main() -> None:
    """Answer, score, and print a report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--questions", type=int, default=60, help="of each set, at most")
    parser.add_argument("--paper", action="store_true", help="SIFT as published, in addition")
    args = parser.parse_args()
    print(heading("What grounding does to answers"))
    print("Bundled model: SmolLM2-135M. 95 % bootstrap intervals over questions.\n")
    every: Results = {}
    for name in args.sets:
        say(name)
        pool = SETS[name]
        (CACHE / "selection").mkdir(parents=True, exist_ok=True)
        settings = Settings(store=StoreSettings(path=CACHE / "selection" / pool))
        with open_index(settings, create=True) as index:
            ingest(index, [open_source(str(SHARED / each / "corpora")) for each in POOLS[pool]])
            writer = load_writer(index)

            def grounded(
                index: Index = index, writer: object = writer, **chosen: object
            ) -> SiftGenerator:
                grounding = GroundingSettings.model_validate(chosen)
                narrow = selection_stage(index, SelectionSettings(budget=grounding.sticker_tokens))
                return SiftGenerator(writer, grounding, narrow)  # type: ignore[arg-type]

            modes: dict[str, Generator] = {
                "quoted": ExtractiveGenerator(),
                "off": writer,
                "extractive": grounded(mode="extractive"),
                "sift": grounded(mode="sift"),
            }
            if args.paper:
                modes["sift, paper"] = grounded(mode="sift", paper=True)
            questions = questions_of(name, args.questions)
            texts = texts_of(read_corpus(SHARED / name / "corpora"))
            gold = [gold_of(each, texts) for each in questions]
            results = ask(index, questions, gold, modes)
        for mode, answered in results.items():
            every.setdefault(mode, []).extend(answered)
        show(name, results)
    if len(args.sets) > 1:
        show("all together", every)


def show(title: str, results: Results) -> None:
    """The tables of one set."""
    count = len(results["off"])
    print(f"### {title}, {count} questions\n")
    columns = ("grounding", "EM, %", "F1, %", "contained, %", "agreed, %", "abstained, %",
               "unsupported, %")  # fmt: skip
    print(table(columns, [quality_row(*each) for each in results.items()]))
    spent = ("grounding", "LLM calls", "naive tokens", "processed", "share", "seconds")
    print(table(spent, [cost_row(*each) for each in results.items()]))
    trust = ("grounding", "agreed", "their F1, %", "not agreed", "their F1, %")
    grounded = {mode: each for mode, each in results.items() if mode not in ("quoted", "off")}
    print(table(trust, [trust_row(*each) for each in grounded.items()]))
    print("SIFT, ended after each stage:\n")
    stages = ("stage", "reached by", "F1 of the sticker alone, %", "F1 with the context, %",
              "agreed by then, %", "F1 of those, %", "EM, %", "F1, %", "contained, %")  # fmt: skip
    print(table(stages, stage_rows(results["off"], results["sift"])))


if __name__ == "__main__":
    main()
