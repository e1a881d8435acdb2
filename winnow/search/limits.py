"""The limits of a search: the ranges of its parameters, and its deadline."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable
from contextvars import ContextVar
from typing import Final, TypeVar

from winnow.core.errors import DeadlineExceeded, Forbidden, InvalidQuery, UpstreamUnavailable, WinnowError
from winnow.core.search import SearchRequest
from winnow.core.text import is_encodable

MAX_QUERY_CHARS: Final = 8192
MAX_TOP_K: Final = 1000
MAX_TOP_N: Final = 100

_Answer = TypeVar("_Answer")
_stage_end: ContextVar[float] = ContextVar("stage_end", default=math.inf)  # by time.perf_counter


def stage_seconds_left() -> float:
    """Seconds until the end of the stage that runs in this context; 0 when the time is up, infinite outside a search.

    Tasks that a stage starts know it too, which a parameter could not reach through the ports.
    """
    return max(0.0, _stage_end.get() - time.perf_counter())


class SearchDeadline:
    """A point in time that a search must not run past."""

    def __init__(self, budget_ms: float) -> None:
        self._budget = budget_ms / 1000
        self._started = time.perf_counter()
        self._end = self._started + self._budget

    def left(self) -> float:
        """Seconds left, 0 when the time is up."""
        return max(0.0, self._end - time.perf_counter())

    def spent_ms(self) -> float:
        """Milliseconds since the search began."""
        return (time.perf_counter() - self._started) * 1000

    async def within(self, work: Awaitable[_Answer], stage: str, *, share: float = 1.0) -> _Answer:
        """Wait for ``work`` while time is left, up to a ``share`` of the whole budget.

        Raises:
            UpstreamUnavailable: the time is up, and it went on repeating a call that failed.
            DeadlineExceeded: the time is up; it names the stage.
        """
        left = min(self.left(), share * self._budget)
        token = _stage_end.set(time.perf_counter() + left)
        try:
            async with asyncio.timeout(left):
                return await work
        except TimeoutError as error:
            failure = error.__cause__ and error.__cause__.__cause__  # a call that was given up, and why it was repeated
            if isinstance(failure, WinnowError):
                message = f"the search's budget ran out in stage {stage}, whose call failed: {failure.message}"
                raise UpstreamUnavailable(message, retry_after=failure.retry_after) from error
            part = "budget" if share == 1 else f"share of the budget ({left:.2g} s)"
            raise DeadlineExceeded(f"the search's {part} ran out in stage {stage}; raise budget_ms") from error
        finally:
            _stage_end.reset(token)


def check_request(request: SearchRequest, *, max_top_n: int | None = None) -> None:
    """Check that every parameter is in range.

    Raises:
        InvalidQuery: names the one that is not.
        Forbidden: more results are asked for than ``max_top_n``.
    """
    query, top_k, top_n = request.query, request.top_k, request.top_n
    if not query.strip():
        raise InvalidQuery("query is empty", location=("query",))
    if len(query) > MAX_QUERY_CHARS:
        message = f"query has {len(query):,} characters; the limit is {MAX_QUERY_CHARS:,}"
        raise InvalidQuery(message, location=("query",))
    if not is_encodable(query):
        raise InvalidQuery("query has lone surrogates, which UTF-8 cannot hold", location=("query",))
    for name, value, most in (("top_k", top_k, MAX_TOP_K), ("top_n", top_n, MAX_TOP_N)):
        if not 1 <= value <= most:
            raise InvalidQuery(f"{name} is 1 to {most}, not {value}", location=(name,))
    if max_top_n is not None and top_n > max_top_n:
        raise Forbidden(f"top_n is {top_n}; the credential allows at most {max_top_n} results", location=("top_n",))
    if top_n > top_k:
        message = f"top_n ({top_n}) is larger than top_k ({top_k}): no more results than candidates"
        raise InvalidQuery(message, location=("top_n",))
