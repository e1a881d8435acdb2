"""Parts for LangChain: ``WinnowRetriever`` and ``WinnowReranker``. They need the extra ``langchain``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun, Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict, Field, SecretStr

from winnow_client import AsyncClient, Client, Reranking, Result
from winnow_client.citations import citation_of, identity_of
from winnow_client.transport import DEFAULT_URL, TIMEOUT_SECONDS


class WinnowRetriever(BaseRetriever):
    """Searches one collection, or several as one.

    Attributes:
        collection: its name, or those of several.
        k: the number of documents; also an argument of ``invoke``.
        options: further options of a search, such as ``filter``, ``expand`` or ``min_relevance``; those of
            ``invoke`` come before them.
        url, api_key, timeout: as of ``winnow_client.Client``.
        client, aclient: clients to use in place of new ones; the caller closes them.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    collection: str | list[str]
    k: int = Field(4, ge=1, le=100)
    options: dict[str, Any] = Field(default_factory=dict)
    url: str = DEFAULT_URL
    api_key: SecretStr | None = None
    timeout: float = TIMEOUT_SECONDS
    client: Client | None = None
    aclient: AsyncClient | None = None

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None, **options: Any
    ) -> list[Document]:
        if self.client is not None:
            return self._documents(self._search(self.client, query, k, options))
        with Client(self.url, _secret(self.api_key), timeout=self.timeout) as client:
            return self._documents(self._search(client, query, k, options))

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, k: int | None = None, **options: Any
    ) -> list[Document]:
        if self.aclient is not None:
            return self._documents(await self._asearch(self.aclient, query, k, options))
        # connections belong to an event loop, which may be another one at the next call
        async with AsyncClient(self.url, _secret(self.api_key), timeout=self.timeout) as client:
            return self._documents(await self._asearch(client, query, k, options))

    def _search(self, client: Client, query: str, k: int | None, options: Mapping[str, Any]) -> Sequence[Result]:
        asked = {**self.options, "top_n": k or self.k, **options}
        if isinstance(self.collection, str):
            return client.search(self.collection, query, **asked).results
        return client.search_many(self.collection, query, **asked).results

    async def _asearch(
        self, client: AsyncClient, query: str, k: int | None, options: Mapping[str, Any]
    ) -> Sequence[Result]:
        asked = {**self.options, "top_n": k or self.k, **options}
        if isinstance(self.collection, str):
            return (await client.search(self.collection, query, **asked)).results
        return (await client.search_many(self.collection, query, **asked)).results

    def _documents(self, results: Sequence[Result]) -> list[Document]:
        return [
            Document(id=identity_of(each), page_content=each.text or "", metadata=citation_of(each)) for each in results
        ]


class WinnowReranker(BaseDocumentCompressor):
    """Orders documents of any retriever by the relevance that the second stage gives them.

    Attributes:
        top_n: the number of documents that are kept; ``None`` for all.
        min_relevance: documents below this score are left out.
        instruct: the task instruction, for models that take one.
        url, api_key, timeout, client, aclient: as of ``WinnowRetriever``.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    top_n: int | None = Field(3, ge=1)
    min_relevance: float | None = Field(None, ge=0, le=1)
    instruct: str | None = None
    url: str = DEFAULT_URL
    api_key: SecretStr | None = None
    timeout: float = TIMEOUT_SECONDS
    client: Client | None = None
    aclient: AsyncClient | None = None

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> Sequence[Document]:
        """The best documents, with ``relevance_score`` in their metadata."""
        if not documents:
            return []
        texts = [each.page_content for each in documents]
        if self.client is not None:
            return self._kept(documents, self.client.rerank(query, texts, top_n=self.top_n, instruct=self.instruct))
        with Client(self.url, _secret(self.api_key), timeout=self.timeout) as client:
            return self._kept(documents, client.rerank(query, texts, top_n=self.top_n, instruct=self.instruct))

    async def acompress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> Sequence[Document]:
        """As ``compress_documents``."""
        if not documents:
            return []
        texts = [each.page_content for each in documents]
        if self.aclient is not None:
            scored = await self.aclient.rerank(query, texts, top_n=self.top_n, instruct=self.instruct)
            return self._kept(documents, scored)
        async with AsyncClient(self.url, _secret(self.api_key), timeout=self.timeout) as client:
            return self._kept(documents, await client.rerank(query, texts, top_n=self.top_n, instruct=self.instruct))

    def _kept(self, documents: Sequence[Document], scored: Reranking) -> list[Document]:
        least = self.min_relevance or 0.0
        kept = [each for each in scored.results if each.relevance_score >= least]
        return [_scored(documents[each.index], each.relevance_score) for each in kept]


def _scored(document: Document, score: float) -> Document:
    return document.model_copy(update={"metadata": {**document.metadata, "relevance_score": score}})


def _secret(key: SecretStr | None) -> str | None:
    return None if key is None else key.get_secret_value()
