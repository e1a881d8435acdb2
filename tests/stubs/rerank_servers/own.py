"""Servers that people run themselves: vLLM (and ComputeNest, which is vLLM), SGLang, Text Embeddings Inference."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, ClassVar

from aiohttp import web

from tests.stubs.fields import Fields
from tests.stubs.rerank_servers.base import RerankStub, count, relevance
from tests.stubs.server import reply
from winnow.models.prompts import RERANK_PREFIX, RERANK_SUFFIX

USUAL_INSTRUCT = "Given a web search query, retrieve relevant passages that answer the query"
_PROMPT = re.compile(
    re.escape(RERANK_PREFIX)
    + r"<Instruct>: (?P<instruct>.*)\n<Query>: (?P<query>.*)\n<Document>: (?P<document>.*)"
    + re.escape(RERANK_SUFFIX),
    re.DOTALL,
)
_SPECIAL = re.compile("|".join(map(re.escape, ("<|im_start|>", "<|im_end|>", "<think>", "</think>"))))


def tokens_of_prompt(prompt: str) -> int:
    """Tokens, of which the special ones are one each: three turns' marks, two of thought."""
    parts = _SPECIAL.split(prompt)
    return len(parts) - 1 + sum(map(count, parts))


@dataclass
class VllmStub(RerankStub):
    """vLLM 0.32 with ``--runner pooling``. Without a template it joins query and document raw.

    Attributes:
        prompts: what the model read.
    """

    model: str = "Qwen/Qwen3-Reranker-0.6B"
    templated: bool = True
    max_model_len: int = 8192
    prompts: list[str] = field(default_factory=list)
    fields: ClassVar[Fields] = {
        **RerankStub.fields,
        "instruction": str,
        "max_tokens_per_query": int,
        "max_tokens_per_doc": int,
        "truncate_prompt_tokens": int,
        "use_activation": bool,
        "priority": int,
        "request_id": str,
        "user": str,
    }

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        if (request.method, request.path) == ("GET", "/health"):  # no key is asked for
            return web.Response()
        return await super().__call__(request)

    def unauthorized(self) -> web.Response:
        return reply({"error": "Unauthorized"}, 401)

    def error(self, status: int, code: str, message: str) -> web.Response:
        kind = {400: "BadRequestError", 404: "NotFoundError"}[status]
        return reply({"error": {"message": message, "type": kind, "param": None, "code": status}}, status)

    def prompt(self, body: Any, document: str) -> str:
        if not self.templated:
            return str(body["query"] + document)
        instruct = body.get("instruction", USUAL_INSTRUCT)
        return f"{RERANK_PREFIX}<Instruct>: {instruct}\n<Query>: {body['query']}\n<Document>: {document}{RERANK_SUFFIX}"

    def asked(self, body: Any) -> list[str]:
        return [self.prompt(body, document) for document in body["documents"]]

    def refuse(self, body: Any) -> web.Response | None:
        prompts = self.asked(body)
        if not all(map(_PROMPT.fullmatch, prompts)):
            return self.invalid("the prompt is not the reference")
        longest = max(map(tokens_of_prompt, prompts))
        if longest <= self.max_model_len:
            return None
        message = (
            f"This model's maximum context length is {self.max_model_len} tokens. However, your prompt contains "
            f"{longest} input tokens. Please reduce the length of the input prompt."
        )
        error = {"message": message, "type": "BadRequestError", "param": "input_tokens", "code": 400}
        return reply({"error": error}, 400)

    def scores(self, body: Any) -> list[float]:
        read = [match for match in map(_PROMPT.fullmatch, self.asked(body)) if match]
        self.prompts += [match.string for match in read]
        return [relevance(match["query"], match["document"]) for match in read]

    def echo(self, body: Any, document: Any) -> dict[str, Any]:
        return {"document": {"text": document, "multi_modal": None}}

    def answer(self, body: Any) -> web.Response:
        total = sum(map(tokens_of_prompt, self.asked(body)))
        usage = {"prompt_tokens": total, "total_tokens": total}
        return reply({"id": "rerank-1", "model": self.model, "usage": usage, "results": self.ranked(body)})


@dataclass
class SglangStub(RerankStub):
    """SGLang: ``instruct``, a bare list, documents unless they are not wanted."""

    model: str = "Qwen/Qwen3-Reranker-0.6B"
    authorization: str | None = None
    fields: ClassVar[Fields] = {**RerankStub.fields, "instruct": str, "return_documents": bool}

    def unauthorized(self) -> web.Response:
        return reply({"error": "Unauthorized"}, 401)

    def error(self, status: int, code: str, message: str) -> web.Response:
        kind = "BadRequestError"
        return reply({"object": "error", "message": message, "type": kind, "param": None, "code": status}, status)

    def echo(self, body: Any, document: Any) -> dict[str, Any]:
        return {"document": document if body.get("return_documents", True) else None, "meta_info": None}

    def answer(self, body: Any) -> web.Response:
        return reply(self.ranked(body, "score"))


@dataclass
class TeiStub(RerankStub):
    """Text Embeddings Inference: one model, a bare array; cuts what is too long if it is told to.

    Attributes:
        max_batch: its ``--max-client-batch-size``.
        max_tokens: what its model reads of a query and a text together.
    """

    path: str = "/rerank"
    max_batch: int = 32
    max_tokens: int = 512
    fields: ClassVar[Fields] = {
        "query": str,
        "texts": list,
        "raw_scores": bool,
        "return_text": bool,
        "truncate": bool,
        "truncation_direction": str,
    }
    required = frozenset({"query", "texts"})

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        if (request.method, request.path) == ("GET", "/health"):
            return web.Response()
        return await super().__call__(request)

    def unauthorized(self) -> web.Response:
        return web.Response(status=401)

    def not_found(self) -> web.Response:
        return web.Response(status=404)

    def error(self, status: int, code: str, message: str) -> web.Response:
        return reply({"error": message, "error_type": code}, status)

    def invalid(self, message: str) -> web.Response:
        return web.Response(text=f"Failed to deserialize the JSON body into the target type: {message}", status=422)

    def documents(self, body: Any) -> list[Any]:
        return list(body["texts"])

    def refuse(self, body: Any) -> web.Response | None:
        if len(body["texts"]) > self.max_batch:
            message = f"batch size {len(body['texts'])} > maximum allowed batch size {self.max_batch}"
            return self.error(413, "Validation", message)
        longest = max(count(body["query"]) + count(text) for text in body["texts"])
        if longest > self.max_tokens and not body.get("truncate", False):
            message = f"`inputs` must have less than {self.max_tokens} tokens. Given: {longest}"
            return self.error(413, "Validation", message)
        return None

    def scores(self, body: Any) -> list[float]:
        scores = super().scores(body)
        return [20 * score - 10 for score in scores] if body.get("raw_scores", False) else scores

    def echo(self, body: Any, document: Any) -> dict[str, Any]:
        return {"text": document} if body.get("return_text", False) else {}

    def answer(self, body: Any) -> web.Response:
        return reply(self.ranked(body, "score"))
