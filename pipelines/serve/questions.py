"""`/v1/search` and `/v1/query`."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from pipelines.payloads import answer_to_json, hit_to_json
from pipelines.serve.answers import Found, QueryAnswer
from pipelines.serve.asking import Asked, Finished, Happening, Staged
from pipelines.serve.callers import Asker, state_of
from pipelines.serve.keys import Access
from pipelines.serve.problems import Problem, problem_json
from pipelines.serve.schemas import PostQuery, PostSearch
from pipelines.serve.state import ServerState
from pipelines.serve.streams import begun, event, kept_alive, unless_gone
from rag.store import Condition, parse_condition

__all__ = ["EVENTS", "GONE", "PATHS", "events_of", "router"]

EVENTS: dict[str, Any] = {
    "text/event-stream": {
        "itemSchema": {
            "type": "object",
            "properties": {"event": {"type": "string"}, "data": {"type": "string"}},
            "required": ["data"],
        }
    }
}
"""Server-sent events, as OpenAPI (3.2) describes them."""

PATHS = frozenset(("/v1/search", "/v1/query"))
"""Of questions, each of which keeps the machine busy."""

GONE = Response(status_code=499)
"""For a client that is not there to read it; the number is nginx's."""

router = APIRouter(tags=["questions"])


@router.post("/v1/search", response_model=Found, response_model_exclude_unset=True)
async def search(body: PostSearch, request: Request, caller: Asker) -> Any:
    """Find the chunks nearest to a question; no language model is asked."""
    desk = state_of(request).desk
    conditions = _conditions(body, caller)
    found = await unless_gone(request, desk.search(body.question, body.top_k, conditions))
    if found is None:
        return GONE
    hits = [hit_to_json(each.chunk, each.score) for each in found.hits]
    answer: dict[str, Any] = {"question": body.question, "hits": hits}
    if found.searched:
        answer |= {"searched": found.searched, "degraded": found.degraded}
    return answer


@router.post(
    "/v1/query",
    response_model=QueryAnswer,
    responses={
        200: {
            "content": EVENTS,
            "description": "The answer, or with `stream` events: `stage` (a stage is done), `text` "
            "(more of the answer, not verified yet), `answer` (all of it), `error` (a problem).",
        }
    },
)
async def query(body: PostQuery, request: Request, caller: Asker) -> Any:
    """Answer a question, with citations and the token ledger."""
    state = state_of(request)
    asked = Asked(body.question, body.options, body.top_k, _conditions(body, caller), body.explain)
    if body.stream:
        happenings = await unless_gone(request, begun(state.desk.ask(asked)))
        if happenings is None:
            return GONE
        return StreamingResponse(
            kept_alive(_events(happenings, state)), media_type="text/event-stream"
        )
    finished = await unless_gone(request, state.desk.finish(asked))
    if finished is None:
        return GONE
    state.metrics.book(finished.answer.ledger, abstained=finished.answer.abstained)
    return _finished_to_json(finished)


def _conditions(body: PostSearch, caller: Access) -> tuple[Condition, ...]:
    """Those of the caller and those asked for: all have to be met, so none can widen another."""
    return (*caller.conditions, *map(parse_condition, body.filters))


def _finished_to_json(finished: Finished) -> dict[str, Any]:
    return {**answer_to_json(finished.answer), "explanation": finished.explanation}


async def events_of(
    happenings: AsyncGenerator[Happening, None], state: ServerState
) -> AsyncGenerator[Happening | Problem, None]:
    """What happens, an error as the last of it; answers are counted."""
    try:
        async for what in happenings:
            if isinstance(what, Finished):
                state.metrics.book(what.answer.ledger, abstained=what.answer.abstained)
            yield what
    except Exception as error:  # noqa: BLE001  the answer has begun: it is told in it
        yield Problem.of(error)
    finally:
        await happenings.aclose()


async def _events(
    happenings: AsyncGenerator[Happening, None], state: ServerState
) -> AsyncGenerator[bytes, None]:
    async for what in events_of(happenings, state):
        if isinstance(what, Problem):
            yield event(problem_json(what), "error")
        elif isinstance(what, Finished):
            yield event(_finished_to_json(what), "answer")
        elif isinstance(what, Staged):
            passages = len(what.context.passages)
            yield event({"stage": what.stage, "passages": passages}, "stage")
        else:
            yield event({"text": what.text}, "text")
