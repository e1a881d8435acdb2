"""Who a request comes from: keys, their cache, and a service that has none."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.catalogs import new_catalog
from tests.contracts.catalog_access import make_key
from tests.contracts.catalog_data import FakeClock
from winnow.core.api_key import digest_of, id_of, new_key
from winnow.core.errors import Forbidden, Unauthorized, UpstreamUnavailable
from winnow.core.principal import OPEN, SCOPES
from winnow.operations.access import SECONDS, Access
from winnow.operations.tokens import Tokens

SECRET = "correct horse battery staple and more"


class Timer:
    """Seconds that pass when the test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Counting:
    """The keys of a catalog, with the number of queries."""

    def __init__(self, keys):
        self.keys = keys
        self.queries = 0
        self.down = False

    def used(self, key_id):
        self.keys.used(key_id)

    async def get(self, key_id):
        return await self._ask(self.keys.get(key_id))

    async def summary(self):
        return await self._ask(self.keys.summary())

    async def _ask(self, question):
        self.queries += 1
        await asyncio.sleep(0)
        if self.down:
            question.close()
            raise UpstreamUnavailable("the database is down")
        return await question


@pytest.fixture
async def house(tmp_path):
    house = House(tmp_path)
    yield house
    await house.catalog.close()


class House:
    """A catalog and access to it, over clocks of the test."""

    def __init__(self, folder):
        self.clock, self.timer = FakeClock(), Timer()
        self.catalog = new_catalog(folder, self.clock)
        self.keys = Counting(self.catalog.keys)
        self.tokens = Tokens(self.catalog.tokens, self.catalog.trail, self.clock)
        self.access = self.open()

    def open(self, bootstrap=""):
        return Access(self.keys, self.tokens, bootstrap, clock=self.clock, timer=self.timer)

    async def add(self, **changes):
        secret = new_key()
        changes = {"origins": (), "tenant": None, **changes}
        await self.catalog.keys.add(replace(make_key(**changes), id=id_of(secret), digest=digest_of(secret)))
        return secret

    async def principal(self, token=None, origin="", access=None):
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        return await (access or self.access).principal(headers | ({"origin": origin} if origin else {}))

    async def refused(self, token=None):
        with pytest.raises(Unauthorized) as refused:
            await self.principal(token)
        return refused.value.message


async def test_without_keys_everyone_is_let_in_and_credentials_are_ignored(house):
    for token in (None, "sk-whatever", new_key()):
        assert await house.principal(token) is OPEN


async def test_with_one_key_everyone_needs_one(house):
    secret = await house.add()
    assert "needs a key" in await house.refused()
    principal = await house.principal(secret)
    assert (principal.kind, principal.subject) == ("key", id_of(secret))
    assert principal.collections == ("docs", "shop-*")
    assert not principal.may("documents:write", "docs")


async def test_a_bootstrap_key_closes_the_service_and_has_every_right(house):
    access = house.open(SECRET)
    with pytest.raises(Unauthorized):
        await house.principal(access=access)
    principal = await house.principal(SECRET, access=access)
    assert (principal.subject, principal.scopes) == ("bootstrap", SCOPES)
    assert principal.sees_everything


async def test_each_refusal_says_why(house):
    secret = await house.add()
    other = await house.add(expires_at=house.clock.now + timedelta(hours=1))
    assert "character is wrong or missing" in await house.refused(secret[:-1])
    assert "not known" in await house.refused(new_key())
    house.clock.advance(3600)
    assert "expired at 2024-05-01 13:00 UTC" in await house.refused(other)
    await house.catalog.keys.revoke(id_of(secret))
    house.access.forget()
    assert "revoked at 2024-05-01 13:00 UTC" in await house.refused(secret)
    for header in ("Basic abc", "Bearer", "Bearer "):
        with pytest.raises(Unauthorized, match="must be: Bearer"):
            await house.access.principal({"authorization": header})


async def test_a_key_with_the_public_part_of_another_is_not_known(house):
    secret = await house.add()
    while id_of(forged := "wnw_" + secret[4:12] + new_key()[12:36]) != id_of(secret):
        pass
    from winnow.core import api_key

    assert "not known" in await house.refused(forged + api_key._checksum(forged))


async def test_a_mistyped_key_costs_no_query(house):
    secret = await house.add()
    await house.principal(secret)
    before = house.keys.queries
    await house.refused(secret[:-1] + ("0" if secret[-1] != "0" else "1"))
    assert house.keys.queries == before


async def test_a_valid_key_costs_one_query_every_two_seconds(house):
    secret = await house.add()
    await asyncio.gather(*(house.principal(secret) for _ in range(20)))
    assert house.keys.queries == 2  # whether keys exist, and this one
    for _ in range(100):
        await house.principal(secret)
    assert house.keys.queries == 2
    house.timer.now += SECONDS
    await house.principal(secret)
    assert house.keys.queries == 4


async def test_a_revocation_is_seen_within_two_seconds_by_every_replica(house):
    secret = await house.add()
    replica = house.open()
    assert (await house.principal(secret, access=replica)).subject == id_of(secret)
    await house.catalog.keys.revoke(id_of(secret))
    house.timer.now += SECONDS
    with pytest.raises(Unauthorized):
        await house.principal(secret, access=replica)


async def test_a_first_key_closes_every_replica_within_two_seconds(house):
    assert await house.principal() is OPEN
    await house.add()
    house.timer.now += SECONDS
    assert "needs a key" in await house.refused()


async def test_a_service_whose_keys_are_all_revoked_stays_closed(house):
    secret = await house.add()
    await house.catalog.keys.revoke(id_of(secret))
    assert "needs a key" in await house.refused()


async def test_nobody_is_let_in_while_it_is_not_known_whether_keys_exist(house):
    await house.add()
    answers = await asyncio.gather(*(house.principal() for _ in range(5)), return_exceptions=True)
    assert all(isinstance(answer, Unauthorized) for answer in answers)
    access = house.open()
    house.keys.down = True
    for _ in range(2):
        with pytest.raises(UpstreamUnavailable):
            await house.principal(access=access)


async def test_a_key_for_web_pages_is_refused_to_pages_of_other_sites(house):
    secret = await house.add(origins=("https://www.example.com",), scopes=frozenset({"search"}))
    assert (await house.principal(secret, "https://www.example.com")).origins == ("https://www.example.com",)
    await house.principal(secret)  # not from a page
    for origin in ("https://evil.example", "null", "http://www.example.com"):
        with pytest.raises(Forbidden, match="may not be used from"):
            await house.principal(secret, origin)
    assert (await house.access.summary()).origins == {"https://www.example.com"}


async def test_a_use_is_noted(house):
    secret = await house.add()
    await house.principal(secret)
    for _ in range(500):
        if (await house.catalog.keys.get(id_of(secret))).last_used_at == house.clock.now:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the use was not written")
