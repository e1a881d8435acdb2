"""The client for models behind HTTP: JSON in, JSON out, errors of ``winnow.core.errors`` only."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from http import HTTPStatus
from typing import Any, Final, NamedTuple
from urllib.request import getproxies, proxy_bypass

import aiohttp
import orjson
from yarl import URL

from winnow.core.errors import InvalidInput, Upstream, UpstreamRejected, UpstreamUnavailable
from winnow.core.instruments import EXHAUSTED, RETRIES, Role
from winnow.core.retry import REMOTE_CALL, RetryBudget, TimeLimit, retry
from winnow.core.settings.base import Endpoint
from winnow.core.tracing import trace_headers
from winnow.models.http.addresses import call_address, server_address
from winnow.models.http.refusals import Callee, QuotaSpent, Unpaid, complaint_of, refusal
from winnow.models.http.replicas import Replica, Replicas

_Headers = Mapping[str, str]

_CONNECT_SECONDS: Final = 5.0
_SWITCH_SECONDS: Final = 1.0  # to connect, where another address can take the call
_KEEP_SECONDS: Final = 50.0  # that an idle connection is kept: less than the minute after which gateways drop it
_ERROR_BYTES: Final = 64 << 10  # of an error's body; more does not explain more
_PROBE_SECONDS: Final = 5.0
_QUOTA_ATTEMPTS: Final = 2  # a used up quota may refill within a moment, or else not for days
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class _Target(NamedTuple):
    """Where a call goes: as messages name it, as it is called, and through which proxy."""

    callee: Callee
    url: URL
    proxy: str | None


class _Errand(NamedTuple):
    """What is asked: the path of a call of the API, or one at the root of the server."""

    path: str
    at_root: bool = False


class ModelClient:
    """Calls one endpoint. Belongs to the event loop that first uses it; opens its connections then.

    An answer within ``endpoint.timeout_seconds`` includes waiting for a free connection and every retry. Of several
    addresses a call goes to the one with the least work under way; where it fails, it goes to another at once. Proxies
    are those of the environment (``HTTPS_PROXY``, ``NO_PROXY``). Redirects are refused: they would hand the key to
    another host.

    Args:
        endpoint: the addresses, the key and the time limit of calls.
        variable: prefix of its settings in messages, ``WINNOW_RERANK`` or ``WINNOW_EMBEDDING``.
        max_answer_bytes: longest answer, decompressed, that is read.
    """

    def __init__(self, endpoint: Endpoint, *, variable: str, max_answer_bytes: int = 64 << 20) -> None:
        self._endpoint = endpoint
        self._variable = variable
        self._role: Role = "rerank" if "RERANK" in variable else "embed"
        self._max_answer_bytes = max_answer_bytes
        self._budget = RetryBudget()
        self._replicas = Replicas(endpoint.urls)
        self._targets: dict[tuple[str, _Errand], _Target] = {}
        self._sessions: dict[str | None, aiohttp.ClientSession] = {}
        self._closed = False

    @property
    def replicas(self) -> int:
        """The number of addresses that get calls now."""
        return self._replicas.well

    async def post(
        self, path: str, body: Mapping[str, Any], *, headers: _Headers | None = None, at_root: bool = False
    ) -> Any:
        """Send ``body`` as JSON and return the parsed answer.

        ``at_root`` asks the server at its root, whatever API and call its URL names, as ``get`` does.

        Raises:
            UpstreamUnavailable: down, slow or overloaded, and still so after the retries.
            UpstreamTooLong: the input is over one of the provider's limits.
            UpstreamRejected: refused for good, or the answer is not JSON or too long.
            InvalidInput: ``body`` cannot be written as JSON.
        """
        data = _encode(body)
        time_limit = TimeLimit(self._endpoint.timeout_seconds)

        async def attempt() -> Any:
            return await self._attempt(_Errand(path, at_root), data, time_limit, headers)

        try:
            return await retry(
                attempt,
                REMOTE_CALL,
                again=self._may_pass,
                time_limit=time_limit,
                budget=self._budget,
                on_wait=lambda _: RETRIES.labels(self._role).inc(),
            )
        except QuotaSpent as error:
            raise UpstreamRejected(f"{error.message}; raise it with the provider, or wait") from error
        except UpstreamUnavailable as error:
            if complaints := self._replicas.complaints:
                raise UpstreamUnavailable(complaints, retry_after=error.retry_after) from error
            raise

    async def get(self, path: str) -> tuple[int, Any]:
        """Status and body of one try at the server's root, whatever the status: parsed JSON, or the text without any.

        Of several addresses the first that answers, with less than 500, is heard; else the last.

        Raises:
            UpstreamUnavailable: no answer came within five seconds.
            UpstreamRejected: the answer is too long.
        """
        seconds = min(_PROBE_SECONDS, self._endpoint.timeout_seconds)
        for replica in list(self._replicas)[:-1]:
            with suppress(UpstreamUnavailable):
                status, answer = await self._get(replica, path, seconds)
                if status < HTTPStatus.INTERNAL_SERVER_ERROR:
                    return status, answer
        *_, last = self._replicas
        return await self._get(last, path, seconds)

    async def _get(self, replica: Replica, path: str, seconds: float) -> tuple[int, Any]:
        status, _, raw = await self._exchange("GET", self._target(replica, _Errand(path, at_root=True)), seconds)
        try:
            return status, orjson.loads(raw)
        except orjson.JSONDecodeError:
            return status, raw.decode("utf-8", "replace")

    async def _attempt(self, errand: _Errand, data: bytes, time_limit: TimeLimit, headers: _Headers | None) -> Any:
        """One try; where an address fails, those that are well get one too."""
        tried: list[Replica] = []
        replica = self._replicas.choose()
        while replica is not None:
            tried.append(replica)
            try:
                with self._replicas.calling(replica, len(data)):
                    return await self._send(replica, errand, data, time_limit.left(), headers)
            except UpstreamUnavailable:
                replica = None if self._closed else self._replicas.choose(tried)
                if replica is None or not self._budget.take():
                    raise
        raise AssertionError("unreachable: there is an address")

    async def _send(
        self, replica: Replica, errand: _Errand, data: bytes, seconds: float, headers: _Headers | None
    ) -> Any:
        target = self._target(replica, errand)
        status, answered, raw = await self._exchange("POST", target, seconds, data, headers)
        if not 200 <= status < 300:
            refused = refusal(target.callee, status, answered, raw)
            if isinstance(refused, QuotaSpent | Unpaid):
                EXHAUSTED.labels(self._role).inc()
            raise refused
        return _decode(target.callee, answered, raw)

    def complaint_in(self, answer: Any) -> str:
        """What an answer with status 200 says instead of a result, as ``": …"``; empty where it says nothing."""
        said = Callee("", "", "", self._endpoint.api_key.get_secret_value()).clean(complaint_of(answer).message)
        return f": {said}" if said else ""

    async def close(self) -> None:
        """Close the connections; calls under way fail as ``UpstreamUnavailable``."""
        self._closed = True
        for session in self._sessions.values():
            await session.close()

    def _may_pass(self, error: Exception, tries: int) -> bool:
        if isinstance(error, QuotaSpent) and tries >= _QUOTA_ATTEMPTS:
            return False
        return isinstance(error, UpstreamUnavailable) and not self._closed

    async def _exchange(
        self, method: str, target: _Target, seconds: float, data: bytes | None = None, headers: _Headers | None = None
    ) -> tuple[int, _Headers, bytes]:
        """One try: status, headers and body of the answer."""
        callee, url, _ = target
        connect = min(seconds, _CONNECT_SECONDS if self._replicas.well == 1 else _SWITCH_SECONDS)
        limits = aiohttp.ClientTimeout(total=seconds, sock_connect=connect)
        try:
            async with self._session(target).request(
                method,
                url,
                data=data,
                headers={**(headers or {}), **trace_headers()},
                timeout=limits,
                allow_redirects=False,
            ) as response:
                body = await self._read(callee, response)
                return response.status, response.headers, body
        except (aiohttp.ClientError, OSError) as error:
            raise _translated(callee, error, seconds, connect) from error

    async def _read(self, callee: Callee, response: aiohttp.ClientResponse) -> bytes:
        """The body, read no further than allowed; the connection of a longer one is closed."""
        limit = self._max_answer_bytes if response.ok else _ERROR_BYTES
        body = bytearray()
        too_long = response.ok and (response.content_length or 0) > limit
        while not too_long and (chunk := await response.content.readany()):
            body += chunk
            too_long = len(body) > limit
        if too_long:
            response.close()
        if too_long and response.ok:
            size = f"{limit / (1 << 20):.0f} MiB"
            raise UpstreamRejected(f"{callee} answered with more than {size}: more than any answer has")
        return bytes(body)

    def _session(self, target: _Target) -> aiohttp.ClientSession:
        """The connections to all addresses that are reached through one proxy, or through none."""
        if self._closed:
            raise UpstreamUnavailable(f"{target.callee}: the connection was closed because the process is ending")
        session = self._sessions.get(target.proxy)
        if session is None:
            session = self._sessions[target.proxy] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=self._endpoint.connections * len(self._replicas),
                    limit_per_host=self._endpoint.connections,
                    keepalive_timeout=_KEEP_SECONDS,
                ),
                headers=self._headers,
                cookie_jar=aiohttp.DummyCookieJar(),
                proxy=target.proxy,
            )
        return session

    @cached_property
    def _headers(self) -> dict[str, str]:
        # vectors and scores hardly shrink: compressing them costs more than it saves
        headers = {"Content-Type": "application/json", "Accept": "application/json", "Accept-Encoding": "identity"}
        key = self._endpoint.api_key.get_secret_value()
        if key:
            headers["Authorization"] = key if self._endpoint.auth_scheme == "raw" else f"Bearer {key}"
        return headers

    def _target(self, replica: Replica, errand: _Errand) -> _Target:
        found = self._targets.get((replica.url, errand))
        if found is None:
            url = (server_address if errand.at_root else call_address)(replica.url, errand.path)
            callee = Callee(self._endpoint.provider, url, self._variable, self._endpoint.api_key.get_secret_value())
            found = self._targets[replica.url, errand] = _Target(callee, URL(url), _proxy(URL(url)))
        return found


def _encode(body: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError as error:
        raise InvalidInput(f"the text cannot be sent as JSON: {error}") from error


def _decode(callee: Callee, headers: _Headers, raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        kind = headers.get("Content-Type", "").partition(";")[0] or "something"
        if raw.lstrip()[:1] == b"<":
            kind = "a web page"
        url = callee.setting("URL")
        raise UpstreamRejected(
            f"{callee} answered with {kind} that is not valid JSON ({error}); check that {url} is the API's address"
        ) from error


def _translated(callee: Callee, error: Exception, seconds: float, connect: float) -> Upstream:
    """The one map from what aiohttp and the system raise. Timeouts of aiohttp are ``TimeoutError``, an ``OSError``."""
    match error:
        case aiohttp.ConnectionTimeoutError():
            return UpstreamUnavailable(f"{callee}: no connection within {connect:.3g} s")
        case TimeoutError():
            setting = callee.setting("TIMEOUT_SECONDS")
            return UpstreamUnavailable(f"{callee} gave no answer within {seconds:.3g} s ({setting})")
        case aiohttp.ClientPayloadError() | aiohttp.ServerDisconnectedError():
            return UpstreamUnavailable(f"{callee} broke off before its answer was complete")
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError() | ssl.SSLError():
            url = callee.setting("URL")
            return UpstreamRejected(f"{callee} cannot be trusted or does not speak TLS: {error}; check {url}")
        case aiohttp.ClientConnectionError() | OSError():
            return UpstreamUnavailable(f"{callee} cannot be reached ({callee.clean(str(error))})")
        case _:
            url = callee.setting("URL")
            return UpstreamRejected(f"{callee} does not speak HTTP as it should ({type(error).__name__}); check {url}")


def _proxy(url: URL) -> str | None:
    """The proxy that the environment names for ``url``; never for this machine itself."""
    host = url.host or ""
    found = getproxies().get(url.scheme)
    return found if found and host not in _LOOPBACK and not proxy_bypass(host) else None
