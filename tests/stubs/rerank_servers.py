"""Servers that rerank, as their providers document them: fields, headers, limits, answers, refusals.

Each refuses fields that its page does not name. Scores are the share of the query's words that a document has, and a
little that depends on its text alone, so that no two texts are quite alike.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar

from aiohttp import web

from retrieval.models.http_reranker import HttpReranker
from retrieval.models.prompts import RERANK_PREFIX, RERANK_SUFFIX
from retrieval.models.qwen_tokens import QwenTokens
from retrieval.probes import NOWHERE, candidates_of
from retrieval.settings.rerank import HttpRerank
from retrieval.types import FloatArray
from tests.stubs.server import Handler, Stub, reply, serve

TOKENS = QwenTokens()
KEY = "sk-test"
_PROMPT = re.compile(
    re.escape(RERANK_PREFIX)
    + r"<Instruct>: (?P<instruct>.*)\n<Query>: (?P<query>.*)\n<Document>: (?P<document>.*)"
    + re.escape(RERANK_SUFFIX),
    re.DOTALL,
)


@lru_cache(maxsize=4096)
def count(text: str) -> int:
    """Tokens of a text in Qwen's vocabulary."""
    return TOKENS.count(text)


def relevance(query: str, document: str) -> float:
    asked, found = (set(re.findall(r"\w+", text.casefold())) for text in (query, document))
    own = hashlib.sha256(document.encode()).digest()[0] / 255
    return 0.01 + 0.95 * len(asked & found) / max(1, len(asked)) + 0.04 * own


