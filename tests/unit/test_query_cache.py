"""The cache of query vectors."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from winnow.core.errors import UpstreamUnavailable
from winnow.ports import Embeddings, EmbedKind
from winnow.search.query_cache import CachedEmbedder, asked_by
from winnow.testing.models import FakeEmbedder


class Watched(FakeEmbedder):
    """Notes what it embeds; may be held up, and may fail."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[list[str]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.error: Exception | None = None
        self.closed = False

    async def embed(self, texts: Sequence[str], kind: EmbedKind, *, instruct: str | None = None) -> Embeddings:
        self.calls.append(list(texts))
        await self.open.wait()
        if self.error is not None:
            raise self.error
        return await super().embed(texts, kind, instruct=instruct)

    async def close(self) -> None:
        self.closed = True


@pytest.fixture
def inner() -> Watched:
    return Watched()


@pytest.fixture
def cached(inner: Watched) -> CachedEmbedder:
    return CachedEmbedder(inner, size=4)


async def settled() -> None:
    """Let every task run up to where it waits."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_query_is_embedded_once(inner: Watched, cached: CachedEmbedder) -> None:
    first, second = [await cached.embed(["copy a file"], "query") for _ in range(2)]
    assert inner.calls == [["copy a file"]]
    assert (first.cached, second.cached) == (False, True)
    assert (first.token_count, second.token_count) == (3, 0)
    np.testing.assert_array_equal(first.vectors, second.vectors)
    assert first.tokens is not None
    assert second.tokens is not None
    np.testing.assert_array_equal(first.tokens[0], second.tokens[0])
    assert second.coverage.tolist() == [1]


async def test_only_what_is_missing_is_embedded(inner: Watched, cached: CachedEmbedder) -> None:
    await cached.embed(["a"], "query")
    embedded = await cached.embed(["b", "a", "c", "b"], "query")
    assert inner.calls == [["a"], ["b", "c"]]
    assert not embedded.cached
    assert embedded.token_count == 2
    np.testing.assert_array_equal(embedded.vectors, (await FakeEmbedder().embed(list("bacb"), "query")).vectors)


async def test_canonically_equal_queries_are_one(inner: Watched, cached: CachedEmbedder) -> None:
    await cached.embed(["caf\u00e9"], "query")
    assert (await cached.embed(["cafe\u0301"], "query")).cached
    assert inner.calls == [["caf\u00e9"]]
    await cached.embed(["e\u0301te\u0301"], "query")
    assert inner.calls[-1] == ["\u00e9t\u00e9"], "which form comes first makes no difference"


async def test_another_instruct_is_another_query(inner: Watched, cached: CachedEmbedder) -> None:
    for instruct in (None, "find", "sort", "find", None, ""):
        await cached.embed(["a"], "query", instruct=instruct)
    assert len(inner.calls) == 3, "no instruct is the configured one"


async def test_documents_pass_through(inner: Watched, cached: CachedEmbedder) -> None:
    for _ in range(2):
        assert not (await cached.embed(["a"], "document")).cached
    assert len(inner.calls) == 2


async def test_the_least_recently_used_gives_way(inner: Watched, cached: CachedEmbedder) -> None:
    for text in "abcdae":
        await cached.embed([text], "query")
    assert (await cached.embed(["a"], "query")).cached
    assert not (await cached.embed(["b"], "query")).cached


async def test_a_call_larger_than_the_cache_is_whole(cached: CachedEmbedder) -> None:
    assert (await cached.embed([str(i) for i in range(9)], "query")).vectors.shape == (9, 64)


async def test_without_a_size_nothing_is_kept(inner: Watched) -> None:
    uncached = CachedEmbedder(inner, size=0)
    for _ in range(2):
        assert not (await uncached.embed(["a"], "query")).cached
    assert len(inner.calls) == 2


async def test_equal_queries_at_the_same_time_are_embedded_once(inner: Watched, cached: CachedEmbedder) -> None:
    inner.open.clear()
    calls = [asyncio.create_task(cached.embed(["a"], "query")) for _ in range(10)]
    await settled()
    inner.open.set()
    answers = await asyncio.gather(*calls)
    assert inner.calls == [["a"]]
    assert sum(answer.token_count for answer in answers) == 1
    assert not any(answer.cached for answer in answers)


async def test_a_leader_that_leaves_does_not_take_its_followers_along(inner: Watched, cached: CachedEmbedder) -> None:
    inner.open.clear()
    calls = [asyncio.create_task(cached.embed(["a"], "query")) for _ in range(3)]
    await settled()
    calls[0].cancel()
    await settled()
    inner.open.set()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert all(isinstance(answer, Embeddings) for answer in answers[1:])
    assert inner.calls == [["a"]]


async def test_what_all_have_left_is_not_embedded_any_further(inner: Watched, cached: CachedEmbedder) -> None:
    inner.open.clear()
    calls = [asyncio.create_task(cached.embed(["a"], "query")) for _ in range(3)]
    await settled()
    for call in calls:
        call.cancel()
    await settled()
    late = asyncio.create_task(cached.embed(["a"], "query"))
    await settled()
    inner.open.set()
    assert not (await late).cached, "the first flight has ended, and those who come later have one of their own"
    assert inner.calls == [["a"], ["a"]]


async def test_an_error_reaches_all_and_is_not_remembered(inner: Watched, cached: CachedEmbedder) -> None:
    inner.open.clear()
    inner.error = UpstreamUnavailable("down")
    calls = [asyncio.create_task(cached.embed(["a"], "query")) for _ in range(3)]
    await settled()
    inner.open.set()
    assert await asyncio.gather(*calls, return_exceptions=True) == [inner.error] * 3
    inner.error = None
    assert not (await cached.embed(["a"], "query")).cached


async def test_closing_waits_for_what_is_under_way(inner: Watched, cached: CachedEmbedder) -> None:
    inner.open.clear()
    call = asyncio.create_task(cached.embed(["a"], "query"))
    await settled()
    closing = asyncio.create_task(cached.close())
    await settled()
    inner.open.set()
    await closing
    assert inner.closed
    assert (await call).vectors.shape == (1, 64)


async def test_equal_queries_of_two_tenants_share_nothing(inner: Watched, cached: CachedEmbedder) -> None:
    answers = []
    for tenant in ("acme", "acme", "globex", ""):
        with asked_by(tenant):
            answers.append(await cached.embed(["copy a file"], "query"))
    assert [each.cached for each in answers] == [False, True, False, False]
    inner.open.clear()

    async def ask(tenant: str) -> Embeddings:
        with asked_by(tenant):
            return await cached.embed(["move a file"], "query")

    asked = [asyncio.create_task(ask(tenant)) for tenant in ("acme", "globex", "acme")]
    await settled()
    inner.open.set()
    await asyncio.gather(*asked)
    assert inner.calls[3:] == [["move a file"], ["move a file"]]


async def test_a_long_query_is_embedded_to_its_end(inner: Watched, cached: CachedEmbedder) -> None:
    limit = inner.info.max_tokens
    filler = "calm weather " * limit
    first = await cached.embed([f"{filler} copy a file"], "query")
    second = await cached.embed([f"{filler} parse a date"], "query")
    assert not np.allclose(first.vectors, second.vectors)
    assert np.linalg.norm(first.vectors[0]) == pytest.approx(1, abs=1e-5)
    assert all(len(inner.tokenizer.spans(text)) <= limit for call in inner.calls for text in call)
    assert "".join(inner.calls[0]) == f"{filler} copy a file"
