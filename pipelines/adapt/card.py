"""What an adapted embedder says of itself: a model card for people, a record for programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["write_card"]

_RECORD = "adaptation.json"

_CARD = """---
library_name: sentence-transformers
pipeline_tag: sentence-similarity
---
# {name}

{base}, adapted by spanrag {version} to one corpus of documents, without labels.

| | |
|---|---|
| method | {method} |
| vector | {dimension} numbers{words} |
| trained on | {trained} passages of {train_documents} documents |
| judged on | {questions} {kind} questions about {held_documents} other documents |
| time | {minutes:.1f} minutes |

| ranking | figure | before | after | gain, 95 % interval |
|---|---|---|---|---|
{rows}

`words` is BM25, for which the embedder makes no difference. Figures are of documents that training
did not see. They say nothing about other corpora, and questions about the same document are taken
for independent of each other. {compared}

## Use

    rag reindex --model {folder}

builds new vectors beside the old ones and swaps; `rag reindex --rollback` swaps back. With
sentence-transformers{beside}: `SentenceTransformer("{folder}"{trust})`.

## Limits

It was trained on the texts of that corpus; treat it as confidential as they are. Its licence
is that of its base, {base}.
"""


def write_card(folder: Path, record: dict[str, Any]) -> None:
    """Write `README.md` and `adaptation.json` into a model's folder.

    Args:
        folder: of the model.
        record: as `pipelines.adapt.run.Adaptation.to_payload` gives it.
    """
    (folder / _RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    ours = any(
        each["type"].startswith("rag.")
        for each in json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    )
    words = record["recipe"]["lexical_dims"]
    card = _CARD.format(
        name=record["model"],
        folder=record["model"],
        rows="\n".join(_rows(record)),
        kind="synthetic" if record["synthetic"] else "given",
        minutes=record["seconds"] / 60,
        method=record["recipe"]["method"],
        trust=", trust_remote_code=True" if ours else "",
        beside=" and spanrag installed" if ours else "",
        words=f", {words} of them for its words" if words else "",
        compared=_compared(record),
        **{
            key: record[key]
            for key in (
                "base", "version", "dimension", "trained", "train_documents", "questions",
                "held_documents",
            )
        },
    )  # fmt: skip
    (folder / "README.md").write_text(card, encoding="utf-8")


def _rows(record: dict[str, Any]) -> list[str]:
    rows: list[str] = []
    for ranking, figures in record["before"].items():
        for figure, before in figures.items():
            after = record["after"][ranking][figure]
            gain = record["gains"].get(ranking, {}).get(figure)
            shown = f"{after - before:+.3f} [{gain[0]:+.3f}, {gain[1]:+.3f}]" if gain else ""
            rows.append(f"| {ranking} | {figure} | {before:.3f} | {after:.3f} | {shown} |")
    return rows


def _compared(record: dict[str, Any]) -> str:
    """Whether the tuned embedder alone beats the untuned one fused with BM25."""
    tuned = record["after"]["dense"]["ndcg@10"]
    fused = record["before"]["served"]["ndcg@10"]
    verb = "beats" if tuned > fused else "does not beat"
    return f"By itself it {verb} what was served before ({tuned:.3f} against {fused:.3f} nDCG@10)."
