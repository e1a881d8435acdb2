"""Refusals of searches that the application does not see, because it has just refused the same caller the same thing.

At six times the capacity five searches are turned away for each that is answered. Through all middleware one costs a
twentieth of a search, so that the answers would be a fifth fewer. A few fields of its head decide whether a search gets
to the queue; while they are the same, so is the answer, but for the queue, which is asked each time.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import orjson
import structlog
from starlette.types import Scope

from service.errors import PROBLEM_DETAILS, STATUS, problem_from
from service.request_fields import request_id_of
from service.shedding import SEARCH_PATH, Refusal
from winnow.core.errors import Overloaded
from winnow.core.principal import Principal
from winnow.operations.access import SECONDS
from winnow.operations.metrics import Metrics

Fields: TypeAlias = Sequence[tuple[bytes, bytes]]
_Head: TypeAlias = tuple[bytes, bytes, tuple[tuple[bytes, bytes], ...]]

_DECIDING: Final = frozenset(
    {b"authorization", b"host", b"origin", b"sec-fetch-mode", b"sec-fetch-site", b"x-forwarded-prefix"}
)
_AWAITED: Final = frozenset({b"expect", b"upgrade"})  # the client waits for more than an answer
_METHODS: Final = ("GET", "POST")
_OWN: Final = (b"content-length", b"ratelimit-", b"retry-after", b"x-request-id")  # fields of one answer alone
_MOST: Final = 10_000
_REPORT_SECONDS: Final = 1.0
_STATUS: Final = STATUS[Overloaded]


class _Known(NamedTuple):
    """A search that was turned away: whose, of which collection, the fields of its answer, and until when it counts."""

    principal: Principal
    collection: str
    answer: bytes
    until: float


class RepeatedRefusals:
    """Remembers who was turned away, for as long as a change of keys may go unseen.

    Its refusals count in the metrics as others do, but not towards a caller's quota of requests; they have no trace,
    and a line in the log for all of a second.

    Args:
        refusal: the error, where a caller's search is turned away whatever its budget; counts it.
        is_ending: whether the process is about to stop, when nothing is answered here.
    """

    def __init__(self, refusal: Refusal, metrics: Metrics, is_ending: Callable[[], bool]) -> None:
        self._refusal = refusal
        self._metrics = metrics
        self._is_ending = is_ending
        self._known: dict[_Head, _Known] = {}
        self._counts: Counter[tuple[str, str]] = Counter()
        self._log: Any = structlog.get_logger("winnow.access")

    def again(self, method: bytes, target: bytes, fields: Fields) -> bytes | None:
        """Fields and body of the answer to a search that is turned away as one like it was; else ``None``.

        Args:
            method: of the request line.
            target: of the request line.
            fields: of the head, their names in small letters.
        """
        if not self._known:
            return None
        began = time.perf_counter()
        head = _head(method, target.partition(b"?")[0], fields)
        known = self._known.get(head)
        if known is None or self._is_ending() or any(name in _AWAITED for name, _ in fields):
            return None
        if time.monotonic() > known.until:
            del self._known[head]
            return None
        error = self._refusal(known.principal)
        if error is None:
            return None
        given = next((value for name, value in fields if name == b"x-request-id"), b"")
        problem, request_id = problem_from(error), request_id_of(given.decode("latin-1"))
        body = orjson.dumps(PROBLEM_DETAILS.body(problem, request_id))
        retry_after = (problem.headers or {})["Retry-After"]
        own = f"retry-after: {retry_after}\r\nx-request-id: {request_id}\r\n"
        self._count(method.decode(), known.collection, time.perf_counter() - began)
        return b"%s%scontent-length: %d\r\n\r\n%s" % (known.answer, own.encode(), len(body), body)

    def note(self, scope: Scope, principal: Principal, collection: str, answered: Fields) -> None:
        """Remember a search of ``principal`` that was turned away, and the fields with which it was answered."""
        is_usual = scope["method"] in _METHODS and "raw_path" in scope and principal.kind != "local"
        if not is_usual or self._is_ending():
            return
        if len(self._known) >= _MOST:
            self._known.clear()
        head = _head(scope["method"].encode(), scope["raw_path"], scope["headers"])
        lines = b"".join(b"%s: %s\r\n" % each for each in answered if not each[0].lower().startswith(_OWN))
        self._known[head] = _Known(principal, collection, lines, time.monotonic() + SECONDS)

    def _count(self, method: str, collection: str, seconds: float) -> None:
        self._metrics.observe_http("api", SEARCH_PATH, method, _STATUS, seconds)
        if not self._counts:
            asyncio.get_running_loop().call_later(_REPORT_SECONDS, self._report)
        self._counts[method, collection] += 1

    def _report(self) -> None:
        for (method, collection), count in self._counts.items():
            where = {"route": SEARCH_PATH, "collection": collection[:64]}
            self._log.info("requests turned away", method=method, **where, status=_STATUS, count=count)
        self._counts.clear()


def _head(method: bytes, path: bytes, fields: Fields) -> _Head:
    return method, path, tuple([each for each in fields if each[0] in _DECIDING])
