"""What both clients share: settings of the connection, and how answers and failures are read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, TypeVar

import httpx

from winnow_client.calls import Call
from winnow_client.errors import ConnectionFailed, error_of
from winnow_client.retries import Retries

_Answer = TypeVar("_Answer")

DEFAULT_URL = "http://127.0.0.1:8000"
KEY_VARIABLE = "WINNOW_API_KEY"
TIMEOUT_SECONDS = 60.0
PAGE_ROWS = 1000
POLL_SECONDS = 0.25
LONGEST_POLL_SECONDS = 5.0


class Transport:
    """What both clients know: address, headers, when to repeat a call."""

    def __init__(
        self, url: str, api_key: str | None, timeout: float, retries: Retries | int, headers: Mapping[str, str] | None
    ) -> None:
        key = os.environ.get(KEY_VARIABLE, "").strip() if api_key is None else api_key
        self.retries = Retries(most=retries) if isinstance(retries, int) else retries
        self.http: dict[str, Any] = {
            "base_url": url.rstrip("/").removesuffix("/v1"),
            "timeout": timeout,
            "headers": {"User-Agent": "winnow-client/0.1.0", **(headers or {})}
            | ({"Authorization": f"Bearer {key}"} if key else {}),
        }


def read_response(response: httpx.Response, call: Call[_Answer]) -> _Answer:
    """The answer to a call; raises ``WinnowApiError``."""
    if response.status_code >= 400:
        raise error_of(response)
    try:
        return call.parse(response.json() if response.content else None)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        message = f"{response.request.url} answered, and not as Winnow does: {error}"
        raise ConnectionFailed(message, status=response.status_code) from error


def failure_of(error: httpx.HTTPError | httpx.InvalidURL, http: Mapping[str, Any]) -> ConnectionFailed:
    """The error for a call that got no answer."""
    return ConnectionFailed(f"no answer from {http['base_url']}: {error or type(error).__name__}")
