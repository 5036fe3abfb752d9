"""What adapting the embedder brings: each method on each domain, on documents it never saw.

Runs `rag adapt` as a user would, in a process of its own, so that minutes and peak memory are those
of the command. Questions are people's (cyber: sentences of ATT&CK), about held-out documents only.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from commands import RAG, run
from platformdirs import user_cache_path
from report import heading, say, table


class Domain(NamedTuple):
    """A corpus and its questions.

    `seed` divides documents; that of finance leaves the one document with 97 questions held out.
    """

    sets: tuple[str, ...]
    parts: tuple[str, ...] = ()
    seed: int = 0


DOMAINS = {
    "finance": Domain(("financebench", "chroma"), ("financebench", "finance"), 3),
    "biomedical": Domain(("covidqa",)),
    "cyber": Domain(("cyber",)),
    "together": Domain(
        ("financebench", "chroma", "covidqa", "cyber"),
        ("financebench", "finance", "covidqa", "annoctr", "cisa"),
        3,
    ),
}
METHODS = {
    "untrained": ("--steps", "1", "--rate", "0"),
    "triplets": (),
    "triplets, no words": ("--lexical-dims", "0"),
    "triplets, focal, mixing": ("--focal", "0.5", "--mixing", "2"),
    "dupmae": ("--method", "dupmae"),
    "dupmae, no words": ("--method", "dupmae", "--lexical-dims", "0"),
    "lem": ("--method", "lem"),
    "lem, no words": ("--method", "lem", "--lexical-dims", "0"),
    "text2token": ("--method", "text2token"),
    "text2token, no words": ("--method", "text2token", "--lexical-dims", "0"),
}


# Always the same: ids, by which chunks of equal score are ordered, hold where a document lies. In
# folders of random names the figures of one and the same embedder differed by a point on filings.
_GATHERED = user_cache_path("spanrag") / "adaptation"


def main() -> None:
    """Adapt, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the question sets")
    parser.add_argument("--domains", nargs="+", default=[*DOMAINS][:3], choices=[*DOMAINS])
    parser.add_argument("--methods", nargs="+", default=[*METHODS], choices=[*METHODS])
    parser.add_argument("--keep", type=Path, help="folder for the models that are accepted")
    parser.add_argument("--options", default="", help="more of `rag adapt`, as one string")
    args = parser.parse_args()
    print(heading("Adapted embedders"))
    rows: list[tuple[str, ...]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for name in args.domains:
            corpus, questions = _gathered(args.data, DOMAINS[name], _GATHERED / name)
            for method in args.methods:
                say(f"{name}, {method}")
                slug = method.replace(", ", "-")
                out = (args.keep or Path(scratch, "models")) / f"{name}-{slug}"
                options = [*METHODS[method], "--seed", str(DOMAINS[name].seed)]
                rows.append(
                    (
                        name,
                        method,
                        *_row(corpus, questions, out, options + shlex.split(args.options)),
                    )
                )
                print(" | ".join(rows[-1]), file=sys.stderr)
    columns = ("domain", "method", "questions", "dense nDCG@10", "gain, 95 %", "served nDCG@10",
               "gain, 95 %", "BM25", "recall@10 gain", "IoU@5 gain", "kept", "minutes (training)",
               "peak MiB")  # fmt: skip
    print(table(columns, rows))


def _gathered(data: Path, domain: Domain, folder: Path) -> tuple[Path, Path]:
    """The parts of the sets as one corpus, and their questions as one file."""
    corpora, lines = folder / "corpora", []
    if folder.exists():
        shutil.rmtree(folder)
    for name in domain.sets:
        for part in sorted((data / name / "corpora").iterdir()):
            if not domain.parts or part.name in domain.parts:
                shutil.copytree(part, corpora / part.name)
        asked = (data / name / "questions.jsonl").read_text(encoding="utf-8").splitlines()
        lines += [
            line
            for line in asked
            if not domain.parts
            or json.loads(line)["references"][0]["doc"].split("/")[0] in domain.parts
        ]
    questions = folder / "questions.jsonl"
    questions.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return corpora, questions


def _row(corpus: Path, questions: Path, out: Path, options: Sequence[str]) -> Iterator[str]:
    command = [RAG, "adapt", str(corpus), "--questions", str(questions), "--out", str(out),
               "--json", *options]  # fmt: skip
    # 7 is a refusal: a result, too.
    done = run(["sh", "-c", f"{shlex.join(command)} || [ $? = 7 ]"])
    found = json.loads(done.output)
    yield str(found["questions"])
    for ranking in ("dense", "served"):
        before, after = (found[side][ranking]["ndcg@10"] for side in ("before", "after"))
        yield f"{before:.3f} -> {after:.3f}"
        yield _gain(found, ranking, "ndcg@10")
    yield f"{found['before']['words']['ndcg@10']:.3f}"
    yield _gain(found, "dense", "recall@10")
    yield _gain(found, "dense", "iou@5")
    yield "yes" if found["accepted"] else f"no: {found['why']}"
    yield f"{done.seconds / 60:.1f} ({found['train_seconds'] / 60:.1f})"
    yield f"{done.peak:,.0f}"


def _gain(found: dict[str, Any], ranking: str, figure: str) -> str:
    before, after = (found[side][ranking][figure] for side in ("before", "after"))
    low, high = found["gains"][ranking][figure]
    return f"{after - before:+.3f} [{low:+.3f}, {high:+.3f}]"


if __name__ == "__main__":
    main()
