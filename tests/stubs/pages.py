"""What tests of stubs against providers' pages share: a bare call, and the form of an answer."""

from __future__ import annotations

from typing import Any

import aiohttp
import orjson

from tests.stubs.server import Handler, serve


async def post(
    server: Handler, path: str, body: Any, authorization: str | None, content_type: str = "application/json"
) -> tuple[int, Any]:
    """Status and body of an answer: parsed where it is JSON, else its text."""
    headers = {"Content-Type": content_type} | ({"Authorization": authorization} if authorization else {})
    async with (
        serve(server) as stub,
        aiohttp.request("POST", stub.url + path, data=orjson.dumps(body), headers=headers) as answer,
    ):
        raw = await answer.read()
        return answer.status, orjson.loads(raw) if answer.content_type == "application/json" else raw.decode()


def form(value: Any) -> Any:
    """Names and types of a JSON value; of a list those of its first element."""
    if isinstance(value, dict):
        return {name: form(each) for name, each in value.items()}
    if isinstance(value, list):
        return [form(each) for each in value[:1]]
    return type(value).__name__
