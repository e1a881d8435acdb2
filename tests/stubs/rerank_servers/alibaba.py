"""Alibaba's models: Model Studio's compatible and native APIs, and the gateways that wrap them.

Limits are those of the page "Text rerank": documents of a call, tokens of the query and of each document, and tokens of
a call, in which the query counts once for each document. Longer queries and documents the provider cuts silently: here
they are refused, in words that nobody takes for a limit that a smaller call would keep to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from aiohttp import web

from tests.stubs.fields import Fields, complaint
from tests.stubs.rerank_servers.base import RerankStub, count, relevance
from tests.stubs.server import reply

_ID = "85ba5752-1900-47d2-8896-23f99b13f6e1"
_ADDRESS = re.compile(r"https?://\w")
_IMAGE = re.compile(r"https?://\w|data:image/(?:jpeg|png);base64,")


def native_error(status: int, code: str, message: str) -> web.Response:
    """``{code, message, request_id}``."""
    return reply({"code": code, "message": message, "request_id": _ID}, status)


def compatible_error(status: int, code: str, message: str) -> web.Response:
    """``{"error": {message, type, param, code}, "id", "request_id"}``."""
    error = {"message": message, "type": code, "param": None, "code": code}
    return reply({"error": error, "id": _ID, "request_id": _ID}, status)


@dataclass
class DashScopeStub(RerankStub):
    """qwen3-rerank, compatible API: flat, without documents in the answer."""

    model: str = "qwen3-rerank"
    path: str = "/compatible-api/v1/reranks"
    max_documents: int = 500
    max_item: int = 4000
    max_query: int = 4000
    max_request: int = 120_000
    fields: ClassVar[Fields] = {**RerankStub.fields, "instruct": str}

    def error(self, status: int, code: str, message: str) -> web.Response:
        return compatible_error(status, code, message)

    def tokens(self, body: Any) -> int:
        documents = self.documents(body)
        return count(self.query(body)) * len(documents) + sum(map(count, documents))

    def refuse(self, body: Any) -> web.Response | None:
        documents = self.documents(body)
        if not all(text.strip() for text in documents):
            return self.over("documents should not be empty")
        if len(documents) > self.max_documents:
            return self.over(f"the number of documents should not be larger than {self.max_documents}")
        if count(self.query(body)) > self.max_query or max(map(count, documents)) > self.max_item:
            return self.invalid("the query or an item is over its documented size")
        if self.tokens(body) > self.max_request:
            return self.over(f"Range of input length should be [1, {self.max_request}]")
        return None

    def over(self, message: str) -> web.Response:
        return self.invalid(f"<400> InternalError.Algo.InvalidParameter: {message}")

    def answer(self, body: Any) -> web.Response:
        usage = {"total_tokens": self.tokens(body)}
        return reply({"object": "list", "results": self.ranked(body), "model": self.model, "id": _ID, "usage": usage})


@dataclass
class WrappedStub(DashScopeStub):
    """qwen3-rerank behind a gateway: ``{request_id, output: {results}, usage}``."""

    path: str = "/v1/rerank"
    fields: ClassVar[Fields] = {**DashScopeStub.fields, "return_documents": bool}

    def error(self, status: int, code: str, message: str) -> web.Response:
        return native_error(status, code, message)

    def parameters(self, body: Any) -> Any:
        return body

    def top_n(self, body: Any) -> int | None:
        return cast("int | None", self.parameters(body).get("top_n"))

    def echo(self, body: Any, document: Any) -> dict[str, Any]:
        wanted = self.parameters(body).get("return_documents", False)
        return {"document": {"text": document}} if wanted else {}

    def answer(self, body: Any) -> web.Response:
        usage = {"total_tokens": self.tokens(body)}
        return reply({"output": {"results": self.ranked(body)}, "usage": usage, "request_id": _ID})


@dataclass
class NativeStub(WrappedStub):
    """gte-rerank-v2: nested input, strings, no instruct."""

    model: str = "gte-rerank-v2"
    path: str = "/api/v1/services/rerank/text-rerank/text-rerank"
    max_request: int = 30_000
    fields: ClassVar[Fields] = {"model": str, "input": dict, "parameters": dict}
    required = frozenset({"model", "input"})
    input_fields: ClassVar[Fields] = {"query": str, "documents": list}
    parameter_fields: ClassVar[Fields] = {"top_n": int, "return_documents": bool}

    def malformed(self, body: Any) -> str:
        return (
            complaint(body, self.fields, self.required)
            or complaint(body["input"], self.input_fields, frozenset({"query", "documents"}))
            or complaint(self.parameters(body), self.parameter_fields, frozenset())
            or self.misfit(body)
        )

    def misfit(self, body: Any) -> str:
        """What is wrong with the documents."""
        documents = self.documents(body)
        return "" if documents and all(isinstance(each, str) for each in documents) else "documents must be strings"

    def parameters(self, body: Any) -> Any:
        return body.get("parameters", {})

    def query(self, body: Any) -> Any:
        return body["input"]["query"]

    def documents(self, body: Any) -> list[Any]:
        return list(body["input"]["documents"])


@dataclass
class VisualStub(NativeStub):
    """qwen3-vl-rerank: queries and documents may be objects that name their kind; 100 texts, 40 images, 4 videos."""

    model: str = "qwen3-vl-rerank"
    max_documents: int = 100
    max_item: int = 8000
    max_request: int = 120_000
    input_fields: ClassVar[Fields] = {"query": (str, dict), "documents": list}
    parameter_fields: ClassVar[Fields] = {**NativeStub.parameter_fields, "instruct": str, "fps": (int, float)}

    def query(self, body: Any) -> Any:
        return next(iter(self.kinds(body["input"]["query"]).values()))

    def documents(self, body: Any) -> list[Any]:
        return [value for item in body["input"]["documents"] for value in self.kinds(item).values()]

    def kinds(self, item: Any) -> Any:
        """The item as an object of one kind: a string is a text."""
        return {"text": item} if isinstance(item, str) else item

    def misfit(self, body: Any) -> str:
        items = [self.kinds(item) for item in body["input"]["documents"]]
        if not all(isinstance(item, dict) and len(item) == 1 for item in items):
            return "an element must be a string or an object of one kind"
        shapes = {"text": re.compile(""), "image": _IMAGE, "video": _ADDRESS}
        for kind, value in (pair for item in [*items, self.kinds(body["input"]["query"])] for pair in item.items()):
            if kind not in shapes or not isinstance(value, str) or not shapes[kind].match(value):
                return f"{kind} is no text, image or video as documented"
        fps = self.parameters(body).get("fps", 1.0)
        return "" if 0 <= fps <= 1 else "fps must be in [0, 1]"

    def refuse(self, body: Any) -> web.Response | None:
        kinds = [kind for item in body["input"]["documents"] for kind in self.kinds(item)]
        for kind, limit in (("text", 100), ("image", 40), ("video", 4)):
            if kinds.count(kind) > limit:
                return self.over(f"the number of {kind} documents should not be larger than {limit}")
        return super().refuse(body)

    def scores(self, body: Any) -> list[float]:
        return [relevance(self.query(body), value) for value in self.documents(body)]
