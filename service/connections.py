"""uvicorn's HTTP/1.1 protocol with limits for each connection: size of heads, and time for heads, bodies and answers.

httptools reads any head for ever, so a few hundred slow connections, or one endless header, would hold the service.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any, Final, TypeAlias, cast

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from service.errors import (
    HEAD_TOO_LARGE,
    PROBLEM_DETAILS,
    TOO_MANY_CONNECTIONS,
    TOO_SLOW,
    Problem,
    ProblemKind,
    problem_response,
)
from service.http_protocol import RequestLines
from winnow.core.ids import new_id

MAX_HEAD_BYTES: Final = 64 << 10
MAX_FIELDS: Final = 100
HEAD_SECONDS: Final = 10.0
BODY_SECONDS: Final = 60.0
ANSWER_SECONDS: Final = 60.0  # for which a client may read nothing of an answer
_CLOSE_SECONDS: Final = 1.0
Refused: TypeAlias = Callable[[bytes, bytes, Sequence[tuple[bytes, bytes]]], bytes | None]


class LimitedConnections(RequestLines):
    """Answers 431 to a large head and 408 to a slow head or body, and closes connections that do not go on.

    Attributes:
        max_connections: at which further requests are answered with 503.
        refused: the answer to a request that is refused by its head, of status 429, without its status line.
    """

    max_connections = 1000
    refused: Refused | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = True
        self._head_bytes = 0
        self._refusal: Problem | None = None
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._limit(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count the bytes of a head that is not complete, and pass everything on."""
        if self._in_head:
            if not self._head_bytes:
                self._limit(HEAD_SECONDS)
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refuse(HEAD_TOO_LARGE)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a field, unless there are too many."""
        super().on_header(name, value)
        if len(self.headers) > MAX_FIELDS or len(name) + len(value) > MAX_HEAD_BYTES:
            self._refusal = Problem(HEAD_TOO_LARGE, HEAD_TOO_LARGE.summary)
            raise ValueError("the head is too large")

    def on_headers_complete(self) -> None:
        """Begin to wait for the body."""
        self._in_head, self._head_bytes = False, 0
        self._limit(BODY_SECONDS)
        app = self.app
        if len(self.connections) > self.max_connections:
            self.app = _too_many
        elif self._is_refused():
            return
        super().on_headers_complete()
        self.app = app

    def _is_refused(self) -> bool:
        """Answer a request that is refused by its head. What it sends of a body is read and dropped."""
        is_busy = self.cycle is not None and not self.cycle.response_complete
        if self.refused is None or is_busy or not self.parser.should_keep_alive():
            return False
        answer = self.refused(self.parser.get_method(), self.url, self.headers)
        if answer is None:
            return False
        dated = b"".join(b"%s: %s\r\n" % each for each in self.server_state.default_headers)
        self.transport.write(b"%s%s%s" % (STATUS_LINE[HTTPStatus.TOO_MANY_REQUESTS], dated, answer))
        self.cycle = cast("RequestResponseCycle", _Answered)
        self.on_response_complete()
        return True

    def on_message_complete(self) -> None:
        """Wait for nothing but the answer."""
        self._in_head = True
        self._deadline = None
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer with what was found wrong."""
        if self._refusal is None:
            super().send_400_response(msg)
        else:
            self._answer(self._refusal)

    def pause_writing(self) -> None:
        """The client does not read its answer: begin to wait until it does."""
        super().pause_writing()
        self._limit(ANSWER_SECONDS)

    def resume_writing(self) -> None:
        """It reads again."""
        self._deadline = None
        super().resume_writing()

    def _limit(self, seconds: float) -> None:
        self._deadline = self.loop.time() + seconds
        if self._timer is None or self._timer.when() > self._deadline:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self.loop.call_at(self._deadline, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._deadline is None or self.transport.is_closing():
            return
        if self.flow.read_paused and not self.flow.write_paused:  # it is the service that does not read
            self._deadline = self.loop.time() + BODY_SECONDS
        if self._deadline > self.loop.time():
            self._timer = self.loop.call_at(self._deadline, self._look)
        elif self.flow.write_paused:
            self.transport.abort()
        else:
            self._refuse(TOO_SLOW)

    def _refuse(self, kind: ProblemKind) -> None:
        self._answer(Problem(kind, kind.summary))

    def _answer(self, problem: Problem) -> None:
        """Answer and close, unless an answer has begun; a connection that was idle is closed without."""
        begun = self.cycle is not None and self.cycle.response_started
        begun = begun and not (self._in_head and self.cycle.response_complete)
        silent = problem.kind is TOO_SLOW and not self._head_bytes and self._in_head
        if not begun and not silent:
            request_id = new_id("req")
            body = orjson.dumps(PROBLEM_DETAILS.body(problem, request_id))
            head = (
                f"HTTP/1.1 {problem.kind.status} {HTTPStatus(problem.kind.status).phrase}\r\n"
                f"Content-Type: {PROBLEM_DETAILS.media_type}\r\nContent-Length: {len(body)}\r\n"
                f"Connection: close\r\nX-Request-Id: {request_id}\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
        self.transport.close()
        self.loop.call_later(_CLOSE_SECONDS, self.transport.abort)  # a client that does not read keeps it open


class _Answered:
    """A request and its answer, for uvicorn, that has been answered without the application."""

    response_started = response_complete = True
    message_event = asyncio.Event()


async def _too_many(scope: Any, receive: Any, send: Any) -> None:
    problem = Problem(
        TOO_MANY_CONNECTIONS, TOO_MANY_CONNECTIONS.summary, headers={"Retry-After": "1", "Connection": "close"}
    )
    await problem_response(scope, problem)(scope, receive, send)
