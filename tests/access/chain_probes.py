"""Probes of searches in steps and pages, texts for chains, the Model Context Protocol, and what visitors do."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tests.access.door_probes import DoorProber, given
from tests.access.probes import DOCS, Probe
from tests.access.world import IDS, TENANTS, may_name, random_caller
from winnow.core.principal import Principal

_EVENTS: Final = {"Accept": "text/event-stream"}
_PROTOCOL: Final = {"Accept": "application/json, text/event-stream"}
_BUSY: Final = "try again in a moment"
_MARK: Final = "for tenant"


class ChainProber(DoorProber):
    """Asks as random callers for steps, pages and packed texts, over MCP, and for what was searched and clicked."""

    def kinds(self) -> Sequence[Probe]:
        """What there is to ask."""
        return [self.steps, self.pages, self.packed, self.tool, self.whole, self.overview, self.clicks, self.report]

    async def steps(self, caller: Principal, header: dict[str, str]) -> None:
        """Each step of a search shows what the caller may see, and the last one all of it."""
        (named, tenant), tree = self.tenant(caller), self._filter()
        body = {"query": "copying a file", "top_n": 100, "analytics": False, **given(filter=tree, tenant=named)}
        answer = await self._post(f"{DOCS}/search", body, header | _EVENTS)
        if not may_name(caller, tenant):
            self.expect(caller, body, answer.status_code, 403)
            return
        wanted = self._texts(self._seen(caller, tenant, tree))
        lines = [line for line in answer.text.splitlines() if line.startswith("data: ")]
        steps = [sorted(each["text"] for each in json.loads(line[6:])["results"]) for line in lines]
        self.expect(caller, body, steps[-1:], [wanted])
        self.expect(caller, body, [text for step in steps for text in step if text not in wanted], [])

    async def pages(self, caller: Principal, header: dict[str, str]) -> None:
        """Pages in an order of their own; and the rest of them, asked for by somebody else."""
        (named, tenant), tree = self.tenant(caller), self._filter()
        body = {"query": "copy a file", "top_n": self.chance.randrange(1, 8), "analytics": False}
        body |= {"sort": [{"key": "year", "order": "desc"}], **given(filter=tree, tenant=named)}
        other = random_caller(self.chance)
        others = self.callers.header(f"{header['Authorization'][7:]}, another", other)
        found: list[dict[str, Any]] = []
        while True:
            answer = await self._post(f"{DOCS}/search", body, header)
            if not may_name(caller, tenant):
                self.expect(caller, body, answer.status_code, 403)
                return
            found += answer.json()["results"]
            if (cursor := answer.json()["next"]) is None:
                break
            body["cursor"] = cursor
            taken = await self._post(f"{DOCS}/search", body, dict(others))
            allowed = self._texts(self._seen(other, tenant, tree)) if may_name(other, tenant) else []
            leaked = [each["text"] for each in taken.json().get("results", ()) if each["text"] not in allowed]
            self.expect(other, ("another's page", body), leaked, [])
        self.expect(caller, body, sorted(each["text"] for each in found), self._texts(self._seen(caller, tenant, tree)))
        years = [each["metadata"]["year"] for each in found]
        self.expect(caller, body, years, sorted(years, reverse=True))

    async def packed(self, caller: Principal, header: dict[str, str]) -> None:
        """Texts for a chain: neighbours and near duplicates are documents that the caller sees, too."""
        (named, tenant), tree = self.tenant(caller), self._filter()
        body = {"query": "copy a file", "top_n": 100, "expand": 1, "max_tokens": 8000, "analytics": False}
        body |= given(filter=tree, tenant=named)
        answer = await self._post(f"{DOCS}/search", body, header)
        if not may_name(caller, tenant):
            self.expect(caller, body, answer.status_code, 403)
            return
        results = answer.json()["results"]
        folded = [each["document_id"] for result in results for each in result.get("duplicates") or ()]
        found = sorted([each["document_id"] for each in results] + folded)
        mine = self._seen(caller, tenant, tree)
        self.expect(caller, body, found, sorted(item.id for item in mine))
        texts = self._texts(mine)
        self.expect(caller, body, [each["text"] for each in results if each["text"] not in texts], [])

    async def tool(self, caller: Principal, header: dict[str, str]) -> None:
        """A search by a model."""
        arguments = {"query": "copy a file", "collection": "docs", "top_n": 100}
        found = (await self._call("search", arguments, header))["structuredContent"]["results"]
        wanted = self._texts(self._seen(caller, caller.tenant or ""))
        self.expect(caller, "mcp", sorted(each["text"] for each in found), wanted)

    async def whole(self, caller: Principal, header: dict[str, str]) -> None:
        """A document that a model reads: one of another tenant is as little there as one that never was."""
        id_ = self.chance.choice([*IDS, f"\x1f{self.chance.choice(TENANTS)}\x1f{self.chance.choice(IDS)}"])
        result = await self._call("fetch", {"id": f"docs/{id_}"}, header)
        here = [item for item in self._seen(caller, caller.tenant or "") if item.id == id_]
        if caller.kind == "key" and "documents:read" not in caller.scopes:
            here = []
        if here:
            self.expect(caller, id_, result["structuredContent"]["text"], here[0].body["text"])
            return
        missing = await self._call("fetch", {"id": "docs/none"}, header)
        self.expect(
            caller, id_, (result["isError"], _said(result)), (True, _said(missing).replace("'none'", repr(id_)))
        )

    async def overview(self, caller: Principal, header: dict[str, str]) -> None:
        """The collections that a model may search, with their sizes."""
        (listed,) = (await self._call("list_collections", {}, header))["structuredContent"]["collections"]
        everything = caller.tenant is None and "collections:admin" in caller.scopes
        mine = self.items if everything else self._seen(caller, caller.tenant or "")
        self.expect(caller, "list_collections", listed["documents"], len(mine))

    async def clicks(self, caller: Principal, header: dict[str, str]) -> None:
        """A visitor's search, and clicks on what it showed and on what it did not, by the visitor or by another."""
        named, tenant = self.tenant(caller)
        query = f"copy a file {_MARK} {tenant or 'none'}"
        body = {"query": query, "top_n": 100, "session": "s", **given(tenant=named)}
        answer = await self._post(f"{DOCS}/search", body, header)
        if not may_name(caller, tenant):
            self.expect(caller, body, answer.status_code, 403)
            return
        shown = [each["document_id"] for each in answer.json()["results"]]
        search_id = answer.json()["search_id"]
        other = self.chance.choice([caller, random_caller(self.chance)])
        others = self.callers.header(f"{header['Authorization'][7:]}, another", other)
        hidden = [id_ for id_ in IDS if id_ not in shown]
        events = [
            {"type": "conversion", "search_id": search_id, "document_id": id_, "session": "s"}
            for id_ in (*shown[:1], *hidden[:1])
        ]
        taken = await self._post("/v1/events", {"events": events}, dict(others)) if events else None
        if taken is None:
            return
        is_own = may_name(other, tenant)
        codes = [each["code"] for each in taken.json()["rejected"]]
        wanted = ["document_not_shown"] * len(hidden[:1]) if is_own else ["search_id_foreign"] * len(events)
        self.expect(other, ("clicks of", caller, tenant), codes, wanted)

    async def report(self, caller: Principal, header: dict[str, str]) -> None:
        """What was searched: nothing of another tenant, in figures, rows or suggestions."""
        named, tenant = self.tenant(caller)
        typed = await self._get(f"{DOCS}/suggest", {"q": "copy a file for", "limit": 20} | given(tenant=named), header)
        self._expect_no_foreign(caller, tenant, "suggest", typed.text)
        params = given(tenant=named)
        figures = await self._get(f"{DOCS}/analytics", params | {"limit": 50}, header)
        rows = await self._get(f"{DOCS}/analytics/export", params | {"days": 1}, header)
        may = "operate" in caller.scopes and caller.locked_filter is None and caller.tenant in (None, named, tenant)
        self.expect(
            caller, ("analytics", named), (figures.status_code, rows.status_code), (200, 200) if may else (403, 403)
        )
        if may and (named is not None or caller.tenant is not None):
            self._expect_no_foreign(caller, tenant, "analytics", figures.text + rows.text)

    def _expect_no_foreign(self, caller: Principal, tenant: str, what: str, text: str) -> None:
        others = [f'{_MARK} {each or "none"}"' for each in TENANTS if each != tenant]
        self.expect(caller, (what, tenant), [each for each in others if each in text], [])

    async def _call(self, tool: str, arguments: Mapping[str, Any], header: Mapping[str, str]) -> dict[str, Any]:
        params = {"name": tool, "arguments": arguments}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        while True:  # as the client does for answers that say so in their status
            answer = await self._post("/mcp", body, {**header, **_PROTOCOL})
            result: dict[str, Any] = answer.json()["result"]
            if not (result["isError"] and _BUSY in _said(result)):
                return result


def _said(result: Mapping[str, Any]) -> str:
    return str(result["content"][0]["text"])
