"""A client of the native HTTP API, for commands that work through a running service."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, TypeVar

import aiohttp
import orjson

from winnow.cli.local_socket import reachable
from winnow.cli.options import collection_path, job_path
from winnow.core.documents import wire_document
from winnow.core.errors import InvalidInput, Overloaded, UpstreamRejected, UpstreamUnavailable, WinnowError, by_code
from winnow.core.retry import parse_retry_after
from winnow.core.settings import KEY_VARIABLE
from winnow.core.types import Document
from winnow.operations.submit import NothingAccepted
from winnow.ports import DocumentKey, Job, JobFailure, Rejection, Submission

TIMEOUT_SECONDS: Final = 120.0
PAGE_ROWS: Final = 1000
BULK_PRIORITY: Final = 0  # interactive uploads go first
_PROBLEM_TYPE: Final = "application/problem+json"
_Row = TypeVar("_Row", Job, JobFailure, DocumentKey, Rejection)


class Client:
    """One keep-alive session with a service at ``url``."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url.rstrip("/")

    async def call(self, method: str, path: str, body: object = None, **params: str | int) -> Any:
        """Send JSON, return JSON.

        Every call of the native API may be repeated, so a call on a closed connection is sent once more.

        Raises:
            WinnowError: the error that the service reported.
            UpstreamUnavailable: no answer.
            UpstreamRejected: another server than Winnow answered.
        """
        with self._translated():
            try:
                return await self._send(method, path, body, params)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                return await self._send(method, path, body, params)

    async def events(self, method: str, path: str, body: object) -> AsyncIterator[tuple[str, Any]]:
        """Send JSON, yield server-sent events with their data, the last of which is ``done``.

        Raises:
            WinnowError: the service refused, sent a ``problem``, or closed the connection before ``done``.
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
                        raise error_of(data)
                    yield event, data
                    if event == "done":
                        return
        raise UpstreamUnavailable(f"{self._url}{path} broke off")

    async def pass_on(self, path: str, body: object, headers: Mapping[str, str]) -> Any:
        """Send JSON of another protocol, return the JSON of its answer whatever the status, ``None`` if it is empty.

        Raises:
            WinnowError: the service refused before that protocol was reached.
            UpstreamUnavailable: no answer.
            UpstreamRejected: the answer is not JSON.
        """
        sent = {"Content-Type": "application/json", **headers}
        with self._translated():
            async with self._session.post(self._url + path, data=orjson.dumps(body), headers=sent) as response:
                payload = await response.read()
        if error := _reported(response, payload):
            raise error
        try:
            return orjson.loads(payload) if payload else None
        except orjson.JSONDecodeError as error:
            raise self._not_winnow(response) from error

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        params: Mapping[str, str] | None = None,
        silence: float = TIMEOUT_SECONDS,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send JSON and yield the streaming answer; ``silence`` seconds without data are an error."""
        timeout = aiohttp.ClientTimeout(total=None, sock_read=silence)
        with self._translated():
            async with self._request(method, path, body, params=params, timeout=timeout) as response:
                yield response

    async def _send(self, method: str, path: str, body: object, params: Mapping[str, str | int]) -> Any:
        async with self._request(method, path, body, params=params) as response:
            payload = await response.read()
            try:
                return orjson.loads(payload) if payload else None
            except orjson.JSONDecodeError as error:
                raise self._not_winnow(response) from error

    @asynccontextmanager
    async def _request(
        self, method: str, path: str, body: object, **options: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        data = None if body is None else orjson.dumps(body)
        headers = {} if body is None else {"Content-Type": "application/json"}
        async with self._session.request(method, self._url + path, data=data, headers=headers, **options) as response:
            if response.status >= 400:
                raise _reported(response, await response.read()) or self._not_winnow(response)
            yield response

    def _not_winnow(self, response: aiohttp.ClientResponse) -> WinnowError:
        """The error for an answer of another server, or of a proxy in front of a service that is down."""
        kinds = {429: Overloaded, 502: UpstreamUnavailable, 503: UpstreamUnavailable, 504: UpstreamUnavailable}
        found = f"{response.method} {response.url.path} answered {response.status} with {response.content_type}"
        error = kinds.get(response.status, UpstreamRejected)(f"no Winnow service at {self._url}: {found}")
        error.retry_after = parse_retry_after(response.headers.get("Retry-After"))
        return error

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (aiohttp.ClientError, TimeoutError) as error:
            raise UpstreamUnavailable(f"no answer from {self._url}: {error or type(error).__name__}") from error


@asynccontextmanager
async def connect_service(url: str, *, data_dir: Path | None = None) -> AsyncIterator[Client]:
    """Open a session; nothing is sent yet.

    Args:
        url: address of the service.
        data_dir: the directory that it owns, for a command of its own machine: the connection then goes through the
            socket in there, if there is one, and needs no key. Else the key in ``WINNOW_API_KEY`` is sent.
    """
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    with ExitStack() as stack:
        connector, headers = None, {}
        path = None if data_dir is None else stack.enter_context(reachable(data_dir))
        if path is not None and path.is_socket():
            connector = aiohttp.UnixConnector(str(path))
        elif key := os.environ.get(KEY_VARIABLE, "").strip():
            headers["Authorization"] = f"Bearer {key}"
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, headers=headers) as session:
            yield Client(session, url)


