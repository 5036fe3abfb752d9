"""What a server's errors are to those who ask: whether the same may work later."""

from __future__ import annotations

import httpx
import pytest
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from rag.errors import StoreAway, StoreError
from rag.store.server import _translated


def answered(status: int) -> UnexpectedResponse:
    return UnexpectedResponse(status, "why", b"{}", httpx.Headers())


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
