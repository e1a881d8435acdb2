"""Request bodies of vector stores and their files."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from service.doors.bodies import ForeignBody
from service.schemas.packing import PackingOptions
from winnow.core.errors import InvalidInput
from winnow.core.types import Chunking, Collection
from winnow.operations.attachments import FileToAttach

Attributes = dict[str, Any]


class StaticChunking(ForeignBody):
    """Sizes of chunks in tokens."""

    max_chunk_size_tokens: int = Field(ge=1)
    chunk_overlap_tokens: int = Field(ge=0)


class ChunkingStrategy(ForeignBody):
    """How files are cut into chunks."""

    type: Literal["auto", "static"]
    static: StaticChunking | None = None

    def wanted(self) -> Chunking | None:
        """The sizes that are asked for; ``None`` leaves them to the collection.

        Raises:
            InvalidInput: the strategy is static and gives no sizes.
        """
        if self.type == "auto":
            return None
        if self.static is None:
            message = "a static chunking_strategy has static: {max_chunk_size_tokens, chunk_overlap_tokens}"
            raise InvalidInput(message, location=("chunking_strategy", "static"))
        return Chunking(self.static.max_chunk_size_tokens, self.static.chunk_overlap_tokens)

    def require_of(self, collection: Collection) -> None:
        """Raise ``InvalidInput`` unless files of the collection are cut like this: a collection has one chunking."""
        wanted, has = self.wanted(), collection.chunking
        if wanted is not None and wanted != has:
            raise InvalidInput(
                f"all files of {collection.name!r} are cut into chunks of {has.max_tokens} tokens that overlap by "
                f"{has.overlap}; leave chunking_strategy out, or give it when the store is created",
                location=("chunking_strategy",),
            )


class ExpiresAfter(ForeignBody):
    """When a vector store would expire."""

    anchor: str = "last_active_at"
    days: int


class StoreBody(ForeignBody):
    """A new vector store."""

    name: str = ""
    description: str | None = None
    file_ids: list[str] = Field(default_factory=list)
    metadata: dict[str, Any] = Field(default_factory=dict)
    expires_after: ExpiresAfter | None = None
    chunking_strategy: ChunkingStrategy | None = None


class StoreChanges(ForeignBody):
    """Changes of a vector store; what is not given stays."""

    name: str | None = None
    description: str | None = None
    metadata: dict[str, Any] | None = None
    expires_after: ExpiresAfter | None = None


class StoreFileBody(ForeignBody):
    """A file for a vector store."""

    file_id: str
    attributes: Attributes = Field(default_factory=dict)
    chunking_strategy: ChunkingStrategy | None = None

    def to_attach(self, collection: Collection) -> FileToAttach:
        """The domain's form. Raises ``InvalidInput`` where another chunking is asked for."""
        if self.chunking_strategy is not None:
            self.chunking_strategy.require_of(collection)
        return FileToAttach(self.file_id, self.attributes)


class AttributesBody(ForeignBody):
    """New attributes of a file, in place of those that it has."""

    attributes: Attributes = Field(default_factory=dict)


class BatchBody(ForeignBody):
    """Files for a vector store: all with the same attributes and chunking, or each with its own."""

    file_ids: list[str] = Field(default_factory=list)
    files: list[StoreFileBody] = Field(default_factory=list)
    attributes: Attributes = Field(default_factory=dict)
    chunking_strategy: ChunkingStrategy | None = None

    def to_attach(self, collection: Collection) -> list[FileToAttach]:
        """The domain's form.

        Raises:
            InvalidInput: both or none of ``file_ids`` and ``files`` are given, or another chunking is asked for.
        """
        if bool(self.file_ids) == bool(self.files):
            raise InvalidInput("give file_ids or files, one of them", location=("file_ids",))
        if self.chunking_strategy is not None:
            self.chunking_strategy.require_of(collection)
        if self.files:
            return [each.to_attach(collection) for each in self.files]
        return [FileToAttach(each, self.attributes) for each in self.file_ids]


class HybridWeights(ForeignBody):
    """Weights of the two arms of the first stage."""

    embedding_weight: float = Field(ge=0)
    text_weight: float = Field(ge=0)


class RankingOptions(ForeignBody):
    """How results are ranked; ``none`` leaves the second stage out."""

    ranker: str = "auto"
    score_threshold: float = Field(0.0, ge=0, le=1)
    hybrid_search: HybridWeights | None = None


class StoreSearchBody(PackingOptions, ForeignBody):
    """A search of a vector store; what is not OpenAI's comes in ``extra_body`` of its clients."""

    query: str | list[str]
    max_num_results: int = Field(10, ge=1, le=50)
    filters: dict[str, Any] | None = None
    ranking_options: RankingOptions = RankingOptions()
    rewrite_query: bool = False
    search_mode: Literal["vector", "keyword", "hybrid"] = Field("hybrid", description="OGX's name for `mode`")
