"""The examples, run as their pages say, against a served service."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import httpx2
import pytest

from tests.support.served import ROOT

EXAMPLES = ROOT / "examples"
CHATBOT = EXAMPLES / "chatbot"
ADDRESS = "http://127.0.0.1:8000"


def ask(live: str, *arguments: str) -> str:
    command = [sys.executable, "chatbot.py", *arguments, "--winnow", live]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "clients" / "python")}
    done = subprocess.run(command, cwd=CHATBOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("question", "sentence", "url"),
    [
        ("How long is the warranty of a mill?", "lasts five years", "https://handbook.example/warranty.md"),
        ("Within how many days can I send a mill back?", "within thirty days", "https://handbook.example/shipping.md"),
    ],
)
def test_the_chatbot_answers_with_citations_that_resolve(live: str, question: str, sentence: str, url: str) -> None:
    found = json.loads(ask(live, "handbook", question, "--json"))
    assert sentence in found["answer"]
    (citation,) = found["citations"]
    assert f"[{citation['number']}]" in found["answer"]
    assert citation["url"].partition("#")[0] == url
    path = f"/v1/collections/chatbot/documents/{citation['document_id']}"
    text = httpx2.get(live + path).json()["text"]
    assert sentence in text[citation["start"] : citation["end"]] == citation["text"]


def test_the_chatbot_prints_what_its_page_shows(live: str) -> None:
    page = (CHATBOT / "README.md").read_text(encoding="utf-8")
    first, second = ask(live, "handbook", "How long is the warranty of a mill?").splitlines()
    assert first in page
    assert second in page


def test_a_question_that_nothing_answers_is_cited_with_nothing(live: str) -> None:
    found = json.loads(ask(live, "handbook", "zebra xylophone", "--json"))
    assert found == {"answer": "The passages do not say.", "citations": []}


PAGE = """---
title: Getting started
url: https://docs.example/intro
---

import Tabs from "@theme/Tabs";

# Getting started

Install the mill on a level table.

## First grind {#first-grind}

<Tabs>Turn the dial to seven before the first grind.</Tabs>
"""


def test_a_source_page_of_docusaurus_is_found_at_its_heading_and_the_script_is_there(live: str) -> None:
    readme = (EXAMPLES / "sites" / "docusaurus" / "README.md").read_text(encoding="utf-8")
    (path,) = re.findall(r"https://search\.example(/\S+?)\"", readme)
    assert httpx2.get(live + path).status_code == 200
    assert httpx2.put(f"{live}/v1/collections/docusaurus", json={}).is_success
    documents = [{"id": "intro", "text": PAGE, "format": "mdx", "url": "https://docs.example/intro"}]
    sent = httpx2.post(
        f"{live}/v1/collections/docusaurus/documents", params={"wait": "true"}, json={"documents": documents}
    )
    assert sent.status_code == 200, sent.text
    answer = httpx2.post(f"{live}/v1/collections/docusaurus/search", json={"query": "the dial before the first grind"})
    (result,) = answer.json()["results"]
    assert result["url"].startswith("https://docs.example/intro#")
    assert "Turn the dial to seven" in result["text"]


def test_the_addresses_for_open_webui_answer_its_requests(live: str) -> None:
    page = (EXAMPLES / "open_webui" / "README.md").read_text(encoding="utf-8")
    search, rerank, embed, mcp = re.findall(rf"`{ADDRESS}(\S*?)`", page.partition("| in Open WebUI")[2])
    links = httpx2.post(live + search.replace("/docs/", "/guides/"), json={"query": "copy a file", "count": 3}).json()
    assert links[0]["link"] == "https://site.example/guides"
    texts = ["the weather", "copy a file"]
    body = {"model": "any", "query": "copy a file", "documents": texts, "top_n": 2}
    assert {each["index"] for each in httpx2.post(live + rerank, json=body).json()["results"]} == {0, 1}
    vectors = httpx2.post(f"{live}{embed}/embeddings", json={"model": "any", "input": texts}).json()["data"]
    assert len(vectors) == 2
    asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
    tools = httpx2.post(live + mcp, json=asked, headers=headers).json()["result"]["tools"]
    assert {each["name"] for each in tools} == {"search", "fetch", "list_collections"}
