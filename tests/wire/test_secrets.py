"""Secrets, texts and queries are in no log, no error and no event of the audit trail, whatever happens to a request."""

from __future__ import annotations

import asyncio
import logging

import pytest

from winnow.cli.logging import CHATTY
from winnow.core.errors import UpstreamUnavailable

TEXT, QUERY, TITLE = "xylophone manuscript", "zeppelin whereabouts", "quokka memoirs"
SEARCH = "/v1/collections/docs/search"
DOCS = "/v1/collections/docs/documents"


@pytest.fixture
async def key(service):
    await service.fill("docs", [{"id": "a", "text": TEXT, "title": TITLE}])
    scopes = "search documents:read documents:write collections:admin keys:admin operate".split()
    return (await service.client.post("/v1/keys", json={"scopes": scopes})).json()["key"]


async def fail(*args, **kwargs):
    raise UpstreamUnavailable("the model is down")


async def bug(*args, **kwargs):
    raise RuntimeError("a bug")


async def test_nothing_that_is_private_is_logged_or_told(service, key, monkeypatch, caplog):
    sent = {"Authorization": f"Bearer {key}"}
    wrong = {"Authorization": f"Bearer {key[:-1]}"}
    client, refused = service.client, []
    long = {"query": QUERY, "top_k": 0, "filter": {"type": "eq", "key": QUERY, "value": TEXT}}
    for name in CHATTY:  # as `quiet_libraries` has it, for this test only
        caplog.set_level(logging.WARNING, name)
    with caplog.at_level(logging.DEBUG):
        for headers in (sent, wrong, {}):
            await client.post(SEARCH, json={"query": QUERY}, headers=headers)
            await client.get(SEARCH, params={"q": QUERY, "api_key": key, "key": key}, headers=headers)
            await client.get(f"/no/such/path?token={key}", headers=headers)
            await client.put(f"{DOCS}/b", json={"text": TEXT, "title": TITLE}, headers=headers)
            await client.post(DOCS, content=f'{{"documents": [{{"text": "{TEXT}"'.encode(), headers=headers)
            await client.post(DOCS, json={"documents": [{"text": TEXT}, {"id": "c", "text": TEXT}]}, headers=headers)
            refused += [await client.post(SEARCH, json=long, headers=headers)]
            refused += [await client.get("/v1/keys", headers=headers)] if headers is not sent else []
        await service.index()
        monkeypatch.setattr(service.resources.reranker, "rerank", fail)
        await client.post(SEARCH, json={"query": QUERY}, headers=sent)
        monkeypatch.setattr(service.resources.store, "query", bug)
        refused.append(await client.post(SEARCH, json={"query": f"{QUERY} again"}, headers=sent))
        assert refused[-1].status_code == 500
        await asyncio.sleep(0.1)  # the audit trail is written
    events = (await client.get("/v1/audit?limit=1000", headers=sent)).text
    assert "access.refused" in events
    logged = caplog.text + "".join(str(vars(record)) for record in caplog.records)
    assert "winnow.access" in logged
    told = "".join(answer.text for answer in refused)
    for place, text in (("the log", logged), ("the audit trail", events)):
        for secret in (key, key[12:-6], TEXT, TITLE, *QUERY.split()):
            assert secret not in text, place
    assert key[12:-6] not in told
    assert TEXT not in told
