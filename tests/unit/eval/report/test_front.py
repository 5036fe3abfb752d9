from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.compare import Difference
from eval.report.front import Point, Searched, edge, scatter, write_front
from eval.stats import Interval

PLACES = st.lists(st.tuples(st.integers(1, 6).map(float), st.integers(0, 6).map(float)), max_size=9)


def point(number: int, recall: float, iou: float, tokens: float, front: bool = True) -> Point:
    settings = {"chunking.kind": "sentences", "chunking.size": 50 * (number + 1)}
    return Point(number, recall, iou, tokens, front, settings)


def searched(**changes: object) -> Searched:
    gain = [
        Difference("context", "recall", 0.7, 0.8, Interval(0.05, 0.15), 20),
        Difference("context", "iou", 0.3, 0.35, Interval(-0.01, 0.1), 20),
        Difference("context", "tokens", 60.0, 40.0, Interval(-30.0, -10.0), 20),
    ]
    points = [
        point(0, 0.7, 0.3, 60, front=False), point(1, 0.8, 0.35, 40), point(3, 0.9, 0.1, 400),
    ]  # fmt: skip
    whole = Searched(
        points=points, given=0, chosen=1, goal="the greatest <IoU>", met=True, least_recall=0.7,
        most_tokens=None, failed=1, tuned_on=18, gain=gain, left_out=2,
        command="rag eval tune --questions 'a <b>.jsonl'", profile="tuned.toml",
    )  # fmt: skip
    return replace(whole, **changes)  # type: ignore[arg-type]


@pytest.fixture
def page(tmp_path: Path) -> str:
    write_front(tmp_path / "page.html", searched())
    return (tmp_path / "page.html").read_text("utf-8")


def test_the_page_tells_what_was_wanted_found_and_worth(page: str) -> None:
    text = re.sub(r"\s+", " ", re.sub(r"<svg.*?</svg>", "", page, flags=re.DOTALL))
    assert "4 trials, 1 of them failed, on 18 questions. Wanted: the greatest &lt;IoU&gt;." in text
    assert "a &lt;b&gt;.jsonl" in text
    assert "+10.0 <small>(+5.0 to +15.0)</small></td> <td>real</td>" in text
    assert "(-1.0 to +10.0)</small></td> <td>not told from nought</td>" in text
    assert "-20.0 <small>(-30.0 to -10.0)" in text
    assert "2 questions are left out" in text
    assert "No trial does what was wanted" not in text


def test_only_the_front_and_what_was_varied_are_listed(page: str) -> None:
    table = page[page.index("<h2>The front") :]
    assert re.findall(r"<tr><td>(\d+)", table) == ["1", "3"]  # fewest tokens first
    assert "chunking. size" in table
    assert "chunking. kind" not in table


def test_a_wish_that_was_not_met_is_said(tmp_path: Path) -> None:
    write_front(tmp_path / "page.html", searched(met=False))
    assert "No trial does what was wanted" in (tmp_path / "page.html").read_text("utf-8")


def test_plots_name_both_marks_and_are_the_same_each_time() -> None:
    plots = scatter(searched())
    assert plots == scatter(searched())
    for each in plots:
        assert ">as given<" in each
        assert ">chosen<" in each
    for each in scatter(searched(chosen=0)):
        assert ">as given, and chosen<" in each


def test_a_search_that_keeps_nothing_is_drawn_too() -> None:
    assert len(scatter(searched(points=[point(0, 0.0, 0.0, 0.0)], chosen=0))) == 2


@given(PLACES, st.booleans())
def test_the_line_joins_exactly_what_is_best_in_both(
    places: list[tuple[float, float]], fewer: bool
) -> None:
    side = -1 if fewer else 1
    best = {
        at
        for at in places
        if not any(side * x >= side * at[0] and y >= at[1] and (x, y) != at for x, y in places)
    }
    assert edge(places, fewer_is_better=fewer) == sorted(best)
