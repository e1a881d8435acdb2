"""The SDK's client of the earlier generation, which opens a session: over streamable HTTP."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(sys.prefix) / "earlier"))

import asyncio
from importlib.metadata import version

from _ask import BASE, say
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client


async def main():
    async with (
        streamablehttp_client(f"{BASE}/mcp") as (read, write, _),
        ClientSession(read, write) as session,
    ):
        started = await session.initialize()
        tools = (await session.list_tools()).tools
        found = await session.call_tool("search", {"query": "copy a file", "collection": None})
        whole = await session.call_tool("fetch", {"id": found.structuredContent["results"][0]["id"]})
        missing = await session.call_tool("search", {"query": "a", "collection": "nothing"})
    say(
        {
            "client": version("mcp"),
            "protocol": started.protocolVersion,
            "tools": sorted(each.name for each in tools),
            "found": found.structuredContent,
            "text": [each.text for each in found.content],
            "whole": whole.structuredContent,
            "missing": [missing.isError, missing.content[0].text],
        }
    )


asyncio.run(main())
