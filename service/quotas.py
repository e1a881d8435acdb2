"""The quota of requests, which middleware checks once the caller is known, and the headers that tell the allowance.

``RateLimit-Limit``, ``RateLimit-Remaining`` and ``RateLimit-Reset`` are those of "RateLimit header fields for HTTP",
draft 06 (https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers-06), which clients know.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from starlette.datastructures import MutableHeaders
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.access import match_route
from service.errors import problem_from, problem_response
from winnow.core.errors import RateLimited
from winnow.core.principal import Principal
from winnow.operations.quotas import Allowance

UseRequest: TypeAlias = Callable[[Principal], Awaitable[Allowance | None]]


class RequestQuota:
    """Answers 429 to a caller who has sent too many requests, before their bodies are read.

    Args:
        routes: name the error shape of an answer.
        use: counts a request of a caller.
    """

    def __init__(self, app: ASGIApp, *, routes: Sequence[BaseRoute], use: UseRequest) -> None:
        self.app = app
        self.routes = routes
        self.use = use

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal: Principal | None = scope.get("state", {}).get("principal")
        if scope["type"] != "http" or principal is None:  # an open path
            await self.app(scope, receive, send)
            return
        try:
            left = await self.use(principal)
        except RateLimited as error:
            match_route(self.routes, scope)
            await problem_response(scope, problem_from(error))(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start" and left is not None:
                headers = MutableHeaders(scope=message)
                headers.setdefault("RateLimit-Limit", str(left.limit))
                headers.setdefault("RateLimit-Remaining", str(left.remaining))
                headers.setdefault("RateLimit-Reset", str(math.ceil(left.reset_seconds)))
            await send(message)

        await self.app(scope, receive, send_with_headers)