class HttpTarget:
    """A running service as a place to send documents to; ``tenant`` is that of documents that name none."""

    def __init__(self, client: Client, tenant: str | None = None) -> None:
        self._client = client
        self._whose: dict[str, str] = {} if tenant is None else {"tenant": tenant}

    async def submit(self, collection: str, documents: Sequence[Document], *, source: str) -> Submission:
        """POST documents."""
        body = {"documents": [wire_document(document) for document in documents]}
        path = f"{collection_path(collection)}/documents"
        try:
            answer = await self._client.call("POST", path, body, source=source, priority=BULK_PRIORITY, **self._whose)
        except NothingAccepted as error:
            return Submission("", 0, 0, error.rejected)
        return Submission(answer["job_id"], answer["accepted"], 0, _rejections(answer))

    async def delete(self, collection: str, document_ids: Sequence[str]) -> Submission:
        """POST documents:delete."""
        path = f"{collection_path(collection)}/documents:delete"
        answer = await self._client.call("POST", path, {"ids": list(document_ids)}, **self._whose)
        return Submission(answer["job_id"], len(document_ids), 0)

    async def job(self, job_id: str) -> Job:
        """GET the job."""
        answer = await self._client.call("GET", job_path(job_id))
        failures = tuple(_read(JobFailure, item) for item in answer["failures"])
        return _read(Job, answer | {"failures": failures, "created_at": None, "finished_at": None})

    async def keys(self, collection: str, *, source: str | None = None) -> AsyncIterator[DocumentKey]:
        """Page through GET documents."""
        after: str | None = ""
        while after is not None:
            params: dict[str, str | int] = {"after": after, "limit": PAGE_ROWS, **self._whose}
            if source is not None:
                params["source"] = source
            answer = await self._client.call("GET", f"{collection_path(collection)}/documents", **params)
            for row in answer["documents"]:
                yield _read(DocumentKey, row)
            after = answer["next"]
            await asyncio.sleep(0)


def error_of(problem: Mapping[str, Any]) -> WinnowError:
    """The error that a problem of the native API reports, by its ``code``.

    An unknown code is ``InvalidInput`` below status 500, else ``UpstreamRejected``; so is invalid input at status 500
    or above: it concerns the service's own settings, which the caller cannot change.
    """
    if problem.get("rejected"):
        return NothingAccepted(_rejections(problem))
    places = problem.get("errors") or []
    others = "".join(f"; {'.'.join(map(str, place['loc']))}: {place['message']}" for place in places[1:])
    is_callers = problem["status"] < 500
    kind = by_code(problem["code"])
    if kind is None or (issubclass(kind, InvalidInput) and not is_callers):
        kind = InvalidInput if is_callers else UpstreamRejected
    error = kind(problem["detail"] + others)
    error.location = tuple(places[0]["loc"]) if places else ()
    return error


def _reported(response: aiohttp.ClientResponse, payload: bytes) -> WinnowError | None:
    """The error that the service reports, or ``None`` if the answer is not a problem of Winnow's."""
    if response.content_type != _PROBLEM_TYPE:
        return None
    try:
        problem = orjson.loads(payload)
        if "request_id" not in problem:
            return None
        error = error_of(problem)
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    error.retry_after = parse_retry_after(response.headers.get("Retry-After"))
    return error


def _rejections(answer: Mapping[str, Any]) -> tuple[Rejection, ...]:
    return tuple(_read(Rejection, item) for item in answer["rejected"])


def _read(kind: type[_Row], row: Mapping[str, Any]) -> _Row:
    """A dataclass of the members of ``row`` that it knows: a newer service may send more."""
    return kind(**{each.name: row[each.name] for each in fields(kind)})
