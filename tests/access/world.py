"""A random world of tenants, access lists, callers and filters, and what each caller may see of it by the rules.

The rules are written down here once more, in the plainest way, from ``docs/operations/tenants.md``; nothing of the code
under test decides what is expected.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from tests.access.callers import ADMIN, BROWSER, READER, bound, user
from winnow.core.principal import Principal

TENANTS: Final = ("", "acme", "a", "ab", "a/b%2F é")
IDS: Final = ("1", "a%2Fb", "a/b", "~", "ä", "x y")
USERS: Final = ("alice", "Zoë 50%", "staff")  # one is named like a group
GROUPS: Final = ("staff", "東京/eng")
LANGS: Final = ("en", "de", "fr")
MODES: Final = ("hybrid", "dense", "sparse")


@dataclass(frozen=True)
class Item:
    """A document as it is submitted; ``acl`` as on the wire."""

    tenant: str
    id: str
    lang: str | None
    year: int
    acl: Mapping[str, Sequence[str]] | None

    @property
    def title(self) -> str:
        """What instant searches and suggestions find; no two items share it."""
        return f"Copying of {self.tenant or 'none'} {IDS.index(self.id)}"

    @property
    def body(self) -> dict[str, Any]:
        """The document's JSON. Every text has a word in common with the query, and tells whose it is."""
        metadata = {"year": self.year} | ({} if self.lang is None else {"lang": self.lang})
        text = f"copy a file: {self.tenant or '-'} {self.id}"
        named = {"id": self.id, "tenant": self.tenant, "title": self.title}
        return {**named, "text": text, "metadata": metadata, "acl": self.acl}


def random_items(chance: random.Random) -> list[Item]:
    """Some documents of each tenant, most with ids that other tenants have as well."""
    return [
        Item(tenant, id_, chance.choice([*LANGS, None]), chance.randrange(2018, 2026), _acl(chance))
        for tenant in TENANTS
        for id_ in IDS
        if chance.random() < 0.8
    ]


def random_caller(chance: random.Random) -> Principal:
    """A key or a token, bound or not, with or without a locked filter."""
    match chance.randrange(6):
        case 0:
            return ADMIN
        case 1:
            return READER
        case 2:
            return bound(chance.choice(TENANTS[1:]), chance.choice([READER, ADMIN]))
        case 3:
            return replace(BROWSER, tenant=chance.choice([None, *TENANTS]))
        case _:
            locked = random_filter(chance) if chance.random() < 0.5 else None
            groups = chance.sample(GROUPS, chance.randrange(3))
            return user(chance.choice(USERS), *groups, tenant=chance.choice(TENANTS), locked_filter=locked)


def random_filter(chance: random.Random, depth: int = 0) -> dict[str, Any]:
    """A filter of a few leaves."""
    kind = chance.choice(
        ["eq", "ne", "in", "nin", "exists", "year", "and", "or", "not"] if depth < 2 else ["eq", "ne", "year"]
    )
    match kind:
        case "and" | "or":
            parts = [random_filter(chance, depth + 1) for _ in range(chance.randrange(1, 4))]
            return {"type": kind, "filters": parts}
        case "not":
            return {"type": "not", "filter": random_filter(chance, depth + 1)}
        case "exists":
            return {"type": "exists", "key": "lang"}
        case "in" | "nin":
            return {"type": kind, "key": "lang", "value": chance.sample(LANGS, 2)}
        case "year":
            return {"type": chance.choice(["gte", "lt"]), "key": "year", "value": chance.randrange(2018, 2026)}
        case _:
            return {"type": kind, "key": "lang", "value": chance.choice(LANGS)}


def passes(node: Mapping[str, Any] | None, item: Item) -> bool:
    """Whether a document passes a filter."""
    if node is None:
        return True
    value = node.get("value")
    verdicts: dict[str, Callable[[], bool]] = {
        "and": lambda: all(passes(part, item) for part in node["filters"]),
        "or": lambda: any(passes(part, item) for part in node["filters"]),
        "not": lambda: not passes(node["filter"], item),
        "exists": lambda: item.lang is not None,
        "gte": lambda: item.year >= node["value"],
        "lt": lambda: item.year < node["value"],
        "eq": lambda: item.lang == value,
        "ne": lambda: item.lang != value,
        "in": lambda: item.lang in node["value"],
        "nin": lambda: item.lang not in node["value"],
    }
    return verdicts[node["type"]]()


def may_name(caller: Principal, tenant: str) -> bool:
    """Whether a caller may name a tenant."""
    if caller.tenant is not None:
        return caller.tenant == tenant
    return tenant == "" or caller is ADMIN


def seen(caller: Principal, items: Sequence[Item], tenant: str, default: str) -> list[Item]:
    """The documents of a tenant that a caller sees in a collection with this ``acl_default``."""
    return [item for item in items if item.tenant == tenant and _sees(caller, item, default)]


def _sees(caller: Principal, item: Item, default: str) -> bool:
    if not passes(caller.locked_filter, item):
        return False
    if caller.kind == "key" and caller.scopes & {"documents:read", "collections:admin"}:
        return True
    if item.acl is None:
        return default == "public"
    return bool(caller.users & set(item.acl.get("users", ())) or caller.groups & set(item.acl.get("groups", ())))


def _acl(chance: random.Random) -> Mapping[str, Sequence[str]] | None:
    if chance.random() < 0.5:
        return None
    return {
        "users": chance.sample(USERS, chance.randrange(3)),
        "groups": chance.sample(GROUPS, chance.randrange(2)),
    }
