"""A search as server-sent events: ``instant``, ``retrieved`` and ``final``, each a whole answer.

In each answer a result says where it was in the one before: ``previous_rank``, null where it was not there. An error
after the first event is an event ``error``, a problem as other requests get it; before, it is an answer of its own. The
work ends when the caller hangs up.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

from fastapi import Request, Response
from sse_starlette import EventSourceResponse, ServerSentEvent

from service.answer import render_answer
from service.disconnect import while_connected
from service.errors import PROBLEM_DETAILS, problem_from
from service.lifespan import ServiceState
from service.wire import dumps
from winnow.core.errors import WinnowError
from winnow.core.principal import Principal
from winnow.core.search import SearchAnswer, SearchRequest
from winnow.operations.search_log import SearchRecord

EVENTS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/event-stream": {"example": 'event: instant\ndata: {"results": […], …}\n\n'}}}
}


def wants_events(request: Request) -> bool:
    """Whether the caller accepts events, and names them before JSON."""
    accepted = request.headers.get("accept", "")
    return "text/event-stream" in accepted and accepted.partition("text/event-stream")[0].find("json") < 0


async def stream_steps(
    request: Request, state: ServiceState, principal: Principal, asked: SearchRequest, record: SearchRecord | None
) -> Response:
    """Answer in steps. Raises as ``AdmittedWork.run_search`` where not even the first step succeeds."""
    steps: asyncio.Queue[tuple[str, SearchAnswer]] = asyncio.Queue()
    search = state.work.run_search(principal, asked, lambda name, answer: steps.put_nowait((name, answer)))
    work = asyncio.create_task(search)
    first = asyncio.create_task(steps.get())
    try:
        await while_connected(request.receive, asyncio.wait((work, first), return_when=asyncio.FIRST_COMPLETED))
        if not first.done():
            await work
    except BaseException:
        work.cancel()
        first.cancel()
        raise
    return EventSourceResponse(_events(request, work, await first, steps, record))


async def _events(
    request: Request,
    work: asyncio.Task[SearchAnswer],
    step: tuple[str, SearchAnswer],
    steps: asyncio.Queue[tuple[str, SearchAnswer]],
    record: SearchRecord | None,
) -> AsyncIterator[ServerSentEvent]:
    before: dict[tuple[object, ...], int] = {}
    try:
        while True:
            name, answer = step
            body = _with_moves(answer, before)
            if record is not None:
                body["search_id"] = await record.add(answer)
            yield ServerSentEvent(dumps(body).decode(), event=name)
            if name == "final":
                return
            following = asyncio.create_task(steps.get())
            await asyncio.wait((work, following), return_when=asyncio.FIRST_COMPLETED)
            if not following.done() and steps.empty():
                following.cancel()
                await work  # it failed: nothing else ends it without a last step
                return
            step = await following
    except WinnowError as error:
        body = PROBLEM_DETAILS.body(problem_from(error), request.scope.get("state", {}).get("request_id"))
        yield ServerSentEvent(dumps(body).decode(), event="error")
    finally:
        work.cancel()
        if record is not None:
            record.close()


def _with_moves(answer: SearchAnswer, before: dict[tuple[object, ...], int]) -> dict[str, Any]:
    """The answer's body with the rank of each result in the answer ``before``, which becomes this one."""
    body = render_answer(answer)
    keys = [_identity(answer, each) for each in body["results"]]
    for key, each in zip(keys, body["results"], strict=True):
        each["previous_rank"] = before.get(key)
    before.clear()
    before.update({key: each["rank"] for key, each in zip(keys, body["results"], strict=True)})
    return body


def _identity(answer: SearchAnswer, result: dict[str, Any]) -> tuple[object, ...]:
    part = result["chunk"]["index"] if answer.request.group_by == "chunk" else None
    return result["document_id"], part
