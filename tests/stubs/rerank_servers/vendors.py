"""Reranking as a service, in Jina's shape and Cohere's: DMXAPI, SiliconFlow, Jina, Cohere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from aiohttp import web

from tests.stubs.fields import Fields
from tests.stubs.rerank_servers.base import RerankStub, count
from tests.stubs.server import reply


@dataclass
class DmxStub(RerankStub):
    """DMXAPI's qwen3-reranker-8b: texts echoed, no id, a usage of zeros. Its gateway drops what it does not know."""

    model: str = "qwen3-reranker-8b"
    beyond: ClassVar[Fields] = {"instruction": str}

    def error(self, status: int, code: str, message: str) -> web.Response:
        return reply({"error": {"message": message, "type": code, "param": "", "code": code}}, status)

    def echo(self, body: Any, document: Any) -> dict[str, Any]:
        return {"document": {"text": document}}

    def answer(self, body: Any) -> web.Response:
        usage = {
            "prompt_tokens": 0,
            "completion_tokens": 0,
            "total_tokens": 0,
            "prompt_tokens_details": {"cached_tokens_details": {}},
            "completion_tokens_details": {},
        }
        return reply({"results": self.ranked(body), "usage": usage})


@dataclass
class SiliconFlowStub(RerankStub):
    """SiliconFlow: ``instruction``; tokens beside the results or, as newer pages have it, in ``meta``."""

    model: str = "Qwen/Qwen3-Reranker-8B"
    in_meta: bool = False
    fields: ClassVar[Fields] = {
        **RerankStub.fields,
        "instruction": str,
        "return_documents": bool,
        "max_chunks_per_doc": int,
        "overlap_tokens": int,
    }

    def unauthorized(self) -> web.Response:
        return reply("Invalid token", 401)

    def not_found(self) -> web.Response:
        return reply("404 page not found", 404)

    def error(self, status: int, code: str, message: str) -> web.Response:
        return reply({"code": 20012, "message": message, "data": None}, status)

    def echo(self, body: Any, document: Any) -> dict[str, Any]:
        return {"document": {"text": document}} if body.get("return_documents", False) else {}

    def answer(self, body: Any) -> web.Response:
        read = count(body["query"]) * len(body["documents"]) + sum(map(count, body["documents"]))
        tokens = {"input_tokens": read, "output_tokens": 0}
        told = {"meta": {"billed_units": tokens, "tokens": tokens}} if self.in_meta else {"tokens": tokens}
        return reply({"id": "1", "results": self.ranked(body), **told})


@dataclass
class JinaStub(RerankStub):
    """Jina: documents in the answer unless they are not wanted. What it does not know it ignores."""

    model: str = "jina-reranker-v2-base-multilingual"
    fields: ClassVar[Fields] = {**RerankStub.fields, "return_documents": bool}
    beyond: ClassVar[Fields] = {"instruction": str}

    def error(self, status: int, code: str, message: str) -> web.Response:
        return reply({"detail": message}, status)

    def echo(self, body: Any, document: Any) -> dict[str, Any]:
        return {"document": {"text": document}} if body.get("return_documents", True) else {}

    def answer(self, body: Any) -> web.Response:
        usage = {"total_tokens": sum(map(count, body["documents"]))}
        return reply({"model": self.model, "object": "list", "usage": usage, "results": self.ranked(body)})


@dataclass
class JinaListwiseStub(JinaStub):
    """Jina's third model: cosines."""

    model: str = "jina-reranker-v3"

    def scores(self, body: Any) -> list[float]:
        return [2 * score - 1 for score in super().scores(body)]


@dataclass
class CohereStub(RerankStub):
    """Cohere, version 2: no echo, billed by searches. Longer documents it cuts."""

    model: str = "rerank-v3.5"
    path: str = "/v2/rerank"
    max_documents: int = 1000
    max_query: int = 2048
    fields: ClassVar[Fields] = {**RerankStub.fields, "max_tokens_per_doc": int, "priority": int}

    def unauthorized(self) -> web.Response:
        return self.error(401, "", "invalid api token")

    def error(self, status: int, code: str, message: str) -> web.Response:
        return reply({"id": "1", "message": message}, status)

    def refuse(self, body: Any) -> web.Response | None:
        if len(body["documents"]) > self.max_documents:
            return self.invalid(f"too many documents: at most {self.max_documents} are allowed")
        if count(body["query"]) > self.max_query:
            return self.invalid("the query is over its documented size")
        return None

    def answer(self, body: Any) -> web.Response:
        meta = {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}
        return reply({"id": "1", "results": self.ranked(body), "meta": meta})
