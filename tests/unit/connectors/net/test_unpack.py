from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.net.unpack import TooLarge, bounded, unpack

BODY = bytes(range(256)) * 3000


@given(st.binary(max_size=500_000), st.integers(1, 70_000))
def test_any_cut_of_packed_bytes_unpacks(body: bytes, size: int) -> None:
    packed = gzip.compress(body)
    pieces = [packed[at : at + size] for at in range(0, len(packed), size)]
    assert b"".join(unpack(pieces)) == body


def test_no_piece_is_larger_than_64_kib_however_much_it_expands() -> None:
    packed = gzip.compress(bytes(20_000_000))
    sizes = list(map(len, unpack([packed])))
    assert sum(sizes) == 20_000_000
    assert max(sizes) <= 1 << 16


def test_members_in_a_row_are_one() -> None:
    packed = gzip.compress(BODY) + gzip.compress(b"") + gzip.compress(b"end")
    assert b"".join(unpack([packed])) == BODY + b"end"


def test_what_follows_is_passed_over() -> None:
    assert b"".join(unpack([gzip.compress(b"x") + b"\0\0\0", b"\0"])) == b"x"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"not gzip", id="not gzip"),
        pytest.param(gzip.compress(BODY)[:-1], id="a byte short"),
        pytest.param(gzip.compress(BODY)[:50], id="fifty bytes of it"),
    ],
)
def test_damage_is_an_error(data: bytes) -> None:
    with pytest.raises(zlib.error):
        list(unpack([data]))


def test_nothing_unpacks_to_nothing() -> None:
    assert list(unpack([])) == []
    assert list(unpack([b""])) == []


def test_a_bound_is_exact() -> None:
    assert list(bounded([b"ab", b"c"], 3)) == [b"ab", b"c"]
    with pytest.raises(TooLarge, match="larger than 2 bytes"):
        list(bounded([b"ab", b"c"], 2))
