"""An embedder and a reranker in vLLM's shape that answer at once, on threads of their own.

A test that counts what its own thread does does not count them.
"""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from zlib import crc32

import numpy as np
import orjson

DIMENSIONS = 1024


@dataclass
class InstantModels:
    """A running server.

    Attributes:
        url: its address.
        calls: path and size of the body of each call, in order of arrival.
        hanging: while set, calls come in and are not answered.
        dead: set at the end: connections that are still open are closed, too.
    """

    url: str = ""
    calls: list[tuple[str, int]] = field(default_factory=list)
    hanging: threading.Event = field(default_factory=threading.Event)
    dead: threading.Event = field(default_factory=threading.Event)


@contextmanager
def serve() -> Iterator[InstantModels]:
    """Serve until the block ends."""
    state = InstantModels()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.calls.append((self.path, len(body)))
            while state.hanging.is_set():
                time.sleep(0.02)
            if state.dead.is_set():
                self.close_connection = True
                return
            asked = orjson.loads(body)
            answer = orjson.dumps(_vectors(asked["input"]) if "input" in asked else _scores(asked["documents"]))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            with suppress(OSError):  # the client has given up
                self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield state
    finally:
        state.dead.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _vectors(texts: list[str]) -> dict[str, Any]:
    rows = []
    for index, text in enumerate(texts):
        vector = np.random.default_rng(crc32(text.encode())).standard_normal(DIMENSIONS)
        vector /= np.linalg.norm(vector)
        rows.append({"index": index, "embedding": base64.b64encode(vector.astype("<f4").tobytes()).decode()})
    return {"data": rows, "usage": {"prompt_tokens": len(texts)}}


def _scores(documents: list[str]) -> dict[str, Any]:
    rows = [
        {"index": index, "document": {"text": text}, "relevance_score": crc32(text.encode()) / 2**32}
        for index, text in enumerate(documents)
    ]
    return {"results": sorted(rows, key=lambda row: -row["relevance_score"]), "usage": {"total_tokens": 1}}
