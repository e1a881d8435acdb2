"""Every documented refusal of every provider, met by the reranker and by the embedder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest
from aiohttp import web

from tests.stubs.calls import error_of, no_waits
from tests.stubs.embeddings import embedding
from tests.stubs.rerank_servers import compatible_error, native_error, reranking, scores_of
from tests.stubs.server import Handler, Stub, reply
from winnow.core.errors import UpstreamRejected, UpstreamUnavailable, WinnowError
from winnow.core.settings.embedding import DashScopeEmbedding
from winnow.core.settings.rerank import DashScopeRerank
from winnow.models.http.refusals import Unpaid

__all__ = ["no_waits"]  # a fixture

Ask = Callable[[], Awaitable[Any]]
ADAPTERS = ["WINNOW_RERANK", "WINNOW_EMBEDDING"]


class Refusal(NamedTuple):
    """An error as a provider documents it, and what is made of it.

    Attributes:
        settings: that the message names, without their prefix.
        words: what else the message says.
        calls: how often the provider is asked before it is given up: for good once, a quota twice, else five times.
    """

    answer: web.Response
    settings: tuple[str, ...] = ()
    words: str = ""
    calls: int = 1


KEY = ("API_KEY", "AUTH_SCHEME")
ACCESS = ("API_KEY", "MODEL", "URL")
ABSENT = ("URL", "PATH", "MODEL")
SOON, QUOTA = 5, 2


def body_of(answer: web.Response) -> bytes:
    assert isinstance(answer.body, bytes | None)
    return answer.body or b""


def dashscope(status: int, code: str, message: str, *fate: Any, compatible: str = "") -> dict[str, Refusal]:
    """An error in the bodies of both APIs; ``compatible`` is its code in the second, where that differs."""
    return {
        f"DashScope native, {code}": Refusal(native_error(status, code, message), *fate),
        f"DashScope compatible, {compatible or code}": Refusal(
            compatible_error(status, compatible or code, message), *fate
        ),
    }


def error(message: str, kind: str, code: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


REFUSALS: dict[str, Refusal] = {
    **dashscope(401, "InvalidApiKey", "Invalid API-key provided.", KEY, compatible="invalid_api_key"),
    **dashscope(403, "AccessDenied", "Access denied.", ACCESS),
    **dashscope(403, "Model.AccessDenied", "Model access denied.", ACCESS),
    **dashscope(404, "ModelNotFound", "Model can not be found.", ABSENT, compatible="model_not_found"),
    **dashscope(400, "InvalidURL", "Invalid URL provided in your request.", ABSENT),
    **dashscope(400, "InvalidParameter", "Required parameter(s) missing or invalid.", (), "missing or invalid"),
    **dashscope(400, "DataInspectionFailed", "Input data may contain inappropriate content.", (), "content filter"),
    **dashscope(400, "Arrearage", "Make sure your account is in good standing.", (), "not paid up"),
    **dashscope(403, "AllocationQuota.FreeTierOnly", "The free tier has been exhausted.", (), "not paid up"),
    **dashscope(429, "PrepaidBillOverdue", "The prepaid bill is overdue.", (), "not paid up"),
    **dashscope(429, "PostpaidBillOverdue", "The postpaid bill is overdue.", (), "not paid up"),
    **dashscope(429, "CommodityNotPurchased", "Commodity has not purchased yet.", (), "not paid up"),
    **dashscope(429, "Throttling.AllocationQuota", "Free allocated quota exceeded.", (), "quota is used up", QUOTA),
    **dashscope(429, "insufficient_quota", "You exceeded your current quota.", (), "quota is used up", QUOTA),
    **dashscope(429, "Throttling", "Requests throttling triggered.", (), "429", SOON),
    **dashscope(429, "Throttling.RateQuota", "Requests rate limit exceeded.", (), "429", SOON),
    **dashscope(408, "RequestTimeOut", "Request timed out, please try again later.", (), "408", SOON),
    **dashscope(500, "InternalError", "An internal error has occured.", (), "500", SOON),
    **dashscope(503, "ModelUnavailable", "Model is unavailable, please try again later.", (), "503", SOON),
    "vLLM, no key": Refusal(reply({"error": "Unauthorized"}, 401), KEY),
    "vLLM, path": Refusal(reply({"detail": "Not Found"}, 404), ABSENT),
    "vLLM, model": Refusal(reply(error("The model `m` does not exist.", "NotFoundError", 404), 404), ABSENT),
    "vLLM, request": Refusal(reply(error("documents are required", "BadRequestError", 400), 400), (), "are required"),
    "vLLM, queue": Refusal(reply(error("Server overloaded", "ServiceUnavailable", 503), 503), (), "503", SOON),
    "vLLM, broken": Refusal(reply(error("EngineDeadError", "InternalServerError", 500), 500), (), "500", SOON),
    "TEI, no key": Refusal(web.Response(status=401), KEY),
    "TEI, empty": Refusal(reply({"error": "`inputs` cannot be empty", "error_type": "Empty"}, 400), (), "be empty"),
    "TEI, tokenizer": Refusal(reply({"error": "Tokenization error", "error_type": "Tokenizer"}, 422), (), "422"),
    "TEI, inference": Refusal(reply({"error": "Inference failed", "error_type": "Backend"}, 424), (), "424", SOON),
    "TEI, busy": Refusal(reply({"error": "Model is overloaded", "error_type": "Overloaded"}, 429), (), "429", SOON),
    "TEI, ill": Refusal(reply({"error": "unhealthy", "error_type": "Unhealthy"}, 503), (), "503", SOON),
    "Cohere, no key": Refusal(reply({"message": "invalid api token", "id": "1"}, 401), KEY),
    "Cohere, model": Refusal(reply({"message": "model 'm' not found", "id": "1"}, 404), ABSENT),
    "Cohere, trial": Refusal(reply({"message": "limited to 10 API calls a minute", "id": "1"}, 429), (), "429", SOON),
    "Cohere, broken": Refusal(reply({"message": "internal server error", "id": "1"}, 500), (), "500", SOON),
    "Jina, no key": Refusal(reply({"detail": "Invalid API key"}, 401), KEY),
    "Jina, no money": Refusal(reply({"detail": "Account balance not enough"}, 402), (), "not paid up"),
    "Jina, request": Refusal(reply({"detail": [{"loc": ["body"], "msg": "Field required"}]}, 422), (), "Field req"),
    "Jina, rate": Refusal(reply({"detail": "Rate of requests"}, 429), (), "429", SOON),
    "SiliconFlow, no key": Refusal(reply("Invalid token", 401), KEY, "Invalid token"),
    "SiliconFlow, path": Refusal(reply("404 page not found", 404), ABSENT, "page not found"),
    "SiliconFlow, model": Refusal(reply({"code": 20012, "message": "Model does not exist", "data": None}, 400)),
    "SiliconFlow, rate": Refusal(reply({"message": "rate limiting", "data": ""}, 429), (), "rate", SOON),
    "SiliconFlow, busy": Refusal(reply({"code": 50505, "message": "Model service overloaded"}, 503), (), "50", SOON),
    "SiliconFlow, slow": Refusal(web.Response(status=504, text="Gateway Timeout"), (), "504", SOON),
    "DMXAPI, no key": Refusal(reply(error("无效的令牌", "new_api_error", ""), 401), KEY, "无效的令牌"),
    "DMXAPI, no money": Refusal(
        reply(error("用户额度不足", "new_api_error", "insufficient_user_quota"), 403), (), "not paid up"
    ),
}


@asynccontextmanager
async def asking(adapter: str, handler: Handler) -> AsyncIterator[tuple[Ask, Stub]]:
    """One question to a reranker or an embedder over ``handler``."""
    if adapter == "WINNOW_RERANK":
        async with reranking(handler, DashScopeRerank) as (reranker, stub):
            yield lambda: scores_of(reranker, "apples", ["pears"]), stub
    else:
        async with embedding(handler, DashScopeEmbedding) as (embedder, stub):
            yield lambda: embedder.embed(["pears"], "document"), stub


def refusing(answer: web.Response, **headers: str) -> Handler:
    raw, status, kind = body_of(answer), answer.status, answer.content_type

    async def handler(request: web.Request) -> web.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(body=raw, status=status, content_type=kind, headers=named)

    return handler


async def refused(adapter: str, handler: Handler) -> tuple[WinnowError, int]:
    """The error that comes of it, and how many calls were made."""
    async with asking(adapter, handler) as (ask, stub):
        return await error_of(ask()), len(stub.calls)


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
@pytest.mark.usefixtures("no_waits")
async def test_a_refusal_is_understood(refusal: Refusal, adapter: str) -> None:
    error, calls = await refused(adapter, refusing(refusal.answer))
    rejected = Unpaid if refusal.words == "not paid up" else UpstreamRejected
    assert type(error) is (UpstreamUnavailable if refusal.calls == SOON else rejected)
    assert error.retryable is (refusal.calls == SOON)
    assert calls == refusal.calls
    assert refusal.words in error.message
    for setting in refusal.settings:
        assert f"{adapter}__{setting}" in error.message


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("error", [native_error, compatible_error])
async def test_a_long_wait_that_is_asked_for_is_left_to_the_caller(
    error: Callable[..., web.Response], status: int, adapter: str
) -> None:
    answer = error(status, "Throttling.RateQuota", "Requests rate limit exceeded.")
    found, calls = await refused(adapter, refusing(answer, Retry_After="120"))
    assert isinstance(found, UpstreamUnavailable)
    assert found.retry_after == 120
    assert calls == 1
