"""Parts for LlamaIndex: ``WinnowRetriever`` and ``WinnowRerank``. They need the extra ``llama-index``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import (
    MetadataMode,
    NodeRelationship,
    NodeWithScore,
    QueryBundle,
    RelatedNodeInfo,
    TextNode,
)
from pydantic import Field, PrivateAttr

from winnow_client import AsyncClient, Client, Reranking, Result
from winnow_client.citations import citation_of, identity_of
from winnow_client.transport import DEFAULT_URL, TIMEOUT_SECONDS

_ONLY_FOR_CODE = ("document_id", "start", "end", "chunk", "relevance_score", "retrieval_score", "tokens")


class WinnowRetriever(BaseRetriever):
    """Searches one collection, or several as one.

    Args:
        collection: its name, or those of several.
        similarity_top_k: the number of nodes.
        options: further options of a search, such as ``filter``, ``expand`` or ``min_relevance``.
        url, api_key, timeout: as of ``winnow_client.Client``.
        client, aclient: clients to use in place of new ones; the caller closes them.
    """

    def __init__(
        self,
        collection: str | Sequence[str],
        *,
        similarity_top_k: int = 4,
        options: dict[str, Any] | None = None,
        url: str = DEFAULT_URL,
        api_key: str | None = None,
        timeout: float = TIMEOUT_SECONDS,
        client: Client | None = None,
        aclient: AsyncClient | None = None,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        self._collection = collection
        self._options = {**(options or {}), "top_n": similarity_top_k}
        self._address: dict[str, Any] = {"url": url, "api_key": api_key, "timeout": timeout}
        self._client, self._aclient = client, aclient

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        if self._client is not None:
            return _nodes(self._search(self._client, query_bundle.query_str))
        with Client(**self._address) as client:
            return _nodes(self._search(client, query_bundle.query_str))

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        if self._aclient is not None:
            return _nodes(await self._asearch(self._aclient, query_bundle.query_str))
        async with AsyncClient(**self._address) as client:
            return _nodes(await self._asearch(client, query_bundle.query_str))

    def _search(self, client: Client, query: str) -> Sequence[Result]:
        if isinstance(self._collection, str):
            return client.search(self._collection, query, **self._options).results
        return client.search_many(self._collection, query, **self._options).results

    async def _asearch(self, client: AsyncClient, query: str) -> Sequence[Result]:
        if isinstance(self._collection, str):
            return (await client.search(self._collection, query, **self._options)).results
        return (await client.search_many(self._collection, query, **self._options)).results


class WinnowRerank(BaseNodePostprocessor):
    """Orders nodes of any retriever by the relevance that the second stage gives them.

    Attributes:
        top_n: the number of nodes that are kept; ``None`` for all.
        min_relevance: nodes below this score are left out.
        instruct: the task instruction, for models that take one.
        url, timeout: as of ``WinnowRetriever``; ``api_key`` is an argument of the constructor.
    """

    top_n: int | None = Field(3, ge=1)
    min_relevance: float | None = Field(None, ge=0, le=1)
    instruct: str | None = None
    url: str = DEFAULT_URL
    timeout: float = TIMEOUT_SECONDS
    _api_key: str | None = PrivateAttr(None)

    def __init__(self, api_key: str | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        self._api_key = api_key

    @classmethod
    def class_name(cls) -> str:
        """The name that LlamaIndex stores."""
        return "WinnowRerank"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        if not nodes:
            return []
        with Client(self.url, self._api_key, timeout=self.timeout) as client:
            scored = client.rerank(_query(query_bundle), _texts(nodes), top_n=self.top_n, instruct=self.instruct)
        return self._kept(nodes, scored)

    async def _apostprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        if not nodes:
            return []
        async with AsyncClient(self.url, self._api_key, timeout=self.timeout) as client:
            scored = await client.rerank(_query(query_bundle), _texts(nodes), top_n=self.top_n, instruct=self.instruct)
        return self._kept(nodes, scored)

    def _kept(self, nodes: Sequence[NodeWithScore], scored: Reranking) -> list[NodeWithScore]:
        least = self.min_relevance or 0.0
        return [
            NodeWithScore(node=nodes[each.index].node, score=each.relevance_score)
            for each in scored.results
            if each.relevance_score >= least
        ]


def _nodes(results: Sequence[Result]) -> list[NodeWithScore]:
    return [NodeWithScore(node=_node(each), score=_score(each)) for each in results]


def _node(result: Result) -> TextNode:
    span = result.span
    return TextNode(
        id_=identity_of(result),
        text=result.text or "",
        metadata=citation_of(result),
        start_char_idx=span.start,
        end_char_idx=span.end,
        excluded_llm_metadata_keys=list(_ONLY_FOR_CODE),
        excluded_embed_metadata_keys=list(_ONLY_FOR_CODE),
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=result.document_id)},
    )


def _score(result: Result) -> float:
    return result.retrieval_score if result.relevance_score is None else result.relevance_score


def _query(bundle: QueryBundle | None) -> str:
    if bundle is None:
        raise ValueError("WinnowRerank needs a query")
    return str(bundle.query_str)


def _texts(nodes: Sequence[NodeWithScore]) -> list[str]:
    return [each.node.get_content(metadata_mode=MetadataMode.NONE) for each in nodes]
