"""Models that answer at once, in vLLM's shape: ``python benchmarks/stack_models.py ADDRESS_FILE``.

``/v1/embeddings`` answers with ready-made vectors of 1,024 dimensions in base64, one for each of 4,096 kinds of text;
``/v1/rerank`` with scores that follow from the document, sorted, each document echoed as vLLM does.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, cast
from zlib import crc32

import httptools
import numpy as np
import orjson
import uvloop

DIMENSIONS: Final = 1024
KINDS: Final = 4096
_HEAD: Final = b"HTTP/1.1 %d OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


class Models:
    """The answers."""

    def __init__(self) -> None:
        made = np.random.default_rng(1).standard_normal((KINDS, DIMENSIONS)).astype("<f4")
        made /= np.linalg.norm(made, axis=1, keepdims=True)
        self._vectors = [b'"' + base64.b64encode(row.tobytes()) + b'"' for row in made]

    def answer(self, path: bytes, body: bytes) -> bytes:
        """The body of the answer to a call."""
        if path.endswith(b"/embeddings") and body:
            return self._embeddings(orjson.loads(body)["input"])
        if path.endswith(b"/rerank"):
            asked = orjson.loads(body)
            return _scores(asked["query"], asked["documents"])
        return b"{}"

    def _embeddings(self, texts: Sequence[str]) -> bytes:
        rows = (
            b'{"object":"embedding","index":%d,"embedding":%b}' % (index, self._vectors[crc32(text.encode()) % KINDS])
            for index, text in enumerate(texts)
        )
        tokens = sum(map(len, texts)) // 4
        usage = b'"usage":{"prompt_tokens":%d,"total_tokens":%d}' % (tokens, tokens)
        return b'{"object":"list","model":"instant","data":[%b],%b}' % (b",".join(rows), usage)


def _scores(query: str, documents: Sequence[str]) -> bytes:
    salt = crc32(query.encode())
    rows: list[dict[str, Any]] = [
        {"index": index, "document": {"text": text}, "relevance_score": (crc32(text.encode(), salt) & 0xFFFFF) / 2**20}
        for index, text in enumerate(documents)
    ]
    rows.sort(key=lambda row: -row["relevance_score"])
    tokens = sum(map(len, documents)) // 4
    return orjson.dumps({"id": "rerank", "model": "instant", "results": rows, "usage": {"total_tokens": tokens}})


class Connection(asyncio.Protocol):
    """One kept connection."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._parser = httptools.HttpRequestParser(self)
        self._path, self._body = b"", bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is none by its class

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        """Called by the parser, as the next two are."""
        self._path = url

    def on_body(self, part: bytes) -> None:
        self._body += part

    def on_message_complete(self) -> None:
        answer = self._models.answer(self._path, bytes(self._body))
        self._body.clear()
        self._transport.write(_HEAD % (200, len(answer)) + answer)


async def serve(address: Path) -> None:
    """Serve until the process is stopped; write where to ``address``."""
    models = Models()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(models), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    part = address.with_suffix(".part")
    part.write_text(json.dumps({"url": f"http://127.0.0.1:{port}"}), encoding="utf-8")
    part.replace(address)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1])))
