"""The SDK's client over streamable HTTP, of this generation of the protocol."""

import asyncio

from _ask import BASE, say
from mcp import Client


async def main():
    async with Client(f"{BASE}/mcp") as client:
        tools = (await client.list_tools()).tools
        found = await client.call_tool("search", {"query": "copy a file"})
        one = await client.call_tool("search", {"query": "copy a file", "collection": "guides", "top_n": 1})
        whole = await client.call_tool("fetch", {"id": found.structured_content["results"][0]["id"]})
        listed = await client.call_tool("list_collections", {})
        missing = await client.call_tool("search", {"query": "a", "collection": "nothing"})
        narrowed = await client.call_tool(
            "search", {"query": "copy a file", "filter": {"type": "eq", "key": "lang", "value": "de"}}
        )
    say(
        {
            "tools": {each.name: sorted(each.input_schema["properties"]) for each in tools},
            "read_only": all(each.annotations.read_only_hint for each in tools),
            "found": found.structured_content,
            "text": [each.text for each in found.content],
            "one": one.structured_content,
            "whole": whole.structured_content,
            "listed": listed.structured_content,
            "missing": [missing.is_error, missing.content[0].text],
            "narrowed": narrowed.structured_content,
        }
    )


asyncio.run(main())
