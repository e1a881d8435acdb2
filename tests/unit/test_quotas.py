"""Quotas of callers: what counts for whom, in this process and on a real Redis server that several share."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.faults.processes import free_port
from winnow.core.errors import InvalidSettings, RateLimited, TokensSpent
from winnow.core.principal import LOCAL, OPEN, Principal, PrincipalKind
from winnow.core.settings.limits import LimitSettings
from winnow.operations.quotas import CallerBudget, Quotas, Used

ANNA, BELA = Principal("key", "wnw_anna"), Principal("key", "wnw_bela")
ACME = Principal("token", "u1", tenant="acme")


MakeQuotas: TypeAlias = Callable[..., Quotas]


@pytest.fixture
async def quotas() -> AsyncIterator[MakeQuotas]:
    opened: list[Quotas] = []

    def make(storage: str = "memory://", **limits: object) -> Quotas:
        opened.append(Quotas(LimitSettings(storage=storage, **limits)))
        return opened[-1]

    yield make
    for each in opened:
        await each.close()


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    folder: Path = tmp_path_factory.mktemp("redis")
    socket = folder / "redis.sock"
    command = [program, "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert any("ready to accept connections" in line.lower() for line in process.stdout)
        yield f"redis+unix://{socket}"
        process.terminate()


@pytest.fixture(params=["memory", "redis"])
def storage(request: pytest.FixtureRequest) -> str:
    return "memory://" if request.param == "memory" else request.getfixturevalue("redis_url")


async def test_each_caller_has_a_quota_of_its_own(quotas: MakeQuotas, storage: str) -> None:
    counted = quotas(storage, caller={"documents_per_day": 10})
    assert await counted.use(ANNA, "documents", 7) is not None
    with pytest.raises(
        RateLimited, match=r"10 documents in 24 hours .*CALLER__DOCUMENTS_PER_DAY.*3 are left"
    ) as refused:
        await counted.use(ANNA, "documents", 4)
    assert (refused.value.limit, refused.value.remaining) == (10, 3)
    assert refused.value.retry_after is not None
    left = await counted.use(ANNA, "documents", 3)  # the refused ones were not counted
    assert left is not None
    assert left.remaining == 0
    assert (await counted.use(BELA, "documents", 10)) is not None


async def test_the_callers_of_a_tenant_share_its_quota(quotas: MakeQuotas, storage: str) -> None:
    counted = quotas(storage, tenant={"documents_per_day": 10}, caller={"documents_per_day": 8})
    await counted.use(Principal("token", "u2", tenant="acme"), "documents", 6)
    with pytest.raises(RateLimited, match="WINNOW_LIMITS__TENANT__DOCUMENTS_PER_DAY"):
        await counted.use(Principal("token", "u3", tenant="acme"), "documents", 5)
    left = await counted.use(Principal("token", "u3", tenant="acme"), "documents", 4)
    assert left is not None
    assert left.remaining == 0
    assert (await counted.use(Principal("token", "u3", tenant="other"), "documents", 4)) is not None


LIMITS: dict[Used, str] = {
    "requests": "requests_per_second",
    "searches": "searches_per_second",
    "documents": "documents_per_day",
    "tokens": "tokens_per_day",
}


@pytest.mark.parametrize("what", LIMITS)
@pytest.mark.parametrize("whose", ["key", "token", "tenant", "own"])
async def test_each_limit_counts_for_keys_subjects_and_tenants(
    quotas: MakeQuotas, monkeypatch: pytest.MonkeyPatch, whose: str, what: Used
) -> None:
    monkeypatch.setattr("time.time", lambda: 1_000_000.0)
    name = LIMITS[what]
    group = "tenant" if whose == "tenant" else "caller"
    counted = quotas(**{group: {name: 1000 if whose == "own" else 2}})
    kind: PrincipalKind = "token" if whose == "token" else "key"
    limits = {name: 2} if whose == "own" else {}
    one = Principal(kind, "anna", tenant="acme", limits=limits)  # type: ignore[arg-type]
    other = Principal(kind, "bela", tenant="acme", limits=limits)  # type: ignore[arg-type]

    async def use(who: Principal) -> None:
        if what == "tokens":
            await counted.require_tokens(who)
            await counted.spend_tokens(who, 1)
        else:
            await counted.use(who, what)

    await use(one)
    await use(one)
    source = f"{name} of the key anna" if whose == "own" else f"WINNOW_LIMITS__{group}__{name}".upper()
    with pytest.raises(RateLimited, match=f"the limit is 2 {what} in .*{source}.*0 are left") as refused:
        await use(one)
    assert refused.value.retry_after
    if whose == "tenant":
        with pytest.raises(RateLimited):
            await use(other)
    else:
        await use(other)


async def test_what_was_used_stays_counted_when_the_limit_changes(quotas: MakeQuotas, storage: str) -> None:
    counted = quotas(storage, caller={"documents_per_day": 5})
    await counted.use(Principal("key", "wnw_raised"), "documents", 4)
    left = await counted.use(Principal("key", "wnw_raised", limits={"documents_per_day": 10}), "documents")
    assert left is not None
    assert left.remaining == 5
    with pytest.raises(RateLimited):
        await counted.use(Principal("key", "wnw_raised", limits={"documents_per_day": 2}), "documents")


async def test_a_subject_of_another_tenant_is_somebody_else(quotas: MakeQuotas) -> None:
    counted = quotas(caller={"documents_per_day": 1})
    await counted.use(ACME, "documents")
    await counted.use(Principal("token", "u1", tenant="globex"), "documents")
    with pytest.raises(RateLimited):
        await counted.use(ACME, "documents")


async def test_a_rate_has_room_again_when_its_window_is_over(
    quotas: MakeQuotas, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_000_000.0]
    monkeypatch.setattr("time.time", lambda: now[0])
    counted = quotas(caller={"searches_per_second": 3})
    for _ in range(3):
        await counted.use(OPEN, "searches")
    with pytest.raises(RateLimited, match="3 searches in a second"):
        await counted.use(OPEN, "searches")
    now[0] += 2
    await counted.use(OPEN, "searches", 3)


async def test_what_is_not_limited_is_not_counted(quotas: MakeQuotas) -> None:
    counted = quotas(caller={"requests_per_second": 1})
    assert await counted.use(ANNA, "searches", 5) is None
    for _ in range(3):  # commands of the same machine
        assert await counted.use(LOCAL, "requests") is None


@pytest.mark.parametrize(("refuses", "error"), [(False, TokensSpent), (True, RateLimited)])
async def test_a_spent_budget_of_tokens_leaves_the_model_out_or_refuses(
    quotas: MakeQuotas, refuses: bool, error: type, storage: str
) -> None:
    caller = Principal("key", f"wnw_{refuses}")
    budget = CallerBudget(quotas(storage, caller={"tokens_per_day": 100}), caller, refuses=refuses)
    await budget.require()
    await budget.spend(90)
    await budget.require()  # some are left, however many the next call reads
    await budget.spend(40)
    with pytest.raises(error, match="100 tokens in 24 hours"):
        await budget.require()


async def test_processes_share_usage_on_redis(quotas: MakeQuotas, redis_url: str) -> None:
    caller = Principal("key", "wnw_shared")
    await quotas(redis_url, caller={"documents_per_day": 10}).use(caller, "documents", 10)
    with pytest.raises(RateLimited):
        await quotas(redis_url, caller={"documents_per_day": 10}).use(caller, "documents")


async def test_a_storage_that_is_away_limits_nothing_and_says_so(
    quotas: MakeQuotas, caplog: pytest.LogCaptureFixture
) -> None:
    counted = quotas(f"redis://127.0.0.1:{free_port()}", caller={"requests_per_second": 1})
    for _ in range(3):
        assert await counted.use(ANNA, "requests") is None
    assert [each.message for each in caplog.records if "callers are not limited" in each.message]
    assert len(caplog.records) == 1


def test_the_storage_is_memory_or_redis() -> None:
    with pytest.raises(ValueError, match="use memory://, or the URL of a Redis server"):
        LimitSettings(storage="memcached://x")


def test_a_missing_client_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "redis.backoff", None)
    with pytest.raises(InvalidSettings, match=r"pip install 'winnow-search\[redis\]'"):
        Quotas(LimitSettings(storage="redis://localhost"))
