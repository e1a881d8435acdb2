"""Models as searches call them: behind a limit that follows their latency, and a circuit breaker.

A call that cannot end within what is left of its stage is not sent (``UpstreamSaturated``), and a model that failed is
left alone for seconds (``UpstreamUnavailable``): such a search goes on at once without the model. Documents pass
through: indexing follows the latency by itself, and its worker waits where a model is down.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from winnow.core.errors import DeadlineExceeded, UpstreamSaturated, UpstreamUnavailable
from winnow.core.instruments import ModelCall
from winnow.ports import (
    EmbeddedQuery,
    Embedder,
    EmbedderInfo,
    Embeddings,
    EmbedKind,
    Passage,
    Remote,
    Reranker,
    RerankerInfo,
    Reranking,
    Tokenizer,
    earlier_of,
)
from winnow.search.admission_queue import AdmissionQueue, Ending, NoPlace, held_place
from winnow.search.breaker import Breaker
from winnow.search.latency_limit import LatencyLimit
from winnow.search.limits import stage_seconds_left

QUICK: Final = 0.05  # seconds of a call that need no shortening
_TICK: Final = 0.005  # by which a timer may fire before its time

_Answer = TypeVar("_Answer")


class ModelGuard:
    """The limit and the breaker of one model. Belongs to one event loop.

    Args:
        name: of the model, in messages.
        remote: whether it runs elsewhere, so that a search that waits for it leaves its own place to others.
        clock: a monotonic clock in seconds.
        breaker: of another guard of the same model, if there is one.
    """

    def __init__(
        self,
        name: str,
        *,
        remote: bool,
        clock: Callable[[], float] = time.monotonic,
        breaker: Breaker | None = None,
    ) -> None:
        self._name = name
        self._remote = remote
        self.queue = AdmissionQueue(LatencyLimit(quick=QUICK, clock=clock))
        self.breaker = breaker or Breaker(clock)

    async def call(self, work: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """Do ``work`` if it can end within the stage.

        Raises:
            UpstreamSaturated: it cannot, because of the calls that are there.
            UpstreamUnavailable: the model is down, or was a moment ago.
            DeadlineExceeded: the stage's time is up.
            Upstream: what ``work`` raises.
        """
        self.breaker.check()
        held = held_place.get()
        if held is None or not self._remote:
            return await self._admitted(work)
        with held.queue.lent(held):
            return await self._admitted(work)

    async def _admitted(self, work: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """Do ``work`` once it has a place at the model."""
        left = stage_seconds_left()
        try:
            place = self.queue.enter_now(left) or await self.queue.wait(left)
        except NoPlace as full:
            message = f"{self._name} has more calls than it can answer within the budget"
            raise UpstreamSaturated(message, retry_after=full.drain_seconds) from None
        how: Ending = "failed"
        try:
            answer = await self._watched(work)
        except DeadlineExceeded:
            how = "late"
            raise
        except asyncio.CancelledError:
            how = "late" if stage_seconds_left() <= _TICK else "failed"
            raise
        else:
            how = "done"
            return answer
        finally:
            self.queue.leave(place, how)

    async def _watched(self, work: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """Do ``work`` within the stage, and tell the breaker how it ended."""
        began, left, usual = self.breaker.begin(), stage_seconds_left(), self.queue.needed
        silence = f"{self._name} gave no answer within {left:.2g} s"
        try:
            async with asyncio.timeout(None if math.isinf(left) else left):
                answer = await work()
        except UpstreamUnavailable as error:
            self.breaker.fail(began, error.message)
            raise
        except TimeoutError as error:
            failure = error.__cause__ and error.__cause__.__cause__  # why the call that was given up was repeated
            if isinstance(failure, UpstreamUnavailable):
                silence = f"{silence}: {failure.message}"
            self.breaker.leave(began, silence, usual)
            raise DeadlineExceeded(silence) from error
        except asyncio.CancelledError:
            self.breaker.leave(began, silence, usual)
            raise
        except BaseException:
            self.breaker.succeed(began)
            raise
        self.breaker.succeed(began)
        return answer


class GuardedEmbedder(Embedder):
    """An embedder whose queries are guarded.

    Args:
        embedder: is closed with this wrapper; its ``earlier`` is not.
        guard: shared with the same model's ``earlier``.

    Attributes:
        unguarded: ``embedder``.
    """

    def __init__(self, embedder: Embedder, guard: ModelGuard | None = None) -> None:
        self.unguarded = embedder
        self.guard = guard or ModelGuard(_named(embedder.info), remote=isinstance(embedder, Remote))
        earlier = earlier_of(embedder)
        self.earlier: Embedder | None = None if earlier is None else GuardedEmbedder(earlier, self.guard)

    @property
    def info(self) -> EmbedderInfo:
        return self.unguarded.info

    @property
    def tokenizer(self) -> Tokenizer:
        return self.unguarded.tokenizer

    async def embed(self, texts: Sequence[str], kind: EmbedKind, *, instruct: str | None = None) -> Embeddings:
        if kind == "document":
            return await self._measured(texts, kind, instruct)
        return await self.guard.call(lambda: self._measured(texts, kind, instruct))

    async def _measured(self, texts: Sequence[str], kind: EmbedKind, instruct: str | None) -> Embeddings:
        with ModelCall("embed", self.unguarded.info.model) as call:
            embeddings = await self.unguarded.embed(texts, kind, instruct=instruct)
            call.read(embeddings.token_count)
            return embeddings

    async def close(self) -> None:
        await self.unguarded.close()


class GuardedReranker(Reranker):
    """A reranker whose calls are guarded. ``reranker`` is closed with this wrapper.

    Args:
        breaker: of another guard of the same model, if there is one.
    """

    def __init__(self, reranker: Reranker, breaker: Breaker | None = None) -> None:
        self._reranker = reranker
        self.guard = ModelGuard(_named(reranker.info), remote=isinstance(reranker, Remote), breaker=breaker)

    def for_texts(self) -> GuardedReranker:
        """The same model for texts that callers send: the breaker is shared, the limit is not.

        Such calls have other sizes than those of searches, whose limit follows the time that they take.
        """
        return GuardedReranker(self._reranker, self.guard.breaker)

    @property
    def info(self) -> RerankerInfo:
        return self._reranker.info

    async def rerank(
        self, query: EmbeddedQuery, passages: Sequence[Passage], *, instruct: str | None = None
    ) -> Reranking:
        return await self.guard.call(lambda: measured_rerank(self._reranker, query, passages, instruct))

    async def close(self) -> None:
        await self._reranker.close()


async def measured_rerank(
    reranker: Reranker, query: EmbeddedQuery, passages: Sequence[Passage], instruct: str | None
) -> Reranking:
    """Rerank, and count the time and the tokens of the call. Raises as the reranker does."""
    with ModelCall("rerank", reranker.info.model) as call:
        reranking = await reranker.rerank(query, passages, instruct=instruct)
        call.read(reranking.tokens)
        return reranking


def _named(info: EmbedderInfo | RerankerInfo) -> str:
    return f"{info.model} ({info.provider})"