@dataclass
class RerankStub:
    """What all have in common. ``authorization`` is the header that is expected."""

    authorization: str | None = f"Bearer {KEY}"
    model: str = ""
    path: str = "/v1/rerank"
    fields: ClassVar[frozenset[str]] = frozenset({"model", "query", "documents", "top_n"})

    async def __call__(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != self.authorization:
            return self.unauthorized()
        if request.path != self.path:
            return reply({"detail": "Not Found"}, 404)
        body = await request.json()
        assert set(body) <= self.fields, f"fields that are not documented: {set(body) - self.fields}"
        assert "top_n" not in body
        if body.get("model", "") != self.model:
            return self.error(404, "ModelNotFound", f"The model `{body['model']}` does not exist.")
        return self.refuse(body) or self.answer(body)

    def unauthorized(self) -> web.Response:
        return self.error(401, "InvalidApiKey", "Invalid API-key provided.")

    def error(self, status: int, code: str, message: str) -> web.Response:
        raise NotImplementedError

    def refuse(self, body: Any) -> web.Response | None:
        return None

    def scores(self, body: Any) -> list[float]:
        return [relevance(body["query"], text) for text in body["documents"]]

    def ranked(self, body: Any, name: str = "relevance_score") -> list[dict[str, Any]]:
        rows = [{"index": index, name: score} for index, score in enumerate(self.scores(body))]
        return sorted(rows, key=lambda row: -row[name])

    def answer(self, body: Any) -> web.Response:
        raise NotImplementedError


@dataclass
class VllmStub(RerankStub):
    """vLLM 0.32 with ``--runner pooling``. Without a template it joins query and document raw."""

    model: str = "Qwen/Qwen3-Reranker-0.6B"
    templated: bool = True
    max_model_len: int = 8192
    prompts: list[str] = field(default_factory=list)
    fields = frozenset({"model", "query", "documents", "top_n", "instruction"})

    def error(self, status: int, code: str, message: str) -> web.Response:
        return reply({"error": {"message": message, "type": code, "param": None, "code": status}}, status)

    def unauthorized(self) -> web.Response:
        return reply({"error": "Unauthorized"}, 401)

    def prompt(self, body: Any, document: str) -> str:
        if not self.templated:
            return body["query"] + document
        instruct = body.get("instruction", "Given a web search query, retrieve relevant passages that answer the query")
        return f"{RERANK_PREFIX}<Instruct>: {instruct}\n<Query>: {body['query']}\n<Document>: {document}{RERANK_SUFFIX}"

    def refuse(self, body: Any) -> web.Response | None:
        if not all(isinstance(text, str) for text in body["documents"]):
            return self.error(400, "BadRequestError", "documents must be strings")
        longest = max(tokens_of_prompt(self.prompt(body, text)) for text in body["documents"])
        if longest <= self.max_model_len:
            return None
        message = (
            f"This model's maximum context length is {self.max_model_len} tokens. However, your prompt contains "
            f"{longest} input tokens. Please reduce the length of the input prompt."
        )
        error = {"message": message, "type": "BadRequestError", "param": "input_tokens", "code": 400}
        return reply({"error": error}, 400)

    def scores(self, body: Any) -> list[float]:
        prompts = [self.prompt(body, text) for text in body["documents"]]
        self.prompts += prompts
        read = [_PROMPT.fullmatch(prompt) for prompt in prompts]
        assert all(read), "the prompt is not the reference"
        return [relevance(match["query"], match["document"]) for match in read if match]

    def answer(self, body: Any) -> web.Response:
        total = sum(tokens_of_prompt(self.prompt(body, text)) for text in body["documents"])
        rows = [
            {**row, "document": {"text": body["documents"][row["index"]], "multi_modal": None}}
            for row in self.ranked(body)
        ]
        usage = {"prompt_tokens": total, "total_tokens": total}
        return reply({"id": "rerank-1", "model": self.model, "usage": usage, "results": rows})


def tokens_of_prompt(prompt: str) -> int:
    """Tokens with the special ones counted as one each: three turns' marks, two of thought."""
    for special in ("<|im_start|>", "<|im_end|>", "<think>", "</think>"):
        prompt = prompt.replace(special, "\x00")
    parts = prompt.split("\x00")
    return len(parts) - 1 + sum(map(count, parts))


@dataclass
class DashScopeStub(RerankStub):
    """qwen3-rerank at Model Studio, compatible API: 500 documents, 120,000 tokens a call."""

    model: str = "qwen3-rerank"
    path: str = "/compatible-api/v1/reranks"
    max_documents: int = 500
    max_request: int = 120_000
    fields = frozenset({"model", "query", "documents", "top_n", "instruct"})

    def error(self, status: int, code: str, message: str) -> web.Response:
        error = {"message": message, "type": code, "param": None, "code": code}
        return reply({"error": error, "id": "0", "request_id": "0"}, status)

    def asked(self, body: Any) -> tuple[str, list[str]]:
        return body["query"], body["documents"]

    def tokens(self, body: Any) -> int:
        query, documents = self.asked(body)
        return count(query) * len(documents) + sum(map(count, documents))

    def refuse(self, body: Any) -> web.Response | None:
        documents = self.asked(body)[1]
        prefix = "<400> InternalError.Algo.InvalidParameter: "
        if not documents or not all(text.strip() for text in documents):
            return self.error(400, "InvalidParameter", f"{prefix}documents should not be empty")
        if len(documents) > self.max_documents:
            message = f"the number of documents should not be larger than {self.max_documents}"
            return self.error(400, "InvalidParameter", prefix + message)
        if self.tokens(body) > self.max_request:
            message = f"Range of input length should be [1, {self.max_request}]"
            return self.error(400, "InvalidParameter", prefix + message)
        return None

    def answer(self, body: Any) -> web.Response:
        usage = {"total_tokens": self.tokens(body)}
        return reply({"object": "list", "results": self.ranked(body), "model": self.model, "id": "8", "usage": usage})


@dataclass
class WrappedStub(DashScopeStub):
    """qwen3-rerank behind a gateway: ``{request_id, output: {results}, usage}``."""

    path: str = "/v1/rerank"
    fields = frozenset({"model", "query", "documents", "top_n", "instruct", "return_documents"})

    def error(self, status: int, code: str, message: str) -> web.Response:
        return reply({"code": code, "message": message, "request_id": "0"}, status)

    def answer(self, body: Any) -> web.Response:
        usage = {"total_tokens": self.tokens(body)}
        return reply({"request_id": "8", "output": {"results": self.ranked(body)}, "usage": usage})


@dataclass
class NativeStub(WrappedStub):
    """gte-rerank-v2: nested input, strings, 30,000 tokens a call."""

    model: str = "gte-rerank-v2"
    path: str = "/api/v1/services/rerank/text-rerank/text-rerank"
    max_request: int = 30_000
    fields = frozenset({"model", "input", "parameters"})
    parameters: ClassVar[frozenset[str]] = frozenset({"return_documents"})

    def asked(self, body: Any) -> tuple[str, list[str]]:
        return body["input"]["query"], body["input"]["documents"]

    def refuse(self, body: Any) -> web.Response | None:
        assert set(body["parameters"]) <= self.parameters
        assert body["parameters"]["return_documents"] is False
        assert all(isinstance(text, str) for text in self.asked(body)[1])
        return super().refuse(body)

    def scores(self, body: Any) -> list[float]:
        query, documents = self.asked(body)
        return [relevance(query, text) for text in documents]


@dataclass
class VisualStub(NativeStub):
    """qwen3-vl-rerank: objects that name their kind; 100 texts, 40 images, 4 videos."""

    model: str = "qwen3-vl-rerank"
    max_documents: int = 100
    max_request: int = 120_000
    parameters = frozenset({"return_documents", "instruct", "fps"})

    def asked(self, body: Any) -> tuple[str, list[str]]:
        documents = [next(iter(item.values())) for item in body["input"]["documents"]]
        query = body["input"]["query"]
        return query["text"] if isinstance(query, dict) else query, documents

    def refuse(self, body: Any) -> web.Response | None:
        kinds = [kind for item in body["input"]["documents"] for kind in item]
        for kind, limit in (("text", 100), ("image", 40), ("video", 4)):
            if kinds.count(kind) > limit:
                message = f"the number of {kind} documents should not be larger than {limit}"
                return self.error(400, "InvalidParameter", message)
        return super().refuse(body)


@dataclass
class DmxStub(RerankStub):
    """DMXAPI's qwen3-reranker-8b: texts echoed, no id, a usage of zeros."""

    model: str = "qwen3-reranker-8b"
    fields = frozenset({"model", "query", "documents", "top_n", "return_documents", "instruction"})

    def error(self, status: int, code: str, message: str) -> web.Response:
        return reply({"error": {"message": message, "type": code, "param": "", "code": code}}, status)

    def answer(self, body: Any) -> web.Response:
        rows = [{**row, "document": {"text": body["documents"][row["index"]]}} for row in self.ranked(body)]
        usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "prompt_tokens_details": {}}
        return reply({"results": rows, "usage": usage})


