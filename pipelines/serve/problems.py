"""What an error becomes: problem details (RFC 9457), with the codes of the command line."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from rag.errors import (
    ConfigError,
    DocumentError,
    ModelError,
    RagError,
    SourceError,
    StoreAway,
    StoreError,
    UsageError,
)

__all__ = [
    "Problem",
    "add_handlers",
    "failure_outside",
    "problem_json",
    "response",
    "told_outside",
    "without_places",
]

logger = logging.getLogger(__name__)

_STATUS: tuple[tuple[type[RagError], int], ...] = (
    (UsageError, 400),
    (DocumentError, 422),
    (SourceError, 502),
    (StoreError, 503),
    (ModelError, 502),
    (ConfigError, 500),
)
"""Of each kind of error, the first that fits."""

_INSIDE: tuple[tuple[type[RagError], str], ...] = (
    (StoreError, "the index does not answer"),
    (ModelError, "a model does not answer"),
    (ConfigError, "the server is not set up for this"),
)
"""What is said of errors that are the server's own: their messages name its folders and hosts."""

_SEE_LOG = "the server's log says why"

_SOON = {"Retry-After": "5"}  # the store may be back, or what took its place be taken up

_CODES = {404: "not_found", 405: "method", 408: "timeout", 413: "too_large"}
"""Of the refusals that are the framework's."""


_LONGEST = 500  # characters of what went wrong
_PLACE = re.compile(
    r"""(?: \b[A-Za-z][\w+.-]{0,19}://                     # an address
          | (?<![\w.<])(?:~|\.{1,2})?/[^\W\d]               # a path
          | (?<![\w.<])/[\w.-]+/[\w.-]                    # with figures
          | \b[A-Za-z]:\\                                  # of Windows
          | \bhost=
          | \b\d{1,3}(?:\.\d{1,3}){3}\b
          | \b[A-Za-z][\w-]{0,62}(?:\.[\w-]{1,62}){0,5}:\d{3,5}\b  # a host and its port
        )[^;]*""",
    re.VERBOSE,
)
"""Where something lies, and what follows it: a folder's name may hold anything."""


class Problem(Exception):
    """An answer that is a refusal.

    Args:
        status: of HTTP.
        code: as `rag --json` has it, or one of the server's own.
        detail: what went wrong, and how to mend it.
        headers: of the answer.
    """

    def __init__(
        self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})

    @classmethod
    def of(cls, error: BaseException) -> Problem:
        """What an error is to a client. What was not foreseen goes to the log and not to them."""
        if isinstance(error, Problem):
            return error
        kinds = [number for kind, number in _STATUS if isinstance(error, kind)]
        told = told_outside(error)
        detail = f"{told['message']}; {told['hint']}" if told["hint"] else told["message"]
        headers = _SOON if isinstance(error, StoreAway) else None
        return cls(kinds[0] if kinds else 500, told["code"], detail, headers)


def told_outside(error: BaseException) -> dict[str, str]:
    """Code, message and hint of an error, for those who ask; the log has what they are not told."""
    if not isinstance(error, RagError):
        logger.error("something unforeseen went wrong", exc_info=error)
        return {"code": "unexpected", "message": "something went wrong", "hint": _SEE_LOG}
    for kind, message in _INSIDE:
        if isinstance(error, kind):
            logger.error("%s", error)
            return {"code": error.code, "message": message, "hint": _SEE_LOG}
    return {"code": error.code, "message": error.message, "hint": error.hint}


def without_places(message: str) -> str:
    """What a stage says, for clients: without the hosts and folders it names.

    >>> without_places("without law: no index at /data/my law; LLM at http://llm:80/v1 is away")
    'without law: no index at [...]; LLM at [...]'
    >>> without_places("3 of 10 kept, evidence 0.97; said and/or repeated: 12/40")
    '3 of 10 kept, evidence 0.97; said and/or repeated: 12/40'
    """
    return _PLACE.sub("[...]", message[:_LONGEST])


def failure_outside(message: str) -> str:
    """The same of what went wrong, which the log has as it is: once, whoever asks how often."""
    told = without_places(message)
    if told != message:
        _log_once(message[: 4 * _LONGEST])
    return told


@lru_cache(256)
def _log_once(message: str) -> None:
    logger.warning("%s", message)


def problem_json(problem: Problem) -> dict[str, Any]:
    """The body. `error` is what clients of the OpenAI API look for."""
    return {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "error": {"message": problem.detail, "type": problem.code, "code": problem.code},
    }


def response(problem: Problem) -> JSONResponse:
    """The answer."""
    return JSONResponse(
        problem_json(problem),
        problem.status,
        problem.headers,
        media_type="application/problem+json",
    )


def add_handlers(app: FastAPI) -> None:
    """Have every error of an app become a problem."""

    async def of_http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        code = _CODES.get(error.status_code, "usage")
        headers = dict(error.headers or {})
        if error.status_code == 405:  # the framework names those of one route only
            headers["Allow"] = ", ".join(_methods(request))
        return response(Problem(error.status_code, code, str(error.detail), headers))

    async def of_body(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        fault = error.errors()[0]  # never its input: that may be a question or a document
        where = ".".join(map(str, fault["loc"]))
        return response(Problem(422, "usage", f"{where}: {fault['msg']}"))

    async def of_any(_: Request, error: Exception) -> JSONResponse:
        return response(Problem.of(error))

    app.add_exception_handler(HTTPException, of_http)
    app.add_exception_handler(RequestValidationError, of_body)
    app.add_exception_handler(Problem, of_any)
    app.add_exception_handler(RagError, of_any)


def _methods(request: Request) -> list[str]:
    """What the path of a request can be asked by."""
    return [
        method
        for method in ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    ]
