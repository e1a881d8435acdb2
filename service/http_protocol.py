"""uvicorn's HTTP/1.1 protocol for request lines as people type them: UTF-8 that is not percent-encoded is encoded."""

from __future__ import annotations

from typing import Final

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.errors import INVALID_REQUEST_LINE, PROBLEM_DETAILS, Problem
from winnow.core.ids import new_id

_ENCODED: Final = {byte: b"%%%02X" % byte for byte in range(128, 256)}


class RequestLines(HttpToolsProtocol):
    """Percent-encodes bytes beyond ASCII in request lines, which ``curl "…?q=café"`` sends raw (RFC 3986, 2.5).

    A request line in two packets is left as it is. A request that cannot be parsed is answered with a problem.
    """

    _between = True  # two requests: the next bytes are a request line

    def data_received(self, data: bytes) -> None:
        """Encode a request line at the beginning of ``data``, and pass everything on."""
        if self._between and not data.isascii():
            line, end, rest = data.partition(b"\r\n")
            if not line.isascii():
                data = b"".join(_ENCODED.get(byte) or bytes((byte,)) for byte in line) + end + rest
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Note that a request begins."""
        self._between = False
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """Note that it has ended."""
        self._between = True
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's one message says less
        """Answer what cannot be parsed, and close the connection."""
        detail = "the request is not HTTP/1.1, or its address holds spaces or control characters: percent-encode them"
        problem = Problem(INVALID_REQUEST_LINE, f"{detail} (curl -G --data-urlencode)")
        request_id = new_id("req")
        body = orjson.dumps(PROBLEM_DETAILS.body(problem, request_id))
        headers = {
            "Content-Type": PROBLEM_DETAILS.media_type,
            "Content-Length": len(body),
            "Connection": "close",
            "X-Request-Id": request_id,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.transport.write(f"HTTP/1.1 400 Bad Request\r\n{head}\r\n".encode() + body)
        self.transport.close()
