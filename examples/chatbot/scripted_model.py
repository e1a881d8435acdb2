"""A model that needs no weights: it answers OpenAI's ``/chat/completions`` with a sentence out of the passages.

It takes the sentence that has most words of the question, and cites the passage that it is in. For trying things out
offline, and for tests.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_PASSAGE = re.compile(r"^\[(\d+)\] ", re.MULTILINE)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_SMALL = frozenset("a an and are at do does how i in is it long of on the to what when where which who why".split())


def reply_to(prompt: str) -> str:
    """The best sentence of the passages in a prompt with the number of its passage."""
    numbered, _, question = prompt.rpartition("Question: ")
    wanted = _words(question) - _SMALL
    parts = _PASSAGE.split(numbered)[1:]
    best, answer = 0, "The passages do not say."
    for number, text in zip(parts[::2], parts[1::2], strict=True):
        for sentence in _SENTENCE.split(text):
            common = len(wanted & _words(sentence))
            if common > best and sentence.endswith((".", "!", "?")):
                best, answer = common, f"{sentence.strip()} [{number}]"
    return answer


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        """Answer a chat completion."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        message = {"role": "assistant", "content": reply_to(body["messages"][-1]["content"])}
        answer = {"object": "chat.completion", "model": body["model"], "choices": [{"index": 0, "message": message}]}
        payload = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving() -> Iterator[str]:
    """Serve on a free port of this machine; yields the address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        finally:
            server.shutdown()
            thread.join()
