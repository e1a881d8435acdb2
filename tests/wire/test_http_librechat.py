"""LibreChat's RAG API: files of its users and agents, with the tokens that its server signs."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest

from tests.conftest import Service
from tests.fakes import FAKES
from winnow.core.settings import load_settings

SECRET = "0123456789abcdef" * 2
TEXT = "how to copy a file, and what it costs"


def token(user: str = "ann", *, secret: str = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    now = int(time.time())
    named = {"id": user, "iat": now, "exp": now + 300, **claims}
    return jwt.encode({name: value for name, value in named.items() if value is not None}, secret, algorithm)


def bearer(user: str = "ann", **claims: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(user, **claims)}"}


@pytest.fixture
async def chat(tmp_path: Path) -> AsyncIterator[Service]:
    server = {"server": {"librechat_secret": SECRET}}
    service = Service(load_settings(data_dir=tmp_path, **FAKES, **server))
    service.automatic = True
    try:
        yield service
    finally:
        await service.close()


async def embed(
    chat: Service, file_id: str, text: str = TEXT, user: str = "ann", name: str = "a.txt", **fields: str
) -> httpx2.Response:
    files = {"file": (name, text.encode())}
    return await chat.client.post("/embed", data={"file_id": file_id, **fields}, files=files, headers=bearer(user))


async def query(chat: Service, file_id: str, user: str = "ann", **body: Any) -> list[Any]:
    asked = {"query": "copy a file", "file_id": file_id, "k": 4, **body}
    answer = await chat.client.post("/query", json=asked, headers=bearer(user))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_file_is_embedded_searched_read_and_deleted(chat):
    embedded = await embed(chat, "f1", storage_metadata="{}")
    assert embedded.json() == {
        "status": True,
        "message": "File processed successfully.",
        "file_id": "f1",
        "filename": "a.txt",
        "known_type": True,
    }
    (((passage, distance),)) = await query(chat, "f1", entity_id=None)
    assert passage["page_content"] == TEXT
    assert (passage["metadata"]["file_id"], passage["metadata"]["source"]) == ("f1", "a.txt")
    assert 0 <= distance < 0.5
    context = await chat.client.get("/documents/f1/context", headers=bearer())
    assert context.json() == TEXT
    deleted = await chat.client.request("DELETE", "/documents", json=["f1"], headers=bearer())
    assert deleted.json() == {"message": "Documents for 1 file deleted successfully"}
    assert await query(chat, "f1") == []
    again = await chat.client.request("DELETE", "/documents", json=["f1"], headers=bearer())
    assert again.status_code == 404
    assert again.json().keys() == {"detail", "message"}


async def test_a_file_is_found_by_its_owner_alone(chat):
    await embed(chat, "of-ann")
    await embed(chat, "of-agent", entity_id="agent_1")
    assert await query(chat, "of-ann", user="bob") == []
    assert len(await query(chat, "of-ann", entity_id="agent_1")) == 1  # Ann attached it to a chat with the agent
    assert len(await query(chat, "of-agent", user="bob", entity_id="agent_1")) == 1
    assert await query(chat, "of-agent", user="bob") == []
    body = {"query": "copy a file", "file_ids": ["of-ann", "of-agent"], "k": 4}
    several = await chat.client.post("/query_multiple", json=body, headers=bearer())
    assert [each[0]["metadata"]["file_id"] for each in several.json()] == ["of-ann"]
    none = await chat.client.post("/query_multiple", json=body, headers=bearer("bob"))
    assert (none.status_code, none.json()["detail"]) == (404, "no documents were found for this query")


async def test_tokens_of_users_see_the_same_at_other_doors(chat):
    await embed(chat, "of-ann")
    path = "/v1/collections/librechat/search"
    for user, found in (("ann", 1), ("bob", 0)):
        answer = await chat.client.post(path, json={"query": "copy a file"}, headers=bearer(user))
        assert len(answer.json()["results"]) == found
    for other in ("/v1/collections/docs/search", "/v1/collections/docs"):
        assert (await chat.client.request("GET", other, headers=bearer())).status_code in (404, 422)
    assert (await chat.client.put("/v1/collections/librechat", json={}, headers=bearer())).status_code == 403


async def test_rows_of_a_table_are_one_file_and_cannot_say_whose_they_are(chat):
    lines = [
        {"id": "of-bob", "text": "copy a file", "acl": {"users": ["bob"]}, "metadata": {"file_id": "of-bob"}},
        {"id": "2", "text": "the weather"},
    ]
    await embed(chat, "of-bob", user="bob")
    await embed(chat, "rows", "\n".join(json.dumps(each) for each in lines), name="rows.jsonl")
    assert [each[0]["page_content"] for each in await query(chat, "of-bob", user="bob")] == [TEXT]
    assert await query(chat, "rows", user="bob") == []
    assert len(await query(chat, "rows")) == 2
    await embed(chat, "rows", json.dumps(lines[0]), name="rows.jsonl")
    await chat.index()
    assert [each[0]["page_content"] for each in await query(chat, "rows")] == ["copy a file"]


async def test_text_is_read_without_keeping_it(chat):
    files = {"file": ("page.md", b"# Heading\n\nSome *words*.")}
    answer = await chat.client.post("/text", data={"file_id": "t"}, files=files, headers=bearer())
    assert "Some words." in answer.json()["text"]
    assert await query(chat, "t") == []
    assert (await chat.client.get("/health")).json() == {"status": "UP"}


async def test_a_file_that_cannot_be_read_is_said(chat):
    unknown = (await embed(chat, "x", name="a.xyz")).json()
    assert (unknown["status"], unknown["known_type"]) == (False, False)
    assert "not read" in unknown["message"]
    for answer in (
        await embed(chat, "x", text="", name="a.csv"),
        await embed(chat, "a#1"),
        await chat.client.post("/embed", data={"file_id": "x"}, files={"other": ("a", b"a")}, headers=bearer()),
        await chat.client.post("/embed", files={"file": ("a.txt", b"a")}, headers=bearer()),
        await chat.client.post(
            "/embed", content=b"--", headers=bearer() | {"Content-Type": "multipart/form-data; boundary=a"}
        ),
    ):
        assert answer.status_code in (400, 422), answer.text
        assert answer.json().keys() == {"detail", "message"}


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"secret": "f" * 32}, "Signature"),
        ({"algorithm": "HS512", "secret": "f" * 64}, "issuer"),
        ({"exp": int(time.time()) - 300}, "expired"),
        ({"exp": None}, "exp"),
        ({"exp": int(time.time()) + 90_000}, "24 hours"),
        ({"user": ""}, "names no user"),
        ({"username": "ann", "provider": "local"}, "session"),
    ],
)
async def test_other_tokens_are_refused(chat, claims, reason):
    body = {"query": "copy a file", "file_id": "f"}
    answer = await chat.client.post("/query", json=body, headers=bearer(**claims))
    assert answer.status_code == 401
    assert reason in answer.json()["detail"]


async def test_the_secret_closes_the_service(chat):
    assert (await chat.client.get("/v1/collections")).status_code == 401
    refused = await chat.client.post("/query", json={"query": "a", "file_id": "f"})
    assert (refused.status_code, refused.json().keys()) == (401, {"detail", "message"})


async def test_the_json_of_another_protocol_has_the_same_path(chat):
    body = {"inputs": "copy a file"}
    answer = await chat.client.post("/embed", json=body, headers=bearer())
    assert len(answer.json()) == 1
    assert (await chat.client.post("/embed", json=body)).json().keys() == {"error", "error_type"}


def test_a_short_secret_is_refused(tmp_path):
    with pytest.raises(Exception, match="use 32 characters or more"):
        load_settings(data_dir=tmp_path, **FAKES, server={"librechat_secret": "short"})
