"""What all reranking stubs share: who may call, what a request may hold, and what a text scores.

A score is the share of the query's words that a document has, and a little that depends on its text alone, so that no
two texts are quite alike.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, cast

from aiohttp import web

from tests.stubs.fields import Fields, complaint
from tests.stubs.server import Handler, Stub, reply, serve
from winnow.core.settings.rerank import HttpRerank
from winnow.core.types import FloatArray, Metadata
from winnow.models.http.rerank import HttpReranker
from winnow.models.qwen_tokens import QwenTokens
from winnow.ports import EmbeddedQuery, Passage
from winnow.ports.checks import passages_of

TOKENS = QwenTokens()
KEY = "sk-test"


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
    """A server that takes what its page names, from who has the key, and nothing else.

    Attributes:
        authorization: the header that is expected.
        path: where it answers; every other path is not found.
        fields: what its page names, with the types of JSON.
        required: fields that no request is without.
        beyond: fields that its page does not name and it is known to put up with.
    """

    authorization: str | None = f"Bearer {KEY}"
    model: str = ""
    path: str = "/v1/rerank"
    fields: ClassVar[Fields] = {"model": str, "query": str, "documents": list, "top_n": int}
    required: ClassVar[frozenset[str]] = frozenset({"model", "query", "documents"})
    beyond: ClassVar[Fields] = {}

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != self.authorization:
            return self.unauthorized()
        if (request.method, request.path) != ("POST", self.path):
            return self.not_found()
        if request.content_type != "application/json":
            return self.invalid("the content type must be application/json")
        body = await request.json()
        if wrong := self.malformed(body):
            return self.invalid(wrong)
        if body.get("model", self.model) != self.model:
            return self.error(404, "ModelNotFound", f"The model `{body['model']}` does not exist.")
        return self.refuse(body) or self.answer(body)

    def unauthorized(self) -> web.Response:
        return self.error(401, "InvalidApiKey", "Invalid API-key provided.")

    def not_found(self) -> web.Response:
        return reply({"detail": "Not Found"}, 404)

    def invalid(self, message: str) -> web.Response:
        return self.error(400, "InvalidParameter", message)

    def error(self, status: int, code: str, message: str) -> web.Response:
        raise NotImplementedError

    def malformed(self, body: Any) -> str:
        """What is wrong with a request's form; empty where nothing is."""
        if wrong := complaint(body, {**self.fields, **self.beyond}, self.required):
            return wrong
        documents = self.documents(body)
        return "" if documents and all(isinstance(each, str) for each in documents) else "documents must be strings"

    def refuse(self, body: Any) -> web.Response | None:
        """The refusal of a request that is over a limit."""
        return None

    def documents(self, body: Any) -> list[Any]:
        return list(body["documents"])

    def query(self, body: Any) -> Any:
        return body["query"]

    def scores(self, body: Any) -> list[float]:
        return [relevance(self.query(body), text) for text in self.documents(body)]

    def echo(self, body: Any, document: Any) -> dict[str, Any]:
        """What a result says besides index and score."""
        return {}

    def top_n(self, body: Any) -> int | None:
        """How many results are asked for; all where nothing is said."""
        return cast("int | None", body.get("top_n"))

    def ranked(self, body: Any, name: str = "relevance_score") -> list[dict[str, Any]]:
        """The results, best first."""
        rows = [
            {"index": index, name: score, **self.echo(body, document)}
            for index, (score, document) in enumerate(zip(self.scores(body), self.documents(body), strict=True))
        ]
        return sorted(rows, key=lambda row: -row[name])[: self.top_n(body)]

    def answer(self, body: Any) -> web.Response:
        raise NotImplementedError


def passage(text: str, title: str = "", metadata: Metadata | None = None) -> Passage:
    (found,) = passages_of([text])
    return found._replace(title=title, metadata=metadata or {})


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
    return (await reranker.rerank(EmbeddedQuery(query), passages_of(texts), instruct=instruct)).scores


def fixed(*answers: Any) -> Handler:
    """Give the answers in turn, the last one for ever."""
    waiting = list(answers)

    async def handler(request: web.Request) -> web.Response:
        return reply(waiting.pop(0) if len(waiting) > 1 else waiting[0])

    return handler
