from __future__ import annotations

import json
from typing import Any

import pytest

from connectors.parsing.formats import FORMATS
from rag.errors import DocumentError

parse = FORMATS[".ipynb"].read


def notebook(*cells: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"nbformat": 4, "metadata": {}, "cells": list(cells), **more}).encode()


def markdown(*lines: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "source": [f"{line}\n" for line in lines]}


def code(source: str, *outputs: dict[str, Any]) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "outputs": list(outputs)}


def test_cells_are_read_in_order_and_headings_run_on_over_them() -> None:
    parsed = parse(
        notebook(
            markdown("# Sales", "", "How we counted."),
            code("total = 5", {"output_type": "stream", "text": ["5\n"]}),
            markdown("## North", "", "| a | b |", "|---|---|", "| 1 | 2 |"),
            code("1 / 0"),
            markdown("# Costs"),
            metadata={"language_info": {"name": "python"}},
        )
    )
    assert parsed.text == (
        "# Sales\n\nHow we counted.\n\ntotal = 5\n\n5\n\n"
        "## North\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n1 / 0\n\n# Costs"
    )
    said = [(each.kind, each.title, each.span.text_in(parsed.text)) for each in parsed.sections]
    assert [each[:2] for each in said] == [
        ("section", "Sales"),
        ("section", "North"),
        ("table", ""),
        ("section", "Costs"),
    ]
    assert said[0][2].startswith("# Sales")
    assert said[0][2].rstrip().endswith("1 / 0")
    assert said[1][2].rstrip().endswith("1 / 0")
    assert said[2][2].strip() == "| a | b |\n|---|---|\n| 1 | 2 |"
    assert parsed.title == "Sales"
    assert parsed.meta == {"language": "python"}


def test_text_is_read_of_outputs_and_no_picture_and_not_too_much() -> None:
    parsed = parse(
        notebook(
            code(
                "show()",
                {"output_type": "display_data", "data": {"image/png": "iVBOR" * 100}},
                {"output_type": "execute_result", "data": {"text/plain": ["a", "b"]}},
                {"output_type": "error", "traceback": ["boom"]},
                {"output_type": "stream", "text": "x" * 10_000},
            )
        )
    )
    assert parsed.text == f"show()\n\nab\n\n{'x' * 2_000}"


def test_format_3_is_read_too() -> None:
    book = {
        "nbformat": 3,
        "worksheets": [
            {
                "cells": [
                    {"cell_type": "heading", "level": 2, "source": "Old"},
                    {"cell_type": "code", "input": "print 1", "outputs": [{"text": "1"}]},
                ]
            }
        ],
    }
    parsed = parse(json.dumps(book).encode())
    assert parsed.text == "## Old\n\nprint 1\n\n1"
    assert [(each.title, each.level) for each in parsed.sections] == [("Old", 2)]


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"[]",
        b"{}",
        b'{"cells": 5}',
        b'{"cells": []}',
        b'{"worksheets": [5]}',
        b"[" * 100_000,
        b'{"cells": [5, {}, {"cell_type": "code", "source": 5, "outputs": 7}]}',
    ],
)
def test_what_is_no_notebook_is_one_line(data: bytes) -> None:
    with pytest.raises(DocumentError, match=r"notebook|empty"):
        parse(data)
