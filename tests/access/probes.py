"""Probes of a running service: what a random caller gets, compared with what it may see."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from tests.access.asking import Asker
from tests.access.callers import Callers
from tests.access.world import (
    IDS,
    MODES,
    TENANTS,
    Item,
    may_name,
    passes,
    random_caller,
    random_filter,
    random_items,
    seen,
)
from tests.conftest import Service
from winnow.core.principal import Principal

Probe: TypeAlias = Callable[[Principal, dict[str, str]], Awaitable[None]]

DOCS: Final = "/v1/collections/docs"
FIELDS: Final = {"lang": "keyword", "year": "integer"}


@dataclass
class Prober:
    """Asks a service as random callers.

    Attributes:
        differences: what was not as it should be.
        done: the number of probes, by kind.
    """

    service: Service
    client: Asker
    chance: random.Random
    items: list[Item] = field(default_factory=list)
    default: str = "public"
    differences: list[str] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    callers: Callers = field(default_factory=Callers)

    async def build(self) -> None:
        """Fill the collection with a new world."""
        self.service.app.state.service.callers._access = self.callers
        self.default = self.chance.choice(["public", "none"])
        self.items = random_items(self.chance)
        await self.service.client.delete(DOCS)
        bodies = [item.body for item in self.items]
        await self.service.fill("docs", bodies, fields=FIELDS, acl_default=self.default)

    async def probes(self, number: int) -> None:
        """Some probes at a time, each with chances of its own, so that the order of their steps changes nothing."""
        each = [replace(self, chance=random.Random(self.chance.random())) for _ in range(number)]
        await asyncio.gather(*(one.probe(f"caller {at}") for at, one in enumerate(each)))

    async def probe(self, name: str = "caller") -> None:
        """One probe, of a random kind, with a credential of this name."""
        caller = random_caller(self.chance)
        kind = self.chance.choice(self.kinds())
        if caller.kind == "key" and "documents:read" not in caller.scopes and kind in (self.listing, self.single):
            kind = self.search
        header = dict(self.callers.header(name, caller))
        await kind(caller, header)
        self.done[kind.__name__] += 1

    def kinds(self) -> Sequence[Probe]:
        """What there is to ask; more often what is named more than once."""
        return [self.search, self.search, self.search, self.listing, self.single, self.counts]

    def tenant(self, caller: Principal) -> tuple[str | None, str]:
        """The tenant that the request names, if any, and the one that is meant."""
        named = self.chance.choice([None, None, *TENANTS])
        return named, (caller.tenant or "") if named is None else named

    async def search(self, caller: Principal, header: dict[str, str]) -> None:
        named, tenant = self.tenant(caller)
        tree = random_filter(self.chance) if self.chance.random() < 0.6 else None
        body: dict[str, Any] = {"query": "copy a file", "mode": self.chance.choice(MODES), "top_n": 100}
        body |= {"filter": tree} if tree else {}
        body |= {} if named is None else {"tenant": named}
        answer = await self.client.post(f"{DOCS}/search", json=body, headers=header)
        if not may_name(caller, tenant):
            self.expect(caller, body, answer.status_code, 403)
            return
        wanted = [item for item in seen(caller, self.items, tenant, self.default) if passes(tree, item)]
        found = sorted(result["text"] for result in answer.json()["results"])
        self.expect(caller, body, found, sorted(item.body["text"] for item in wanted))

    async def listing(self, caller: Principal, header: dict[str, str]) -> None:
        named, tenant = self.tenant(caller)
        limit, found, after = self.chance.randrange(2, 9), [], ""
        while True:
            params = {"limit": limit, "after": after} | ({} if named is None else {"tenant": named})
            answer = await self.client.get(f"{DOCS}/documents", params=params, headers=header)
            if not may_name(caller, tenant):
                self.expect(caller, params, answer.status_code, 403)
                return
            found += [row["id"] for row in answer.json()["documents"]]
            if answer.json()["next"] is None:
                break
            after = answer.json()["next"]
        self.expect(caller, named, found, sorted(item.id for item in seen(caller, self.items, tenant, self.default)))

    async def single(self, caller: Principal, header: dict[str, str]) -> None:
        named, tenant = self.tenant(caller)
        id_ = self.chance.choice([*IDS, "absent", f"\x1f{self.chance.choice(TENANTS)}\x1f{self.chance.choice(IDS)}"])
        params = {} if named is None else {"tenant": named}
        header |= {"X-Request-Id": "r"}
        answer = await self.client.get(f"{DOCS}/documents/{quote(id_, safe='')}", params=params, headers=header)
        here = [item for item in seen(caller, self.items, tenant, self.default) if item.id == id_]
        if here and may_name(caller, tenant):
            self.expect(caller, id_, answer.json().get("text"), here[0].body["text"])
            return
        missing = await self.client.get(f"{DOCS}/documents/none", params=params, headers=header)
        said = (answer.status_code, answer.json() | {"detail": ""})
        self.expect(caller, (id_, named), said, (404, missing.json() | {"detail": ""}))
        self.expect(caller, id_, answer.json()["detail"], missing.json()["detail"].replace("'none'", repr(id_)))

    async def counts(self, caller: Principal, header: dict[str, str]) -> None:
        answer = (await self.client.get(DOCS, headers=header)).json()["counts"]
        mine = seen(caller, self.items, caller.tenant or "", self.default)
        everything = caller.tenant is None and "collections:admin" in caller.scopes
        number = len(self.items) if everything else len(mine)
        self.expect(caller, "counts", (answer["documents"], answer["chunks"]), (number, number))

    def expect(self, caller: Principal, asked: object, found: object, wanted: object) -> None:
        """Note a difference, if there is one."""
        if found != wanted:
            self.differences.append(f"{caller} asked {asked}: {found}, not {wanted}")
