"""What providers say when they refuse, and what we make of it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from winnow.core.errors import Upstream, UpstreamRejected, UpstreamTooLong, UpstreamUnavailable
from winnow.models.http.refusals import Callee, QuotaSpent, Unpaid, refusal

CALLEE = Callee("acme", "https://acme.example/v1/rerank", "WINNOW_RERANK", "sk-secret")


def refused(status: int, body: Any = b"", **headers: str) -> Upstream:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return refusal(CALLEE, status, {name.replace("_", "-"): value for name, value in headers.items()}, raw)


BODIES = {
    "OpenAI": {"error": {"message": "it is so", "type": "invalid_request_error", "param": None, "code": None}},
    "vLLM": {"error": {"message": "it is so", "type": "BadRequestError", "param": None, "code": 400}},
    "vLLM without its key": {"error": "it is so"},
    "TEI": {"error": "it is so", "error_type": "Validation"},
    "DashScope native": {"code": "InvalidParameter", "message": "it is so", "request_id": "4"},
    "DashScope compatible": {
        "error": {"message": "it is so", "type": "InvalidParameter", "param": None, "code": "InvalidParameter"},
        "id": "4",
        "request_id": "4",
    },
    "Cohere": {"message": "it is so", "id": "4"},
    "SiliconFlow": {"code": 20012, "message": "it is so", "data": None},
    "SiliconFlow, a bare string": "it is so",
    "SGLang": {"object": "error", "message": "it is so", "type": "BadRequestError", "param": None, "code": 400},
    "FastAPI": {"detail": "it is so"},
    "FastAPI, a list": {"detail": [{"type": "missing", "loc": ["body", "model"], "msg": "it is so"}]},
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
def test_the_providers_words_are_passed_on(status: int, body: Any) -> None:
    error = refused(status, body)
    assert "it is so" in error.message
    assert str(status) in error.message
    assert "acme at https://acme.example/v1/rerank" in error.message


@pytest.mark.parametrize(
    "body", [b"", b"<html>Bad Gateway", b"[1]", b'""', b"{}", b'{"error": null}', b'{"error": {}}']
)
def test_a_body_that_says_nothing_leaves_the_status(body: bytes) -> None:
    error = refused(502, body)
    assert isinstance(error, UpstreamUnavailable)
    assert "502 (Bad Gateway)" in error.message
    assert "599 (no reason given)" in refused(599, body).message


@pytest.mark.parametrize(
    ("status", "settings"),
    [
        (401, ["API_KEY", "AUTH_SCHEME"]),
        (403, ["API_KEY", "MODEL", "URL"]),
        (404, ["URL", "PATH", "MODEL"]),
        (405, ["URL", "PATH", "MODEL"]),
        (302, ["URL"]),
    ],
)
def test_a_refusal_for_good_names_the_settings_to_check(status: int, settings: list[str]) -> None:
    error = refused(status, {"error": "no"})
    assert type(error) is UpstreamRejected
    for name in settings:
        assert f"WINNOW_RERANK__{name}" in error.message


@pytest.mark.parametrize("code", ["ModelNotFound", "model_not_found", "InvalidURL"])
def test_a_model_or_an_address_that_is_not_there_is_named_whatever_the_status(code: str) -> None:
    message = refused(400, {"code": code, "message": "m"}).message
    assert "WINNOW_RERANK__MODEL" in message
    assert "WINNOW_RERANK__URL" in message


LENGTHS = {
    "vLLM": (
        400,
        {
            "error": {
                "message": "This model's maximum context length is 8192 tokens. However, your prompt contains 9001 "
                "input tokens, which exceeds this limit even without any output tokens. Please reduce the length of "
                "the input prompt.",
                "type": "BadRequestError",
                "param": "input_tokens",
                "code": 400,
            }
        },
    ),
    "OpenAI": (400, {"error": {"message": "…", "code": "context_length_exceeded"}}),
    "OpenAI, a call": (400, {"error": {"message": "Requested 301000 tokens, max 300000 tokens per request"}}),
    "OpenAI, inputs": (400, {"error": {"message": "'$.input' is invalid: array too long, maximum of 2048 inputs"}}),
    "DashScope": (400, {"code": "InvalidParameter", "message": "Range of input length should be [1, 8192]"}),
    "DashScope, texts": (
        400,
        {
            "error": {
                "message": "<400> InternalError.Algo.InvalidParameter: Value error, batch size is invalid, it should "
                "not be larger than 10.: input.contents",
                "code": "InvalidParameter",
            }
        },
    ),
    "SiliconFlow, texts": (413, {"code": 20042, "message": "input batch size 136 > maximum allowed batch size 64"}),
    "TEI": (413, {"error": "`inputs` must have less than 512 tokens. Given: 1024", "error_type": "Validation"}),
    "TEI, texts": (422, {"error": "batch size 64 > maximum allowed batch size 32", "error_type": "Validation"}),
    "Cohere": (400, {"message": "too many tokens: the total number of tokens must be less than 4096", "id": "4"}),
    "Cohere, texts": (400, {"message": "invalid request: total number of texts must be at most 96", "id": "4"}),
    "llama.cpp": (
        500,
        {
            "error": {
                "code": 500,
                "message": "input (2793 tokens) is too large to process. increase the physical batch size (current "
                "batch size: 512)",
                "type": "server_error",
            }
        },
    ),
    "a proxy": (413, b"<html>413 Request Entity Too Large"),
}


@pytest.mark.parametrize(("status", "body"), LENGTHS.values(), ids=LENGTHS)
def test_too_long_an_input_is_told_apart(status: int, body: Any) -> None:
    assert type(refused(status, body)) is UpstreamTooLong


@pytest.mark.parametrize(
    "message",
    [
        "Model 'm' does not support Matryoshka embeddings; dimensions must be unset (received dimensions=64).",
        "Model 'm' only supports dimensions in range [1, 1024], got 5000.",
        "Invalid value for 'dimensions' = 5000. Must be less than or equal to 1536.",
        "Invalid 'input[0]': input cannot be an empty string.",
        "'$.input' is invalid. Please check the API reference.",
        "Model not exist.",
    ],
)
def test_other_bad_requests_are_not_taken_for_too_long(message: str) -> None:
    assert type(refused(400, {"error": {"message": message}})) is UpstreamRejected


def test_a_length_in_an_error_that_passes_is_no_limit_of_ours() -> None:
    assert type(refused(429, {"error": {"message": "Limit of tokens per minute exceeded"}})) is UpstreamUnavailable
    assert type(refused(503, {"error": {"message": "queue is over its limit of inputs"}})) is UpstreamUnavailable
    assert type(refused(500, {"error": {"message": "Rate limit of tokens exceeded"}})) is UpstreamUnavailable


@pytest.mark.parametrize(
    ("status", "code", "word"),
    [
        (400, "Arrearage", "not paid up"),
        (403, "AllocationQuota.FreeTierOnly", "not paid up"),
        (429, "CommodityNotPurchased", "not paid up"),
        (429, "PrepaidBillOverdue", "not paid up"),
        (429, "PostpaidBillOverdue", "not paid up"),
        (402, "", "not paid up"),
        (400, "DataInspectionFailed", "content filter"),
        (400, "data_inspection_failed", "content filter"),
    ],
)
def test_what_only_the_account_or_the_text_can_change_is_said_plainly(status: int, code: str, word: str) -> None:
    for body in ({"code": code, "message": "m"}, {"error": {"code": code, "message": "m"}}):
        error = refused(status, body)
        assert type(error) is (Unpaid if word == "not paid up" else UpstreamRejected)
        assert word in error.message


@pytest.mark.parametrize("code", ["insufficient_quota", "Throttling.AllocationQuota"])
def test_a_spent_quota_is_told_apart_from_a_rate_limit(code: str) -> None:
    assert type(refused(429, {"code": code, "message": "m"})) is QuotaSpent
    assert type(refused(429, {"code": "Throttling.RateQuota", "message": "m"})) is UpstreamUnavailable


def test_how_long_to_wait_comes_along() -> None:
    assert refused(503, Retry_After="7").retry_after == 7
    assert refused(429).retry_after is None


def test_a_message_is_one_short_line_without_the_key() -> None:
    error = refused(400, {"error": {"message": "your key sk-secret\n\n" + "is bad " * 1000}})
    assert "your key *** is bad" in error.message
    assert "\n" not in error.message
    assert len(error.message) < 600
    assert "sk-secret" not in repr(CALLEE)
