"""``Client``: the calls of the service, one after the other. ``AsyncClient`` has the same."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self, TypeVar, Unpack

import httpx

from winnow_client import answers, calls
from winnow_client.answers import JsonObject
from winnow_client.calls import Call, DocumentInput, SearchOptions
from winnow_client.errors import WinnowApiError
from winnow_client.retries import Retries
from winnow_client.transport import (
    DEFAULT_URL,
    LONGEST_POLL_SECONDS,
    PAGE_ROWS,
    POLL_SECONDS,
    TIMEOUT_SECONDS,
    Transport,
    failure_of,
    read_response,
)

_Answer = TypeVar("_Answer")


class Client:
    """A client of one service; close it, or use it as a context manager. Safe for threads.

    Args:
        url: address of the service.
        api_key: a key or token; by default that in ``WINNOW_API_KEY``, if any.
        timeout: seconds for one request.
        retries: how often a call is repeated where the service is busy or away, or the rules for it.
        headers: sent with every request.
        transport: of httpx, in place of the network.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        api_key: str | None = None,
        *,
        timeout: float = TIMEOUT_SECONDS,
        retries: Retries | int = 2,
        headers: Mapping[str, str] | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._settings = Transport(url, api_key, timeout, retries, headers)
        self._http = httpx.Client(transport=transport, **self._settings.http)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(self, call: Call[_Answer]) -> _Answer:
        """Send a call, once more where the service asks for it or did not answer.

        Raises:
            WinnowApiError: the error that the service reported, or ``ConnectionFailed``.
        """
        attempt = 0
        while True:
            try:
                return read_response(self._ask(call), call)
            except WinnowApiError as error:
                pause = self._settings.retries.pause(error, attempt, repeatable=call.repeatable)
                if pause is None:
                    raise
            time.sleep(pause)
            attempt += 1

    def _ask(self, call: Call[Any]) -> httpx.Response:
        try:
            return self._http.request(call.method, call.path, json=call.json, params=call.params)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise failure_of(error, self._settings.http) from error

    def search(self, collection: str, query: str, **options: Unpack[SearchOptions]) -> answers.SearchAnswer:
        """Search a collection in two stages."""
        return self.send(calls.search(collection, query, options))

    def search_many(
        self, collections: Sequence[str], queries: str | Sequence[str], **options: Unpack[SearchOptions]
    ) -> answers.ManyAnswer:
        """Search several collections, for one query or several, as one search."""
        return self.send(calls.search_many(collections, queries, options))

    def rerank(
        self, query: str, documents: Sequence[str], *, top_n: int | None = None, instruct: str | None = None
    ) -> answers.Reranking:
        """Score texts against a query; best first."""
        return self.send(calls.rerank(query, documents, top_n=top_n, instruct=instruct))

    def submit(self, collection: str, documents: Sequence[DocumentInput], *, wait: bool = False) -> answers.Submission:
        """Store documents; with ``wait`` return when they can be found, or after a minute with the job as it is."""
        return self.send(calls.submit(collection, documents, wait=wait))

    def get_document(self, collection: str, document_id: str, *, tenant: str | None = None) -> answers.Document:
        """Read a document with its state."""
        return self.send(calls.get_document(collection, document_id, tenant=tenant))

    def documents(
        self, collection: str, *, state: str | None = None, source: str | None = None, tenant: str | None = None
    ) -> Iterator[answers.DocumentKey]:
        """Every document of a collection by id, read page by page; without texts."""
        after: str | None = ""
        while after is not None:
            page = self.send(
                calls.list_documents(
                    collection, after=after, limit=PAGE_ROWS, state=state, source=source, tenant=tenant
                )
            )
            yield from page.documents
            after = page.next

    def delete_document(
        self, collection: str, document_id: str, *, tenant: str | None = None, wait: bool = False
    ) -> answers.Deletion:
        """Delete a document; an unknown id is no error."""
        return self.send(calls.delete_document(collection, document_id, tenant=tenant, wait=wait))

    def delete_documents(
        self,
        collection: str,
        *,
        ids: Sequence[str] | None = None,
        filter: JsonObject | None = None,
        wait: bool = False,
    ) -> answers.Deletion:
        """Delete documents by id, or those that pass a filter."""
        return self.send(calls.delete_documents(collection, ids=ids, filter=filter, wait=wait))

    def put_collection(self, collection: str, **settings: Any) -> answers.Collection:
        """Make a collection, or check that it has these settings."""
        return self.send(calls.put_collection(collection, settings))

    def get_collection(self, collection: str) -> answers.Collection:
        """Read a collection with its counts."""
        return self.send(calls.get_collection(collection))

    def collections(self) -> Sequence[answers.Collection]:
        """List the collections that the key sees."""
        return self.send(calls.list_collections())

    def delete_collection(self, collection: str) -> None:
        """Delete a collection with its documents."""
        self.send(calls.delete_collection(collection))

    def get_job(self, job_id: str) -> answers.Job:
        """Read the progress of a submission."""
        return self.send(calls.get_job(job_id))

    def wait_for_job(self, job_id: str, *, timeout: float = 600.0) -> answers.Job:
        """Ask for a job until it is done; after ``timeout`` seconds return it as it is then."""
        end, pause = time.monotonic() + timeout, POLL_SECONDS
        while (job := self.get_job(job_id)).status != "done" and time.monotonic() < end:
            time.sleep(min(pause, max(0.0, end - time.monotonic())))
            pause = min(2 * pause, LONGEST_POLL_SECONDS)
        return job

    def jobs(
        self, *, collection: str | None = None, status: str | None = None, tenant: str | None = None
    ) -> Iterator[answers.Job]:
        """Every job, newest first, read page by page; without failures."""
        after: str | None = ""
        while after is not None:
            page = self.send(
                calls.list_jobs(collection=collection, status=status, tenant=tenant, after=after, limit=PAGE_ROWS)
            )
            yield from page.jobs
            after = page.next

    def cancel_job(self, job_id: str) -> answers.Job:
        """Cancel the documents of a job that wait."""
        return self.send(calls.cancel_job(job_id))

    def keys(self) -> Sequence[answers.Key]:
        """List keys, without their secrets."""
        return self.send(calls.list_keys())

    def create_key(self, **spec: Any) -> answers.Key:
        """Make a key: ``label``, ``scopes``, ``collections``, ``tenant``, ``origins``, ``expires_at``."""
        return self.send(calls.create_key(spec))

    def revoke_key(self, key_id: str) -> answers.Key:
        """Revoke a key."""
        return self.send(calls.revoke_key(key_id))
