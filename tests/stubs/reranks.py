"""Servers that rerank, as their providers document them.

A document's score is the share of the query's words in it. Scores come sorted, as providers send them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

from aiohttp import web

from retrieval.ids import point_id
from retrieval.models.fakes import WordTokenizer
from retrieval.models.http_reranker import HttpReranker
from retrieval.models.prompts import RERANK_PREFIX, RERANK_SUFFIX
from retrieval.probes import NOWHERE
from retrieval.settings.rerank import HttpRerank
from retrieval.types import ArmScore, Candidate, Chunk, Metadata
from tests.stubs.server import Handler, Stub, reply, serve

_WORDS = WordTokenizer()


def words(text: str) -> list[str]:
    return [text[start:end].casefold() for start, end in _WORDS.spans(text)]


def overlap(query: str, document: str) -> float:
    """Words in common; longer documents are a little worse, so that different ones differ."""
    asked, found = set(words(query)), set(words(document))
    return (len(asked & found) + 1 / (2 + len(document))) / (len(asked) + 1)


def ranked(query: str, documents: Sequence[str]) -> list[dict[str, Any]]:
    scores = [overlap(query, document) for document in documents]
    order = sorted(range(len(scores)), key=lambda index: -scores[index])
    return [{"index": index, "relevance_score": scores[index]} for index in order]


def read(query: str, documents: Sequence[str]) -> int:
    """Tokens of a call: the query counts once for each document."""
    return len(words(query)) * len(documents) + sum(len(words(document)) for document in documents)


@dataclass
class FlatStub:
    """``{model, query, documents}`` with a bearer key, in every shape that flat answers have.

    Attributes:
        most: documents of a call; more are refused as too long.
        longest: characters of a document; longer ones are refused.
    """

    shape: Literal["results", "output", "list", "siliconflow", "cohere"] = "results"
    key: str = ""
    most: int = 1000
    longest: int = 1 << 20

    async def __call__(self, request: web.Request) -> web.Response:
        if request.path == "/health":
            return web.Response()
        if self.key and request.headers.get("Authorization") != f"Bearer {self.key}":
            return self.refuse(401, "Invalid token")
        body = await request.json()
        query, documents = self.asked(body)
        if len(documents) > self.most:
            return self.refuse(400, f"the number of documents exceeds the limit: at most {self.most} documents")
        if max(map(len, documents)) > self.longest:
            return self.refuse(400, "This model's maximum context length is exceeded, the input has too many tokens")
        return reply(self.answer(ranked(query, documents), read(query, documents)))

    def refuse(self, status: int, message: str) -> web.Response:
        return reply({"error": {"message": message, "type": "invalid_request_error", "code": None}}, status)

    def asked(self, body: Any) -> tuple[str, list[str]]:
        return body["query"], body["documents"]

    def answer(self, results: list[dict[str, Any]], tokens: int) -> Any:
        match self.shape:
            case "results":
                return {"id": "0", "model": "m", "results": results, "usage": {"total_tokens": tokens}}
            case "output":
                return {"request_id": "0", "output": {"results": results}, "usage": {"total_tokens": tokens}}
            case "list":
                return [{"index": row["index"], "score": row["relevance_score"], "document": "…"} for row in results]
            case "siliconflow":
                return {"id": "0", "results": results, "meta": {"tokens": {"input_tokens": tokens, "output_tokens": 0}}}
            case "cohere":
                return {"id": "0", "results": results, "meta": {"billed_units": {"search_units": 1}}}


@dataclass
class ClientTemplateStub(FlatStub):
    """vLLM without a chat template: query and document are joined as they come."""

    def asked(self, body: Any) -> tuple[str, list[str]]:
        head, documents = body["query"], body["documents"]
        assert head.startswith(RERANK_PREFIX)
        assert all(each.startswith("<Document>: ") and each.endswith(RERANK_SUFFIX) for each in documents)
        query = head.partition("\n<Query>: ")[2]
        return query, [each.removeprefix("<Document>: ").removesuffix(RERANK_SUFFIX) for each in documents]


@dataclass
class NativeStub(FlatStub):
    """DashScope's native API: nested, documents as strings or as objects of their kind."""

    shape: Literal["results", "output", "list", "siliconflow", "cohere"] = "output"

    def refuse(self, status: int, message: str) -> web.Response:
        return reply({"code": "InvalidParameter", "message": message, "request_id": "0"}, status)

    def asked(self, body: Any) -> tuple[str, list[str]]:
        asked = body["input"]
        texts = [each if isinstance(each, str) else next(iter(each.values())) for each in asked["documents"]]
        return asked["query"], texts


@dataclass
class TeiStub(FlatStub):
    """Text Embeddings Inference: ``texts``, a bare list of ``{index, score}``."""

    shape: Literal["results", "output", "list", "siliconflow", "cohere"] = "list"

    def refuse(self, status: int, message: str) -> web.Response:
        return reply({"error": message, "error_type": "Validation"}, 413 if status == 400 else status)

    def asked(self, body: Any) -> tuple[str, list[str]]:
        return body["query"], body["texts"]


def candidate(number: int, text: str, title: str = "", metadata: Metadata | None = None) -> Candidate:
    score = ArmScore(number + 1, 0.5)
    name = f"doc-{number}"
    return Candidate(
        point_id(NOWHERE.uid, name, 1, 0),
        name,
        1,
        Chunk(0, 0, len(text), text),
        title,
        "",
        metadata or {},
        score,
        score,
        score,
    )


def candidates(*texts: str) -> list[Candidate]:
    return [candidate(number, text) for number, text in enumerate(texts)]


@asynccontextmanager
async def reranking(
    handler: Handler, kind: type[HttpRerank], **settings: Any
) -> AsyncIterator[tuple[HttpReranker, Stub]]:
    """A reranker over a stub that answers with ``handler``."""
    async with serve(handler) as stub:
        reranker = HttpReranker(kind(**{"url": stub.url, **settings}))
        yield reranker, stub
        await reranker.close()
