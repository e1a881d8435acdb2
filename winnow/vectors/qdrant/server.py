"""The connection to a Qdrant server: TLS, key and pools, one time limit over a whole call, and the retries.

Every call that is made through ``Server`` may be made twice with the same end, so that all of them are retried.
"""

from __future__ import annotations

import asyncio
import logging
import math
import ssl
import warnings
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import httpx
from qdrant_client import AsyncQdrantClient

from winnow.core.errors import InvalidSettings, StorageFailure, UpstreamRejected, UpstreamUnavailable
from winnow.core.instruments import RETRIES
from winnow.core.retry import REMOTE_CALL, RetryBudget, TimeLimit, retry
from winnow.core.settings.vectors import QdrantVectors
from winnow.core.tracing import store_span
from winnow.ports import IndexRef
from winnow.vectors.qdrant.errors import URL, Errand, qdrant_errors
from winnow.vectors.qdrant.schema import name_of

MINIMUM_VERSION: Final = (1, 18)  # metadata of collections, ACORN, TurboQuant
_PROBE_SECONDS: Final = 5.0
# Compressing costs the server and us more than a fast link saves. Over HTTP such an answer comes in chunks too, and the
# last one waits 40 ms for a delayed ACK (a real server keeps Nagle's algorithm).
_IDENTITY: Final = {"Accept-Encoding": "identity"}
_NO_COMPRESSION: Final = {"grpc.compression_enabled_algorithms_bitset": 1}  # bit 0: identity alone
_GRPC_OPTIONS: Final = {
    "grpc.lb_policy_name": "round_robin",  # over all nodes that the name of a cluster leads to
    "grpc.initial_reconnect_backoff_ms": 200,
    "grpc.max_reconnect_backoff_ms": 5_000,  # else a server that was away is left alone for up to two minutes
    "grpc.keepalive_time_ms": 30_000,  # notices a peer that vanished without a word
    "grpc.keepalive_timeout_ms": 10_000,
}

_T = TypeVar("_T")

log = logging.getLogger(__name__)


def server_client(settings: QdrantVectors) -> AsyncQdrantClient:
    """A client for the configured server. Nothing is sent before its first call.

    Raises:
        InvalidSettings: the file of certificates cannot be used.
    """
    key = settings.api_key.get_secret_value()
    options: dict[str, Any] = _GRPC_OPTIONS | ({} if settings.compress else _NO_COMPRESSION)
    trust: dict[str, Any] = {}
    if settings.ca_file is not None:
        try:
            trust["verify"] = ssl.create_default_context(cafile=settings.ca_file)
            options["root_certificates"] = settings.ca_file.read_bytes()
        except OSError as error:  # SSLError is one
            raise InvalidSettings(f"WINNOW_VECTORS__CA_FILE: cannot use {settings.ca_file}: {error}") from error
    if key and settings.url.startswith("http://"):
        log.warning("the key of Qdrant goes over %s unencrypted; use https in %s", settings.url, URL)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Api key is used with an insecure connection")
        return AsyncQdrantClient(
            url=settings.url,
            grpc_port=settings.grpc_port,
            prefer_grpc=settings.prefer_grpc,
            api_key=key or None,
            timeout=math.ceil(settings.timeout_seconds),
            grpc_options=options,
            headers=_IDENTITY if not (settings.compress or settings.prefer_grpc) else None,
            check_compatibility=False,  # it would block a thread on its own; ``Server.check`` looks at the version
            limits=httpx.Limits(max_connections=100, max_keepalive_connections=20),  # else none are kept on localhost
            **trust,
        )


class Server:
    """Makes the calls of the store."""

    def __init__(self, client: AsyncQdrantClient, settings: QdrantVectors) -> None:
        self._client = client
        self._settings = settings
        self._budget = RetryBudget()
        self._closed = False

    async def call(self, doing: str, index: IndexRef, work: Callable[[str], Awaitable[_T]]) -> _T:
        """Do ``work`` with the server's name of an index, again where it is worth it; ``doing`` goes into messages.

        Raises:
            IndexLost: there is no ``index``.
            UpstreamUnavailable: the server is down, slow or overloaded, and still so after the retries.
            UpstreamRejected: it refused for good.
            StorageFull: it has no space left.
        """
        name = name_of(index, self._settings.prefix)
        return await self._retried(Errand(self._settings.url, doing, index), lambda: work(name))

    async def collections(self) -> list[str]:
        """The names of all collections on the server. Raises as ``call`` does."""
        errand = Errand(self._settings.url, "listing indexes")
        return [each.name for each in (await self._retried(errand, self._client.get_collections)).collections]

    async def _retried(self, errand: Errand, work: Callable[[], Awaitable[_T]]) -> _T:
        time_limit = TimeLimit(self._settings.timeout_seconds)
        return await retry(
            lambda: self._try(errand, time_limit.left(), work),
            REMOTE_CALL,
            again=lambda error, _: isinstance(error, UpstreamUnavailable) and not self._closed,
            time_limit=time_limit,
            budget=self._budget,
            on_wait=lambda _: RETRIES.labels("store").inc(),
        )

    async def check(self) -> None:
        """Raise unless the server answers soon, is new enough and takes our key. One try."""
        errand = Errand(self._settings.url, "probing it")
        seconds = min(_PROBE_SECONDS, self._settings.timeout_seconds)
        found = (await self._try(errand, seconds, self._client.info)).version
        if _version(found) < MINIMUM_VERSION:
            needed = ".".join(map(str, MINIMUM_VERSION))
            raise UpstreamRejected(f"Qdrant at {self._settings.url} is version {found}; {needed} or later is needed")
        await self._try(errand, seconds, self._client.get_collections)  # the first call that asks for the key

    async def close(self) -> None:
        """Close the connections."""
        if not self._closed:
            self._closed = True
            await self._client.close()

    async def _try(self, errand: Errand, seconds: float, work: Callable[[], Awaitable[_T]]) -> _T:
        if self._closed:
            raise StorageFailure("the vector store is closed")
        with store_span(errand.doing), qdrant_errors(errand):
            async with asyncio.timeout(seconds):
                return await work()


def _version(text: str) -> tuple[int, ...]:
    """Major and minor version; that of a build from the sources ends in ``-dev``."""
    return tuple(int(part) for part in text.split(".")[:2] if part.isdigit())
