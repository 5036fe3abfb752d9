"""`/v1/chat/completions` and `/v1/models`: what clients of the OpenAI API talk to.

The last message of the user is the question; what was said before is not read. An answer has a
field of its own, `spanrag`, with what `/v1/query` answers. Streamed text comes as the model writes
it, before it is verified; `spanrag.answer` in the last chunk is what stands.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from pipelines.payloads import answer_to_json
from pipelines.serve.answers import ModelOut, Models
from pipelines.serve.asking import Asked, Finished, Happening, Written
from pipelines.serve.callers import Asker, Reader, state_of
from pipelines.serve.problems import Problem, problem_json
from pipelines.serve.questions import EVENTS, GONE, events_of
from pipelines.serve.schemas import LONGEST, PostChat
from pipelines.serve.state import ServerState
from pipelines.serve.streams import begun, event, kept_alive, unless_gone
from rag.errors import UsageError
from rag.types import Answer

__all__ = ["PATHS", "router"]

MODEL = "spanrag"
PATHS = frozenset(("/v1/chat/completions",))

router = APIRouter(tags=["OpenAI-compatible"])


@router.get("/v1/models", response_model=Models)
async def models(caller: Reader) -> Models:
    """The one model there is: questions put to the index."""
    del caller
    return Models(data=[ModelOut(id=MODEL)])


@router.get("/v1/models/{name}", response_model=ModelOut)
async def model(name: str, caller: Reader) -> ModelOut:
    """That one."""
    del caller
    if name != MODEL:
        raise Problem(404, "model_not_found", f"there is no model but {MODEL}")
    return ModelOut(id=MODEL)


@router.post(
    "/v1/chat/completions",
    responses={200: {"content": {"application/json": {"schema": {"type": "object"}}, **EVENTS}}},
)
async def chat(body: PostChat, request: Request, caller: Asker) -> Any:
    """Answer the last message of the user."""
    state = state_of(request)
    asked = Asked(_question(body), conditions=tuple(caller.conditions))
    head = {
        "id": f"chatcmpl-{secrets.token_hex(12)}",
        "created": int(time.time()),
        "model": MODEL,
    }
    if body.stream:
        happenings = await unless_gone(request, begun(state.desk.ask(asked)))
        if happenings is None:
            return GONE
        return StreamingResponse(
            kept_alive(_chunks(happenings, state, head, with_usage=_wants_usage(body))),
            media_type="text/event-stream",
        )
    answer = await unless_gone(request, state.desk.answer(asked))
    if answer is None:
        return GONE
    state.metrics.book(answer.ledger, abstained=answer.abstained)
    message = {"role": "assistant", "content": answer.text}
    return {
        **head,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": _usage(answer),
        "spanrag": answer_to_json(answer),
    }


def _question(body: PostChat) -> str:
    asked = [each.text.strip() for each in body.messages if each.role == "user"]
    if not asked or not asked[-1]:
        raise UsageError(
            "the conversation has no question", hint="let its last user message be one"
        )
    if len(asked[-1]) > LONGEST:
        raise UsageError(
            f"the question has more than {LONGEST} characters", hint="ask in fewer words"
        )
    return asked[-1]


def _wants_usage(body: PostChat) -> bool:
    return bool(body.stream_options and body.stream_options.include_usage)


def _usage(answer: Answer) -> dict[str, int]:
    """In the units of the API: what went into language models, and what came out."""
    total = sum(entry.llm_tokens for entry in answer.ledger)
    written = sum(e.tokens_out for e in answer.ledger if e.stage == "generate" and e.llm_calls)
    written = min(written, total)
    return {
        "prompt_tokens": total - written,
        "completion_tokens": written,
        "total_tokens": total,
    }


async def _chunks(
    happenings: AsyncGenerator[Happening, None],
    state: ServerState,
    head: dict[str, Any],
    *,
    with_usage: bool,
) -> AsyncGenerator[bytes, None]:
    chunked = {**head, "object": "chat.completion.chunk"}

    def chunk(delta: dict[str, str], finish: str | None = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return event({**chunked, "choices": [choice], **more})

    yield chunk({"role": "assistant", "content": ""})
    written = False
    async for what in events_of(happenings, state):
        if isinstance(what, Problem):
            yield event(problem_json(what))
            return  # without [DONE]: it is not
        if isinstance(what, Written):
            written = True
            yield chunk({"content": what.text})
        elif isinstance(what, Finished):
            if not written:  # what is copied, or decided at the end, is there at once
                yield chunk({"content": what.answer.text})
            usage = _usage(what.answer)
            yield chunk({}, "stop", usage=usage, spanrag=answer_to_json(what.answer))
            if with_usage:  # once more, in a chunk of its own: where that API has it
                yield event({**chunked, "choices": [], "usage": usage})
    yield event("[DONE]")