@dataclass
class SiliconFlowStub(DmxStub):
    """SiliconFlow: ``instruction``, tokens beside the results."""

    model: str = "Qwen/Qwen3-Reranker-8B"

    def answer(self, body: Any) -> web.Response:
        tokens = {"input_tokens": 70, "output_tokens": 7}
        return reply({"id": "1", "results": self.ranked(body), "tokens": tokens})


@dataclass
class JinaStub(DmxStub):
    """Jina."""

    model: str = "jina-reranker-v2-base-multilingual"

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
class SglangStub(DmxStub):
    """SGLang: ``instruct``, a bare list."""

    model: str = "Qwen/Qwen3-Reranker-0.6B"
    authorization: str | None = None
    fields = frozenset({"model", "query", "documents", "top_n", "return_documents", "instruct"})

    def answer(self, body: Any) -> web.Response:
        return reply([{**row, "document": None, "meta_info": None} for row in self.ranked(body, "score")])


@dataclass
class CohereStub(RerankStub):
    """Cohere, version 2: no echo, billed by searches."""

    model: str = "rerank-v3.5"
    path: str = "/v2/rerank"
    fields = frozenset({"model", "query", "documents", "top_n", "max_tokens_per_doc", "priority"})

    def error(self, status: int, code: str, message: str) -> web.Response:
        return reply({"id": "1", "message": message}, status)

    def answer(self, body: Any) -> web.Response:
        meta = {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}
        return reply({"id": "1", "results": self.ranked(body), "meta": meta})


@dataclass
class TeiStub(RerankStub):
    """Text Embeddings Inference: a bare array; 32 texts a call; cuts what is too long if it is told to."""

    path: str = "/rerank"
    max_batch: int = 32
    fields = frozenset({"query", "texts", "raw_scores", "return_text", "truncate"})

    def error(self, status: int, code: str, message: str) -> web.Response:
        return reply({"error": message, "error_type": code}, status)

    def refuse(self, body: Any) -> web.Response | None:
        assert body["raw_scores"] is False
        assert body["truncate"] is True
        if len(body["texts"]) > self.max_batch:
            message = f"batch size {len(body['texts'])} > maximum allowed batch size {self.max_batch}"
            return self.error(413, "Validation", message)
        return None

    def scores(self, body: Any) -> list[float]:
        return [relevance(body["query"], text) for text in body["texts"]]

    def answer(self, body: Any) -> web.Response:
        return reply(self.ranked(body, "score"))


@asynccontextmanager
async def reranking(
    handler: Handler, kind: type[HttpRerank], **settings: Any
) -> AsyncIterator[tuple[HttpReranker, Stub]]:
    """A reranker over a stub that answers with ``handler``."""
    async with serve(handler) as stub:
        reranker = HttpReranker(kind(**{"url": stub.url, "api_key": KEY, **settings}))
        try:
            yield reranker, stub
        finally:
            await reranker.close()


async def scores_of(
    reranker: HttpReranker, query: str, texts: Sequence[str], instruct: str | None = None
) -> FloatArray:
    """The scores of plain texts."""
    return (await reranker.rerank(query, NOWHERE, candidates_of(texts), instruct=instruct)).scores


def fixed(*answers: Any) -> Handler:
    """Give the answers in turn, the last one for ever."""
    waiting = list(answers)

    async def handler(request: web.Request) -> web.Response:
        return reply(waiting.pop(0) if len(waiting) > 1 else waiting[0])

    return handler
