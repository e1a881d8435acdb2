"""Probes of everything else that searches: names as they are typed, values of fields, other protocols."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

from tests.access.probes import DOCS, Probe, Prober
from tests.access.world import Item, may_name, passes, random_filter, seen
from winnow.core.principal import Principal

FIELDS: Final = ("lang", "year")


class DoorProber(Prober):
    """Asks as random callers what documents are called, which values they have, and through other doors."""

    def kinds(self) -> Sequence[Probe]:
        """What there is to ask."""
        return [self.instant, self.suggest, self.facets, self.values, self.several, self.store, self.algolia]

    def _seen(self, caller: Principal, tenant: str, tree: dict[str, Any] | None = None) -> list[Item]:
        return [item for item in seen(caller, self.items, tenant, self.default) if passes(tree, item)]

    def _filter(self) -> dict[str, Any] | None:
        return random_filter(self.chance) if self.chance.random() < 0.6 else None

    async def _post(self, path: str, body: dict[str, Any], header: dict[str, str]) -> Any:
        return await self.client.post(path, json=body, headers=header)

    async def _get(self, path: str, params: dict[str, Any], header: dict[str, str]) -> Any:
        return await self.client.get(path, params=params, headers=header)

    async def instant(self, caller: Principal, header: dict[str, str]) -> None:
        """A search for names, or for nothing: then all documents."""
        (named, tenant), tree = self.tenant(caller), self._filter()
        body = {"query": self.chance.choice(["copying", "copyin of", "copx"]), "mode": "instant", "top_n": 100}
        body |= given(filter=tree, tenant=named)
        answer = await self._post(f"{DOCS}/search", body, header)
        if not may_name(caller, tenant):
            self.expect(caller, body, answer.status_code, 403)
            return
        wanted = [item.title for item in self._seen(caller, tenant, tree)]
        self.expect(caller, body, sorted(each["title"] for each in answer.json()["results"]), sorted(wanted))

    async def suggest(self, caller: Principal, header: dict[str, str]) -> None:
        """What a query may become."""
        named, tenant = self.tenant(caller)
        params = {"q": self.chance.choice(["cop", "copying o", "copyng"]), "limit": 20} | given(tenant=named)
        answer = await self._get(f"{DOCS}/suggest", params, header)
        if not may_name(caller, tenant):
            self.expect(caller, params, answer.status_code, 403)
            return
        wanted = sorted(item.title for item in self._seen(caller, tenant))
        self.expect(caller, params, sorted(each["text"] for each in answer.json()["suggestions"]), wanted)

    async def facets(self, caller: Principal, header: dict[str, str]) -> None:
        """The counts beside a search."""
        (named, tenant), tree = self.tenant(caller), self._filter()
        body = {"query": "copy a file", "top_n": 1, "top_k": 1, "mode": self.chance.choice(["hybrid", "instant"])}
        body |= {"facets": list(FIELDS), **given(filter=tree, tenant=named)}
        answer = await self._post(f"{DOCS}/search", body, header)
        if not may_name(caller, tenant):
            self.expect(caller, body, answer.status_code, 403)
            return
        for key in FIELDS:
            found = answer.json()["facets"][key]
            self.expect(caller, (key, body), _counted(found["values"]), _values(key, self._seen(caller, tenant, tree)))

    async def values(self, caller: Principal, header: dict[str, str]) -> None:
        """A look for values of a field."""
        named, tenant = self.tenant(caller)
        key = self.chance.choice(FIELDS)
        answer = await self._get(f"{DOCS}/facets/{key}", {"limit": 100} | given(tenant=named), header)
        if not may_name(caller, tenant):
            self.expect(caller, key, answer.status_code, 403)
            return
        self.expect(caller, key, _counted(answer.json()["values"]), _values(key, self._seen(caller, tenant)))

    async def several(self, caller: Principal, header: dict[str, str]) -> None:
        """Two queries as one; no tenant can be named."""
        tree = self._filter()
        body = {"collections": ["docs"], "queries": ["copy a file", "a file"], "top_n": 100, **given(filter=tree)}
        answer = await self._post("/v1/search", body, header)
        found = sorted(each["text"] for each in answer.json()["results"])
        self.expect(caller, body, found, self._texts(self._seen(caller, caller.tenant or "", tree)))

    async def store(self, caller: Principal, header: dict[str, str]) -> None:
        """A search of a vector store, in OpenAI's form."""
        answer = await self._post(
            "/v1/vector_stores/docs/search", {"query": "copy a file", "max_num_results": 50}, header
        )
        found = sorted(part["text"] for each in answer.json()["data"] for part in each["content"])
        self.expect(caller, "store", found, self._texts(self._seen(caller, caller.tenant or "")))

    async def algolia(self, caller: Principal, header: dict[str, str]) -> None:
        """A search in Algolia's form, with counts."""
        body = {"query": self.chance.choice(["copying", ""]), "hitsPerPage": 100, "facets": ["lang"]}
        sent = await self._post("/1/indexes/docs/query", body, header)
        if caller.kind == "key" and caller.scopes != {"search"}:  # a page's reader could take it
            self.expect(caller, body, sent.status_code, 403)
            return
        answer = sent.json()
        mine = self._seen(caller, caller.tenant or "")
        self.expect(caller, body, sorted(each["title"] for each in answer["hits"]), sorted(each.title for each in mine))
        self.expect(caller, body, answer["nbHits"], len(mine))
        counts = {str(value): count for value, count in _values("lang", mine).items()}
        self.expect(caller, body, answer.get("facets", {}).get("lang", {}), counts)

    def _texts(self, items: Iterable[Item]) -> list[str]:
        return sorted(item.body["text"] for item in items)


def given(**members: Any) -> dict[str, Any]:
    """The members that have a value."""
    return {key: value for key, value in members.items() if value is not None}


def _counted(values: Sequence[dict[str, Any]]) -> dict[Any, int]:
    return {each["value"]: each["count"] for each in values}


def _values(key: str, items: Iterable[Item]) -> dict[Any, int]:
    return dict(Counter(item.body["metadata"][key] for item in items if key in item.body["metadata"]))
