"""Servers that embed, as their providers document them: OpenAI's shape, vLLM's habits, both APIs of DashScope.

Vectors are those of ``FakeEmbedder``: the same text has the same vector everywhere, shared words make texts alike.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from retrieval.models.embed_dialects import HttpEmbedding
from retrieval.models.fakes import FakeEmbedder, WordTokenizer
from retrieval.models.http_embedder import HttpEmbedder
from retrieval.settings.embedding import VllmEmbedding
from tests.stubs.server import Handler, Stub, reply, serve

DIMENSIONS = 64
LIMIT = 256  # words of a text; one more place is taken by the closing token
_WORDS = WordTokenizer()


def words(text: str) -> int:
    return len(_WORDS.spans(text))


async def vectors(texts: Sequence[str], dimensions: int = DIMENSIONS) -> list[Any]:
    return list((await FakeEmbedder(dimensions).embed(texts, "document")).vectors)


def openai_error(status: int, message: str, code: Any = None, **fields: Any) -> web.Response:
    """``{"error": {message, type, param, code}}``."""
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code, **fields}
    return reply({"error": error}, status)


@dataclass
class OpenAIStub:
    """OpenAI: base64 on demand, a limit of tokens a text, the key as bearer."""

    model: str = "text-embedding-3-small"
    key: str = ""
    batch_limit: int = 2048

    async def __call__(self, request: web.Request) -> web.Response:
        if self.key and request.headers.get("Authorization") != f"Bearer {self.key}":
            return openai_error(401, "Incorrect API key provided: sk-****.", "invalid_api_key")
        if request.path != "/v1/embeddings":
            return openai_error(404, f"Invalid URL (POST {request.path})")
        body = await request.json()
        if body["model"] != self.model:
            return openai_error(404, f"The model `{body['model']}` does not exist", "model_not_found", param="model")
        return self.refuse(body) or await self.answer(body)

    def refuse(self, body: Any) -> web.Response | None:
        if len(body["input"]) > self.batch_limit:
            return openai_error(400, f"'$.input' is too long: at most {self.batch_limit} inputs")
        longest = max(map(words, body["input"]))
        if longest > LIMIT:
            message = f"This model's maximum context length is {LIMIT} tokens, however you requested {longest} tokens"
            return openai_error(400, message)
        return None

    async def answer(self, body: Any) -> web.Response:
        found = await vectors(body["input"], body.get("dimensions", DIMENSIONS))
        in_base64 = body.get("encoding_format") == "base64"
        rows = [
            {
                "object": "embedding",
                "index": index,
                "embedding": base64.b64encode(vector.tobytes()).decode() if in_base64 else vector.tolist(),
            }
            for index, vector in enumerate(found)
        ]
        read = sum(min(LIMIT, words(text)) for text in body["input"])
        usage = {"prompt_tokens": read, "total_tokens": read}
        return reply({"object": "list", "data": rows, "model": self.model, "usage": usage})


@dataclass
class VllmStub(OpenAIStub):
    """vLLM 0.32 with ``--runner pooling``: no key on ``/health``, ``dimensions`` for Matryoshka models only."""

    model: str = "Qwen/Qwen3-Embedding-0.6B"
    matryoshka: bool = True
    max_model_len: int = LIMIT + 1
    closing_token: int = 151643

    async def __call__(self, request: web.Request) -> web.Response:
        if request.path == "/health":
            return web.Response()
        if request.path == "/tokenize":
            return reply({"count": 2, "max_model_len": self.max_model_len, "tokens": [2307, self.closing_token]})
        if self.key and request.headers.get("Authorization") != f"Bearer {self.key}":
            return reply({"error": "Unauthorized"}, 401)
        if request.path == "/v1/models":
            card = {"id": self.model, "object": "model", "max_model_len": self.max_model_len}
            return reply({"object": "list", "data": [card]})
        return await self.embed(request)

    async def embed(self, request: web.Request) -> web.Response:
        if request.path != "/v1/embeddings":
            return reply({"detail": "Not Found"}, 404)
        body = await request.json()
        if body["model"] != self.model:
            message = f"The model `{body['model']}` does not exist."
            return openai_error(404, message, 404, type="NotFoundError", param="model")
        return self.refuse(body) or await self.answer(body)

    def refuse(self, body: Any) -> web.Response | None:
        if "dimensions" in body and not self.matryoshka:
            message = (
                f"Model {self.model!r} does not support Matryoshka embeddings; dimensions must be unset "
                f"(received dimensions={body['dimensions']})."
            )
            return openai_error(400, message, 400, type="BadRequestError")
        if body.get("truncate_prompt_tokens") == -1:
            return None
        longest = max(map(words, body["input"]))
        if longest > LIMIT:
            message = (
                f"This model's maximum context length is {LIMIT + 1} tokens. However, your prompt contains {longest} "
                "input tokens, which exceeds this limit even without any output tokens. Please reduce the length of "
                "the input prompt."
            )
            return openai_error(400, message, 400, type="BadRequestError", param="input_tokens")
        return None


@dataclass
class DashScopeStub(OpenAIStub):
    """text-embedding-v4, compatible API: floats only, 10 texts a call."""

    model: str = "text-embedding-v4"
    batch_limit: int = 10

    async def __call__(self, request: web.Request) -> web.Response:
        if self.key and request.headers.get("Authorization") != f"Bearer {self.key}":
            return self.error(401, "InvalidApiKey", "Incorrect API key provided.")
        body = await request.json()
        return self.refuse(body) or await self.answer(body)

    def error(self, status: int, code: str, message: str) -> web.Response:
        error = {"message": message, "type": code, "param": None, "code": code}
        return reply({"error": error, "id": "0", "request_id": "0"}, status)

    def texts(self, body: Any) -> list[str]:
        return body["input"]

    def refuse(self, body: Any) -> web.Response | None:
        texts = self.texts(body)
        if body.get("encoding_format", "float") != "float":
            return self.error(400, "InvalidParameter", "encoding_format only supports float")
        if len(texts) > self.batch_limit:
            message = f"Value error, batch size is invalid, it should not be larger than {self.batch_limit}.: input"
            return self.error(400, "InvalidParameter", f"<400> InternalError.Algo.InvalidParameter: {message}")
        if max(map(words, texts)) > LIMIT:
            message = f"<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, {LIMIT}]"
            return self.error(400, "InvalidParameter", message)
        return None


@dataclass
class DashScopeNativeStub(DashScopeStub):
    """text-embedding-v4, native API: queries and documents differ, and an instruct moves a query."""

    def error(self, status: int, code: str, message: str) -> web.Response:
        return reply({"code": code, "message": message, "request_id": "0"}, status)

    def texts(self, body: Any) -> list[str]:
        return body["input"]["texts"]

    async def answer(self, body: Any) -> web.Response:
        parameters, texts = body["parameters"], self.texts(body)
        said = parameters.get("instruct", "") if parameters["text_type"] == "query" else ""
        found = await vectors([f"{text} {said}" for text in texts], parameters["dimension"])
        rows = [{"text_index": index, "embedding": vector.tolist()} for index, vector in enumerate(found)]
        usage = {"total_tokens": sum(map(words, texts))}
        return reply({"output": {"embeddings": rows}, "usage": usage, "request_id": "0"})


async def never(request: web.Request) -> web.Response:
    """Accept the call and answer nothing."""
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


@asynccontextmanager
async def embedding(
    handler: Handler, kind: type[HttpEmbedding] = VllmEmbedding, **settings: Any
) -> AsyncIterator[tuple[HttpEmbedder, Stub]]:
    """An embedder over a stub that answers with ``handler``."""
    async with serve(handler) as stub:
        defaults = {"url": stub.url, "dimensions": DIMENSIONS, "max_tokens": LIMIT + 1}
        embedder = HttpEmbedder(kind(**{**defaults, **settings}), WordTokenizer())
        yield embedder, stub
        await embedder.close()


def of(kind: type[HttpEmbedding], **settings: Any) -> HttpEmbedder:
    """An embedder that is not called."""
    return HttpEmbedder(kind(**settings), WordTokenizer())


async def expected(texts: Sequence[str]) -> Any:
    return (await FakeEmbedder(DIMENSIONS).embed(texts, "document")).vectors


def rows(*embeddings: Any) -> dict[str, Any]:
    return {"data": [{"index": index, "embedding": embedding} for index, embedding in enumerate(embeddings)]}


def unit(position: int = 0) -> list[float]:
    return [float(index == position) for index in range(DIMENSIONS)]
