"""The base of embedders and rerankers behind HTTP: the client, the health check, distrust of answers."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, Self, TypeVar

from winnow.core.errors import UpstreamRejected, UpstreamUnavailable
from winnow.core.settings.base import Endpoint
from winnow.core.settings.embedding import VllmEmbedding
from winnow.core.settings.rerank import TeiRerank, VllmRerank
from winnow.models.http.addresses import call_address
from winnow.models.http.client import ModelClient

Result = TypeVar("Result")


class BadAnswer(ValueError):
    """An answer that cannot be trusted; says what is wrong with it."""


class HttpModel(ABC):
    """A model that a provider serves.

    Args:
        endpoint: the provider, and how to call it.
        variable: prefix of its settings in messages, ``WINNOW_EMBEDDING`` or ``WINNOW_RERANK``.
    """

    def __init__(self, endpoint: Endpoint, variable: str) -> None:
        self._endpoint = endpoint
        self._client = ModelClient(endpoint, variable=variable)

    async def close(self) -> None:
        """Close the connections; calls in progress fail as ``UpstreamUnavailable``."""
        await self._client.close()

    async def ping(self) -> None:
        """Ask a vLLM or TEI server for its health; other providers charge for calls or have no health check.

        Of several addresses one that is well is enough.
        """
        if not isinstance(self._endpoint, VllmEmbedding | VllmRerank | TeiRerank):
            return
        status, _ = await self._client.get("/health")
        if status >= 500:
            raise UpstreamUnavailable(f"{self._where} answered {status} when it was asked for its health")

    @property
    def _where(self) -> str:
        return f"{self._endpoint.provider} at {' and '.join(self._endpoint.urls)}"

    def each(self) -> dict[str, Self]:
        """By address, the model as that one alone serves it, which the caller closes; empty where it has one."""
        urls = self._endpoint.urls
        return {url: self._at(url) for url in urls} if len(urls) > 1 else {}

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where calls go: one address for each URL of the settings."""
        return tuple(call_address(url, self._path) for url in self._endpoint.urls)

    @property
    @abstractmethod
    def _path(self) -> str:
        """The path of a call, under the provider's URL."""

    @abstractmethod
    def _at(self, url: str) -> Self:
        """The same model at one address."""

    def _distrust(self, error: BadAnswer, answer: Any, hint: str = "") -> UpstreamRejected:
        """The error for ``answer``, with what the provider says in it."""
        why = f"{error}{self._client.complaint_in(answer)}{hint}"
        return UpstreamRejected(f"{self._where} gave an answer that cannot be trusted: {why}")


def in_order(rows: Iterable[tuple[Any, Result]], count: int, sent: str, came: str) -> list[Result]:
    """The values of an answer in the order of their indices, one for each of the ``count`` inputs.

    Raises:
        BadAnswer: an index is out of range, repeated or missing; it calls the inputs ``sent`` and the values ``came``.
    """
    found: dict[int, Result] = {}
    for index, value in rows:
        if type(index) is not int or not 0 <= index < count:
            raise BadAnswer(f"a {came} has the index {index!r}, {count} {sent}s were sent")
        if index in found:
            raise BadAnswer(f"two {came}s have the index {index}")
        found[index] = value
    if len(found) < count:
        missing = min(set(range(count)) - found.keys())
        raise BadAnswer(f"{count} {sent}s were sent, {len(found)} {came}s came back; the first missing is {missing}")
    return [found[index] for index in range(count)]


async def all_of(work: Sequence[Coroutine[Any, Any, Result]]) -> list[Result]:
    """The results of all, in order. The first failure ends the others and is raised."""
    if len(work) == 1:
        return [await work[0]]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(part) for part in work]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]
