from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.parsing.refang import Refanged


@pytest.mark.parametrize(
    ("written", "whole"),
    [
        ("hxxp://a[.]b", "http://a.b"),
        ("hXXps[:]//a(.)b", "https://a.b"),
        ("hxxps[://]a{.}b", "https://a.b"),
        ("h**p://a[dot]b", "http://a.b"),
        ("fxp://a", "ftp://a"),
        ("joe[at]a(dot)b", "joe@a.b"),
        ("joe [at] a [dot] b", "joe@a.b"),
        ("joe[@]a.b", "joe@a.b"),
        ("a[.b", "a.b"),
        ("10.]0.0.1", "10.0.0.1"),
        ("2001[:]db8[:][:]1", "2001:db8::1"),
        ("http:[/][/]a", "http://a"),
        # The space that ends a sentence is not the mark's.
        ("see a[.]b[.] Then", "see a.b. Then"),
        ("nothing to mend. (See dots.)", "nothing to mend. (See dots.)"),
        ("hxxp is a spelling", "hxxp is a spelling"),
    ],
)
def test_what_is_disarmed_is_made_whole(written: str, whole: str) -> None:
    assert Refanged(written).text == whole


def test_the_way_back() -> None:
    written = "on hxxps[:]//a[.]b/c and d [dot] e"
    whole = Refanged(written)
    for found, there, disarmed in [
        ("https://a.b/c", "hxxps[:]//a[.]b/c", True),
        ("a.b", "a[.]b", True),
        ("b/c", "b/c", False),
        ("and", "and", False),
        ("d.e", "d [dot] e", True),
    ]:
        start = whole.text.index(found)
        assert whole.span(start, start + len(found)).text_in(written) == there
        assert whole.disarmed(start, start + len(found)) is disarmed


@given(st.text(alphabet="ahxtps.[]():/ d@{}", max_size=60))
def test_the_whole_is_the_whole_and_order_stays(written: str) -> None:
    whole = Refanged(written)
    assert whole.span(0, len(whole.text)).text_in(written) == written
    starts = [whole.span(at, len(whole.text)).start for at in range(len(whole.text))]
    assert starts == sorted(starts)


@given(st.text(alphabet="ab .:/", max_size=40))
def test_what_is_not_disarmed_stays_where_it_is(written: str) -> None:
    whole = Refanged(written)
    assert whole.text == written
    assert not whole.disarmed(0, len(written))
