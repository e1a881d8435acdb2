"""Several addresses of one model: who gets a call, and what becomes of one that fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aiohttp import web
from pydantic import ValidationError

from tests.stubs.calls import answering, busy, client_of, echo, error_of, good, no_waits
from tests.stubs.embeddings import DIMENSIONS, LIMIT, VllmStub, never
from tests.stubs.server import Handler, Stub, serve
from winnow.core.errors import InvalidSettings, UpstreamUnavailable
from winnow.core.settings import load_settings
from winnow.core.settings.embedding import VllmEmbedding
from winnow.core.settings.rerank import VllmRerank
from winnow.models.http.client import ModelClient
from winnow.models.http.embed import HttpEmbedder
from winnow.models.http.replicas import Replica, Replicas
from winnow.operations.probes import probe_embedder
from winnow.search.embedders import identity_of
from winnow.testing.models import WordTokenizer

__all__ = ["no_waits"]  # a fixture


class Time:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def two(time: Time) -> Replicas:
    return Replicas(["http://a", "http://b"], time)


def fail(replicas: Replicas, replica: Replica, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(UpstreamUnavailable), replicas.calling(replica, 1):
            raise UpstreamUnavailable(f"{replica.url} is down")


def leave(replicas: Replicas, replica: Replica, time: Time, seconds: float) -> None:
    with replicas.calling(replica, 1):
        time.now += seconds
        raise asyncio.CancelledError


def chosen(replicas: Replicas, *tried: Replica) -> str:
    found = replicas.choose(tried)
    assert found is not None
    return found.url


class TestChoosing:
    def test_the_one_with_the_least_work_under_way_is_next(self, two: Replicas) -> None:
        a, b = two
        with two.calling(a, 100), two.calling(b, 10):
            assert chosen(two) == "http://b"
            with two.calling(b, 200):
                assert chosen(two) == "http://a"

    def test_idle_ones_take_turns(self, two: Replicas) -> None:
        assert [chosen(two) for _ in range(4)] == ["http://a", "http://b"] * 2

    def test_a_sick_one_is_left_out_and_tried_again_by_one_call(self, two: Replicas, time: Time) -> None:
        a, _ = two
        fail(two, a)
        assert [chosen(two) for _ in range(3)] == ["http://b"] * 3
        assert two.well == 1
        time.now = a.due
        assert [chosen(two) for _ in range(3)] == ["http://a", "http://b", "http://b"]

    def test_an_answer_makes_it_well(self, two: Replicas, time: Time) -> None:
        a, _ = two
        fail(two, a)
        time.now = a.due
        with two.calling(a, 1):
            pass
        assert two.well == 2
        with pytest.raises(ZeroDivisionError), two.calling(a, 1):
            _ = 1 / 0  # it answered, if only with nonsense
        assert two.well == 2

    def test_it_rests_longer_with_every_failure_up_to_half_a_minute(self, two: Replicas) -> None:
        a, _ = two
        rests = []
        for _ in range(12):
            fail(two, a)
            rests.append(a.due)
        assert rests[0] == pytest.approx(0.5, rel=0.21)
        assert rests[2] == pytest.approx(2.0, rel=0.21)
        assert rests[-1] == pytest.approx(30.0, rel=0.21)

    def test_if_all_are_sick_calls_go_on_and_the_error_names_them(self, two: Replicas) -> None:
        a, b = two
        fail(two, a, 3)
        assert two.complaints == ""
        fail(two, b)
        assert chosen(two) == "http://b", "the first that is due"
        assert two.choose([b]) is None, "the others are not asked in vain"
        assert two.complaints == "http://a is down; http://b is down"

    def test_a_single_one_is_never_left_out(self, time: Time) -> None:
        one = Replicas(["http://a"], time)
        (a,) = one
        fail(one, a, 5)
        assert chosen(one) == "http://a"
        assert one.choose([a]) is None
        assert one.complaints == ""

    def test_a_caller_that_leaves_counts_only_against_one_that_is_silent(self, two: Replicas, time: Time) -> None:
        a, b = two
        for replica, seconds in ((a, 0.5), (b, 1.5)):
            time.now = 10.0
            with pytest.raises(asyncio.CancelledError):
                leave(two, replica, time, seconds)
        assert (a.failures, b.failures) == (0, 1)
        assert (a.work, b.work) == (0, 0)


@asynccontextmanager
async def serving(*handlers: Handler) -> AsyncIterator[tuple[ModelClient, list[Stub]]]:
    """One client of several stubs."""
    async with AsyncExitStack() as stack:
        stubs = [await stack.enter_async_context(serve(handler)) for handler in handlers]
        client = client_of(",".join(stub.url for stub in stubs))
        stack.push_async_callback(client.close)
        yield client, stubs


class TestCalls:
    async def test_calls_spread_over_the_addresses(self) -> None:
        async with serving(echo, echo) as (client, stubs):
            await asyncio.gather(*(client.post("/x", {"n": n}) for n in range(6)))
        assert [len(stub.calls) for stub in stubs] == [3, 3]

    async def test_a_call_that_fails_goes_to_another_at_once(self) -> None:
        async with serving(answering(busy), echo) as (client, stubs):  # without no_waits: there is no wait
            for n in range(4):
                assert await client.post("/x", {"n": n}) == {"n": n}
        assert len(stubs[0].calls) == 1, "then it is left out"
        assert len(stubs[1].calls) == 4

    async def test_one_that_is_not_there_costs_no_answer(self) -> None:
        async with serve(echo) as gone:
            pass
        async with serve(echo) as stub:
            client = client_of(f"{gone.url},{stub.url}")
            assert [await client.post("/x", {"n": n}) for n in range(3)] == [{"n": n} for n in range(3)]
            await client.close()

    async def test_the_error_names_all_when_none_answers(self, no_waits: None) -> None:
        async with serving(answering(busy), answering(busy)) as (client, stubs):
            error = await error_of(client.post("/x", {}))
        assert isinstance(error, UpstreamUnavailable)
        assert all(stub.url in error.message for stub in stubs)

    async def test_a_refusal_is_final_at_one_address_as_at_several(self) -> None:
        async with serving(answering(lambda: web.Response(status=400)), echo) as (client, stubs):
            await error_of(client.post("/x", {}))
        assert [len(stub.calls) for stub in stubs] == [1, 0]

    async def test_a_probe_hears_the_first_that_is_well(self) -> None:
        async with serving(answering(busy), answering(good)) as (client, _):
            assert await client.get("/health") == (200, {"fine": True})
        async with serving(answering(busy), answering(busy)) as (client, _):
            assert (await client.get("/health"))[0] == 503


class TestSettings:
    def test_addresses_are_separated_by_commas(self) -> None:
        settings = VllmEmbedding(url=" http://a:1/ , http://b:2")
        assert settings.url == "http://a:1,http://b:2"
        assert settings.urls == ("http://a:1", "http://b:2")
        assert VllmRerank().urls == ("http://127.0.0.1:8002",)

    @pytest.mark.parametrize("url", ["http://a,", "http://a,http://a", "http://a,ftp://b", "http://a,http://u:p@b"])
    def test_each_must_be_an_address_of_its_own_without_a_secret(self, url: str) -> None:
        with pytest.raises(ValidationError):
            VllmEmbedding(url=url)

    def test_a_public_one_among_them_needs_a_key(self) -> None:
        jina = {"provider": "jina", "url": "http://127.0.0.1:1,https://api.jina.ai"}
        with pytest.raises(InvalidSettings, match=r"api\.jina\.ai needs a key"):
            load_settings(rerank=jina)

    def test_an_index_does_not_depend_on_where_its_model_is_served(self) -> None:
        one, two = (HttpEmbedder(VllmEmbedding(url=url), WordTokenizer()) for url in ("http://a", "http://a,http://b"))
        assert identity_of(one, "word-1") == identity_of(two, "word-1")


async def test_the_check_up_asks_every_address_and_names_the_one_that_is_wrong() -> None:
    wrong = VllmStub(model="another")
    async with serve(VllmStub()) as good_one, serve(wrong) as bad_one:
        url = f"{good_one.url},{bad_one.url}"
        embedder = HttpEmbedder(VllmEmbedding(url=url, dimensions=DIMENSIONS, max_tokens=LIMIT + 1), WordTokenizer())
        report = await probe_embedder(embedder)
        await embedder.close()
    assert report.reachable
    failed = [finding for finding in report.failed if finding.kind == "structure"]
    assert failed
    assert all(bad_one.url in finding.check for finding in failed)
    assert any(good_one.url in finding.check for finding in report.findings)
    assert report.reason is not None
    assert bad_one.url in report.reason


async def test_one_address_of_two_is_enough_for_a_ping_and_not_for_the_check_up() -> None:
    async with serve(VllmStub()) as gone:
        pass
    async with serve(VllmStub()) as stub:
        url = f"{gone.url},{stub.url}"
        embedder = HttpEmbedder(VllmEmbedding(url=url, dimensions=DIMENSIONS, max_tokens=LIMIT + 1), WordTokenizer())
        await embedder.ping()
        report = await probe_embedder(embedder)
        await embedder.close()
    assert report.reachable
    failed = [finding for finding in report.failed if finding.kind == "structure"]
    assert [gone.url in finding.check for finding in failed] == [True]


async def test_a_hanging_address_is_left_out_once_its_caller_is_gone() -> None:
    async with serving(never, echo) as (client, stubs):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.1):
                await client.post("/x", {})
        assert [await client.post("/x", {"n": n}) for n in range(3)] == [{"n": n} for n in range(3)]
    assert [len(stub.calls) for stub in stubs] == [1, 3]
