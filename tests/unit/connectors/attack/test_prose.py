from __future__ import annotations

import pytest

from connectors.attack.prose import one_line, plain


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("Done.(Citation: A 2020)(Citation: B)", "Done. [A 2020] [B]"),
        ("Done. (Citation: DOJ (2020) Case) So", "Done. [DOJ (2020) Case] So"),
        ("(Citation: never closed", "(Citation: never closed"),
        ("[Mimikatz](https://attack.mitre.org/software/S0002) ran", "Mimikatz ran"),
        ("see [docs](https://example.org/a_(b))", "see docs (https://example.org/a_(b))"),
        ("<https://example.org>", "<https://example.org>"),
        ("run <code>dir /s</code>&nbsp;&amp; wait<br>now", "run `dir /s`\u00a0& wait\nnow"),
        ("a \n\n\n\nb\r\nc\n", "a\n\nb\nc"),
        ("&lt;code&gt;", "<code>"),
    ],
)
def test_markup_becomes_text(written: str, read: str) -> None:
    assert plain(written) == read


def test_one_line_is_cut_after_a_word() -> None:
    assert one_line("one\n\ntwo (Citation: X)", 50) == "one two [X]"
    assert one_line("word " * 50, 12) == "word word […]"
    assert one_line("x" * 50, 12) == f"{'x' * 12} […]"


@pytest.mark.parametrize("piece", ["(Citation: ", "(Citation: (", "[", "[a](http://a(", "&#", "( "])
def test_no_text_takes_long(piece: str) -> None:
    plain(piece * (200_000 // len(piece)))
