"""Servers that embed, as their providers document them: OpenAI's shape, vLLM's habits, both APIs of DashScope.

Each refuses whatever its page does not name: another path, key or model, an unknown field, a value of another type.

Vectors are those of ``FakeEmbedder``: the same text has the same vector everywhere, shared words make texts alike.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from aiohttp import web

from tests.stubs.fields import Fields, complaint
from tests.stubs.rerank_servers.alibaba import compatible_error, native_error
from tests.stubs.server import Handler, Stub, reply, serve
from winnow.core.settings.embedding import VllmEmbedding
from winnow.models.http.embed import HttpEmbedder
from winnow.models.http.embed_dialects import HttpEmbedding
from winnow.testing.models import FakeEmbedder, WordTokenizer

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
    """OpenAI: base64 on demand, a limit of tokens a text.

    Attributes:
        key: what callers need; empty: nothing.
        scheme: how the key stands in its header.
        fields: what its page names, with the types of JSON.
    """

    model: str = "text-embedding-3-small"
    key: str = ""
    batch_limit: int = 2048
    scheme: Literal["bearer", "raw"] = "bearer"
    path: ClassVar[str] = "/v1/embeddings"
    fields: ClassVar[Fields] = {
        "model": str,
        "input": list,
        "dimensions": int,
        "encoding_format": str,
        "user": str,
    }
    required: ClassVar[frozenset[str]] = frozenset({"model", "input"})

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        if not self.knows(request):
            return self.error(401, "invalid_api_key", "Incorrect API key provided.")
        if (request.method, request.path) != ("POST", self.path):
            return self.not_found(request.path)
        body = await request.json()
        if wrong := self.malformed(body):
            return self.error(400, "InvalidParameter", wrong)
        if body["model"] != self.model:
            return self.error(404, "model_not_found", f"The model `{body['model']}` does not exist.")
        return self.refuse(body) or await self.answer(body)

    def knows(self, request: web.Request) -> bool:
        """Whether the caller has the key."""
        expected = self.key if self.scheme == "raw" else f"Bearer {self.key}"
        return not self.key or request.headers.get("Authorization") == expected

    def error(self, status: int, code: str, message: str) -> web.Response:
        return openai_error(status, message, code)

    def not_found(self, path: str) -> web.Response:
        return openai_error(404, f"Invalid URL (POST {path})")

    def malformed(self, body: Any) -> str:
        """What is wrong with a request's form; empty where nothing is."""
        return complaint(body, self.fields, self.required) or (
            ""
            if self.texts(body) and all(isinstance(text, str) for text in self.texts(body))
            else "input must be texts"
        )

    def texts(self, body: Any) -> list[Any]:
        return list(body["input"])

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
    fields: ClassVar[Fields] = {
        **OpenAIStub.fields,
        "truncate_prompt_tokens": int,
        "add_special_tokens": bool,
        "priority": int,
        "request_id": str,
    }

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/health":
            return web.Response()
        if request.path == "/tokenize":
            return reply({"count": 2, "max_model_len": self.max_model_len, "tokens": [2307, self.closing_token]})
        if request.path == "/v1/models" and self.knows(request):
            card = {"id": self.model, "object": "model", "max_model_len": self.max_model_len}
            return reply({"object": "list", "data": [card]})
        return await super().__call__(request)

    def error(self, status: int, code: str, message: str) -> web.Response:
        if status == 401:
            return reply({"error": "Unauthorized"}, 401)
        kind = {400: "BadRequestError", 404: "NotFoundError"}[status]
        return openai_error(status, message, status, type=kind)

    def not_found(self, path: str) -> web.Response:
        return reply({"detail": "Not Found"}, 404)

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
    max_words: int = LIMIT
    path = "/compatible-mode/v1/embeddings"
    fields: ClassVar[Fields] = {"model": str, "input": list, "dimensions": int, "encoding_format": str}

    def error(self, status: int, code: str, message: str) -> web.Response:
        return compatible_error(status, code, message)

    def not_found(self, path: str) -> web.Response:
        return web.Response(status=404)

    def refuse(self, body: Any) -> web.Response | None:
        texts = self.texts(body)
        if body.get("encoding_format", "float") != "float":
            return self.error(400, "InvalidParameter", "encoding_format only supports float")
        if len(texts) > self.batch_limit:
            message = f"Value error, batch size is invalid, it should not be larger than {self.batch_limit}.: input"
            return self.error(400, "InvalidParameter", f"<400> InternalError.Algo.InvalidParameter: {message}")
        if max(map(words, texts)) > self.max_words:
            message = (
                f"<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, {self.max_words}]"
            )
            return self.error(400, "InvalidParameter", message)
        return None


@dataclass
class DashScopeNativeStub(DashScopeStub):
    """text-embedding-v4, native API: queries and documents differ, and an instruct moves a query."""

    path = "/api/v1/services/embeddings/text-embedding/text-embedding"
    fields: ClassVar[Fields] = {"model": str, "input": dict, "parameters": dict}
    parameters: ClassVar[Fields] = {"text_type": str, "dimension": int, "output_type": str, "instruct": str}

    def error(self, status: int, code: str, message: str) -> web.Response:
        return native_error(status, code, message)

    def malformed(self, body: Any) -> str:
        return (
            complaint(body, self.fields, self.required)
            or complaint(body["input"], {"texts": list}, frozenset({"texts"}))
            or complaint(body.get("parameters", {}), self.parameters, frozenset())
        )

    def texts(self, body: Any) -> list[Any]:
        return list(body["input"]["texts"])

    async def answer(self, body: Any) -> web.Response:
        parameters, texts = body.get("parameters", {}), self.texts(body)
        said = parameters.get("instruct", "") if parameters.get("text_type") == "query" else ""
        found = await vectors([f"{text} {said}" for text in texts], parameters.get("dimension", DIMENSIONS))
        rows = [{"text_index": index, "embedding": vector.tolist()} for index, vector in enumerate(found)]
        usage = {"total_tokens": sum(map(words, texts))}
        return reply({"output": {"embeddings": rows}, "usage": usage, "request_id": "0"})


async def never(request: web.Request) -> web.Response:
    """Accept the call and answer nothing."""
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


@asynccontextmanager
async def embedding(
    handler: Handler,
    kind: type[HttpEmbedding] = VllmEmbedding,
    *,
    pace: tuple[int, int] | None = None,
    **settings: Any,
) -> AsyncIterator[tuple[HttpEmbedder, Stub]]:
    """An embedder over a stub that answers with ``handler``.

    ``pace`` is that of documents, as if it had been found already: texts of a call, calls at a time.
    """
    async with serve(handler) as stub:
        defaults = {"url": stub.url, "dimensions": DIMENSIONS, "max_tokens": LIMIT + 1}
        embedder = HttpEmbedder(kind(**{**defaults, **settings}), WordTokenizer())
        if pace is not None:
            embedder.pace.start_at(*pace)
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
