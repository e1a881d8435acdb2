"""A client of the native HTTP API, for commands that work through a running service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any, Final, cast
from urllib.parse import quote

import aiohttp
import orjson

from winnow.core.errors import (
    CollectionNotFound,
    Conflict,
    InvalidInput,
    Overloaded,
    UpstreamRejected,
    UpstreamUnavailable,
    WinnowError,
)
from winnow.core.types import Document
from winnow.ports import DocumentKey, Job, JobFailure, Rejection, Submission

TIMEOUT_SECONDS: Final = 120.0
PAGE: Final = 1000
BULK_PRIORITY: Final = 0  # what comes in interactively goes first
_BY_STATUS: Final[dict[int, type[WinnowError]]] = {
    400: InvalidInput,
    404: CollectionNotFound,
    409: Conflict,
    413: InvalidInput,
    422: InvalidInput,
    429: Overloaded,
    503: UpstreamUnavailable,
}


class NothingAccepted(InvalidInput):
    """Every document of a batch was rejected."""

    def __init__(self, message: str, rejected: tuple[Rejection, ...]) -> None:
        super().__init__(message)
        self.rejected = rejected


class Client:
    """One keep-alive session with a service at ``url``."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url.rstrip("/")

    async def call(self, method: str, path: str, body: object = None, **params: str | int) -> Any:
        """Send JSON, return JSON. A problem of the service comes back as an error of ours with its detail.

        Every call of the native API may be repeated, so one that met a closed connection is sent once more.
        """
        data = None if body is None else orjson.dumps(body)
        try:
            try:
                return await self._send(method, path, data, params)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                return await self._send(method, path, data, params)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise UpstreamUnavailable(f"no answer from {self._url}: {error or type(error).__name__}") from error
        except orjson.JSONDecodeError as error:
            raise UpstreamRejected(f"{self._url}{path} answered something that is not JSON") from error

    async def events(self, method: str, path: str, body: object) -> AsyncIterator[tuple[str, Any]]:
        """Send JSON, yield server-sent events with their data, the last of which is ``done``.

        Raises:
            WinnowError: the service refused, broke off with a ``problem``, or went away before it was done.
        """
        async with self.stream(method, path, body) as response:
            event = ""
            async for line in response.content:
                name, _, value = line.decode().rstrip("\r\n").partition(": ")
                if name == "event":
                    event = value
                elif name == "data":
                    data = orjson.loads(value)
                    if event == "problem":
                        raise _BY_STATUS.get(data["status"], UpstreamRejected)(data["detail"])
                    yield event, data
                    if event == "done":
                        return
        raise UpstreamUnavailable(f"{self._url}{path} broke off")

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, body: object, *, silence: float = TIMEOUT_SECONDS
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send JSON and yield the answer to be read bit by bit; only ``silence`` seconds without any are too long."""
        timeout = aiohttp.ClientTimeout(total=None, sock_read=silence)
        headers = {"Content-Type": "application/json"}
        try:
            async with self._session.request(
                method, self._url + path, data=orjson.dumps(body), headers=headers, timeout=timeout
            ) as response:
                if response.status >= 400:
                    raise _problem(response, await response.read())
                yield response
        except (aiohttp.ClientError, TimeoutError) as error:
            raise UpstreamUnavailable(f"{self._url} broke off: {error or type(error).__name__}") from error

    async def _send(self, method: str, path: str, data: bytes | None, params: Mapping[str, str | int]) -> Any:
        headers = {"Content-Type": "application/json"} if data is not None else {}
        async with self._session.request(
            method, self._url + path, data=data, headers=headers, params=params
        ) as response:
            payload = await response.read()
            if response.status >= 400:
                raise _problem(response, payload)
            return orjson.loads(payload) if payload else None


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[Client]:
    """Open a session; nothing is sent yet."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        yield Client(session, url)


class HttpTarget:
    """A running service as a place to send documents to."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def submit(self, collection: str, documents: Sequence[Document], *, source: str) -> Submission:
        """POST documents."""
        body = {"documents": [_wire(document) for document in documents]}
        try:
            answer = await self._client.call(
                "POST", f"{collection_path(collection)}/documents", body, source=source, priority=BULK_PRIORITY
            )
        except NothingAccepted as error:
            return Submission("", 0, 0, error.rejected)
        return Submission(answer["job_id"], answer["accepted"], 0, _rejections(answer))

    async def delete(self, collection: str, document_ids: Sequence[str]) -> Submission:
        """POST documents:delete."""
        answer = await self._client.call(
            "POST", f"{collection_path(collection)}/documents:delete", {"ids": list(document_ids)}
        )
        return Submission(answer["job_id"], len(document_ids), 0)

    async def job(self, job_id: str) -> Job:
        """GET the job."""
        answer = await self._client.call("GET", f"/v1/jobs/{quote(job_id, safe='')}")
        names = Job.__dataclass_fields__.keys() - {"failures", "created_at", "finished_at"}
        failures = tuple(JobFailure(f["document_id"], f["code"], f["message"]) for f in answer["failures"])
        return Job(**{name: answer[name] for name in names}, failures=failures)

    async def keys(self, collection: str, *, source: str | None = None) -> AsyncIterator[DocumentKey]:
        """Page through GET documents."""
        after: str | None = ""
        while after is not None:
            params: dict[str, str | int] = {"after": after, "limit": PAGE}
            if source is not None:
                params["source"] = source
            answer = await self._client.call("GET", f"{collection_path(collection)}/documents", **params)
            for row in answer["documents"]:
                yield DocumentKey(row["id"], row["state"], row["content_hash"], row["revision"], row["source"])
            after = answer["next"]
            await asyncio.sleep(0)


def collection_path(collection: str) -> str:
    """Path of a collection in the native API."""
    return f"/v1/collections/{quote(collection, safe='')}"


def _wire(document: Document) -> dict[str, Any]:
    return {key: value for key, value in asdict(document).items() if value is not None}


def _rejections(answer: Mapping[str, Any]) -> tuple[Rejection, ...]:
    return tuple(Rejection(r["index"], r["id"], r["code"], r["message"]) for r in answer["rejected"])


def _problem(response: aiohttp.ClientResponse, payload: bytes) -> WinnowError:
    try:
        problem = cast("dict[str, Any]", orjson.loads(payload))
        message = str(problem["detail"])
        if problem.get("rejected"):
            return NothingAccepted(message, _rejections(problem))
        for item in problem.get("errors") or []:
            message += f"; {'.'.join(map(str, item.get('loc', ())))}: {item.get('message')}"
    except (orjson.JSONDecodeError, KeyError, TypeError):
        message = f"HTTP {response.status} {response.reason}"
    kind = _BY_STATUS.get(response.status, UpstreamRejected)
    retry_after = response.headers.get("Retry-After", "")
    return kind(message, retry_after=float(retry_after) if retry_after.isdigit() else None)
