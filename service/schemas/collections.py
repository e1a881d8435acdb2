"""Collections on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from pydantic import Field

from service.schemas.calibration import CalibrationView
from service.schemas.common import Body, View, members
from winnow.core.acl import AclDefault
from winnow.core.types import Collection, Counts, FieldType
from winnow.operations.collections import CollectionSpec


class EmbeddingOptions(Body):
    """How the collection is embedded; fixed once it exists."""

    model: str | None = Field(
        None, min_length=1, max_length=256, description="a configured embedding model, by its name or its model's"
    )
    dimensions: int | None = Field(None, ge=1, description="size of the dense vector; the embedder's by default")
    instruct: str | None = Field(None, max_length=2048, description="task instruction that queries are embedded with")


class ChunkingOptions(Body):
    """How documents are split into chunks; fixed once the collection exists."""

    max_tokens: int | None = Field(None, ge=1, description="at most the embedder's own limit")
    overlap: int | None = Field(None, ge=0, description="tokens that neighbouring chunks share")


class RerankDefaults(Body):
    """Defaults of the second stage, which a search may override."""

    instruct: str | None = Field(None, max_length=2048)


class CollectionBody(Body):
    """The settings of a collection. Every key is optional; keys that are left out keep their value."""

    embedding: EmbeddingOptions = Field(default_factory=EmbeddingOptions)
    chunking: ChunkingOptions = Field(default_factory=ChunkingOptions)
    fields: dict[str, FieldType] | None = Field(
        None, description="metadata keys that filters may name, and their types"
    )
    rerank: RerankDefaults = Field(default_factory=RerankDefaults)
    metadata: dict[str, Any] | None = Field(None, description="any JSON object, for your own use")
    acl_default: AclDefault | None = Field(
        None, description="who sees documents without an acl: public, everyone (the default); none, no user"
    )

    def to_spec(self) -> CollectionSpec:
        """The domain's form."""
        return CollectionSpec(
            model=self.embedding.model,
            dimensions=self.embedding.dimensions,
            instruct=self.embedding.instruct,
            max_tokens=self.chunking.max_tokens,
            overlap=self.chunking.overlap,
            fields=self.fields,
            rerank_instruct=self.rerank.instruct,
            metadata=self.metadata,
            acl_default=self.acl_default,
        )


class IdentityView(View):
    """The models and settings that the collection was built with; a service with other ones refuses to search it."""

    provider: str
    model: str
    revision: str
    dimensions: int
    instruct: str
    keyword_tokenizer: str
    chunker: str
    token_dimensions: int
    tokenizer: str


class ChunkingView(View):
    """How documents are split into chunks."""

    max_tokens: int
    overlap: int


class RerankView(View):
    """Defaults of the second stage."""

    instruct: str | None


class CountsView(View):
    """Documents by state, and searchable chunks."""

    documents: int
    chunks: int
    pending: int
    indexed: int
    failed: int
    deleting: int


class CollectionView(View):
    """A collection with its settings and counts."""

    name: str
    status: str
    counts: CountsView
    identity: IdentityView
    chunking: ChunkingView
    fields: dict[str, FieldType]
    rerank: RerankView
    metadata: dict[str, Any]
    acl_default: AclDefault
    awaits_model: bool = Field(
        description="the first documents will choose the embedding model; until then identity names the default"
    )
    calibration: CalibrationView | None = None
    generation: int = Field(description="number of the physical index that searches read")
    created_at: datetime | None

    @classmethod
    def counted(cls, collection: Collection, counts: Counts) -> Self:
        """The wire form of a collection and its counts."""
        return cls.of(
            members(collection)
            | {
                "name": collection.name,
                "counts": counts,
                "identity": collection.serving.identity,
                "rerank": RerankView(instruct=collection.rerank_instruct),
                "generation": collection.serving.generation,
                "acl_default": collection.access.default,
            }
        )


class CollectionList(View):
    """Every collection, by name."""

    collections: list[CollectionView]
