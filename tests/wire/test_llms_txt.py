"""The description for language models: it is open to all, and names what is there."""

from __future__ import annotations

import re

from tests.support.served import ROOT

SKILL = ROOT / "docs" / "integrations" / "winnow-search" / "SKILL.md"
NAMED = re.compile(r"(?:(GET|POST|PUT) |\$WINNOW_URL)(/v1[^\s`?\":]*)")


async def test_it_is_open_and_names_routes_that_exist(client):
    paths = (await client.get("/openapi.json")).json()["paths"]
    assert (await client.post("/v1/keys", json={"scopes": ["search"]})).status_code == 201
    answer = await client.get("/llms.txt")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert answer.text == (ROOT / "docs" / "llms.txt").read_text()
    named = NAMED.findall(answer.text)
    assert len(named) >= 7
    for method, path in named:
        assert method.lower() in paths[path], path
    for path in re.findall(r"`(/v\d/[a-z_]+|/rerank)`", answer.text):
        assert path in paths, path


async def test_the_skill_names_routes_that_exist(client):
    paths = (await client.get("/openapi.json")).json()["paths"]
    text = SKILL.read_text()
    assert text.startswith("---\nname: winnow-search\ndescription: ")
    named = [path.replace("NAME", "{name}").replace("DOCUMENT_ID", "{id}") for _, path in NAMED.findall(text)]
    assert len(named) == 3
    assert set(named) <= paths.keys()
