"""The SDK's client, starting `winnow mcp` and talking to it over pipes: with a session and without."""

import asyncio
import sys

from _ask import BASE, say
from mcp import Client
from mcp.client.session import ClientSession
from mcp.client.stdio import StdioServerParameters, stdio_client

python, folder = sys.argv[2:]
arguments = ["-m", "winnow.cli.main", "mcp", "--url", BASE]
command = StdioServerParameters(command=python, args=arguments, cwd=folder)


async def main():
    async with Client(stdio_client(command)) as client:
        found = await client.call_tool("search", {"query": "copy a file", "top_n": 1})
    async with stdio_client(command) as (read, write), ClientSession(read, write) as session:
        started = await session.initialize()
        earlier = await session.call_tool("search", {"query": "copy a file", "top_n": 1})
    say(
        {
            "found": found.structured_content,
            "version": started.protocol_version,
            "earlier": earlier.structured_content,
        }
    )


asyncio.run(main())
