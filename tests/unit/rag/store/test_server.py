"""What a server's errors are to those who ask: whether the same may work later."""

from __future__ import annotations

import httpx
import pytest
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from rag.errors import StoreAway, StoreError
from rag.store.server import _translated


def answered(status: int, said: bytes = b"{}") -> UnexpectedResponse:
    return UnexpectedResponse(status, "why", said, httpx.Headers())


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (ResponseHandlingException(httpx.ConnectError("refused")), True),
        (ResourceExhaustedResponse("too many", 3), True),
        (answered(401), True),  # a key that is being changed
        (answered(404), True),  # a collection in whose place another is served
        (answered(500), True),
        (answered(400), False),
        (answered(413), False),
        (ValueError("no such vector"), False),
    ],
    ids=str,
)
def test_all_but_refusals_pass(error: Exception, passes: bool) -> None:
    with pytest.raises(StoreError) as raised, _translated("http://q, collection 'x'"):
        raise error
    assert isinstance(raised.value, StoreAway) is passes
    assert "http://q, collection 'x'" in str(raised.value)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b'{"status": {"error": "Wrong input:\\n Vector dimension error"}}', "Wrong input: Vector"),
        (b'{"status": "no"}', "400 (why); check"),
        (b"<html>", "400 (why); check"),
        (b"[]", "400 (why); check"),
        (b'{"status": {"error": "' + b"x" * 900 + b'"}}', "x" * 300 + ";"),
    ],
)
def test_what_the_server_says_is_told_in_one_line(said: bytes, told: str) -> None:
    with pytest.raises(StoreError) as raised, _translated("http://q"):
        raise answered(400, said)
    line = f"{raised.value.message}; {raised.value.hint}"
    assert told in line
    assert "\n" not in line
