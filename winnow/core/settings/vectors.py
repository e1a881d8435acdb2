"""Which engine keeps and searches the vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from winnow.core.settings.base import Custom, Group, plain_url, sendable_key


class EdgeVectors(Group):
    """Qdrant Edge in this process, under ``data_dir``/vectors."""

    provider: Literal["edge"] = "edge"
    optimize_on_start: bool = Field(True, description="rebuild a grown index before serving starts")


class QdrantVectors(Group):
    """A Qdrant server or cluster. What shapes an index holds for indexes that are made from then on."""

    provider: Literal["qdrant"] = "qdrant"
    url: str = Field(description="address of the server, https for TLS; the default port is 6333")
    api_key: SecretStr = Field(SecretStr(""), description="a key with write access")
    ca_file: Path | None = Field(None, description="certificates (PEM) to trust in place of the public ones")
    prefer_grpc: bool = Field(True, description="use gRPC, which is faster; false: HTTP only")
    grpc_port: int = Field(6334, ge=1, le=65535)
    compress: bool = Field(False, description="let the server compress its answers, which pays on slow links only")
    timeout_seconds: float = Field(30.0, gt=0, description="longest wait for one answer, retries included")
    prefix: str = Field(
        "winnow",
        pattern="^[A-Za-z0-9-]{1,32}$",
        description="prefix of all index names; give every installation on a server its own",
    )
    shards: int | None = Field(None, ge=1, le=1024, description="parts of an index; unset: the server's choice")
    replicas: int = Field(1, ge=1, le=16, description="copies of each part, each on its own node")
    write_consistency: int = Field(1, ge=1, le=16, description="copies that must confirm a write")
    quantization: Literal["none", "turbo"] = Field(
        "none", description="turbo: search 4-bit copies in memory, rescore with the vectors"
    )
    on_disk: bool = Field(False, description="keep vectors and indexes on disk and read them as searches need them")
    hnsw_m: int | None = Field(None, ge=4, le=128, description="links of a vector in the graph; unset: the server's")
    hnsw_ef_construct: int | None = Field(
        None, ge=4, le=2048, description="candidates considered for a link; unset: the server's"
    )

    _plain_url = field_validator("url")(plain_url)
    _sendable_key = field_validator("api_key")(sendable_key)

    @model_validator(mode="after")
    def _enough_replicas(self) -> Self:
        if self.write_consistency > self.replicas:
            raise ValueError(f"write_consistency {self.write_consistency} needs as many replicas, not {self.replicas}")
        return self


class CustomVectors(Custom):
    """A vector store of your own: any object that has the members of ``winnow.ports.VectorStore``."""


Vectors = Annotated[EdgeVectors | QdrantVectors | CustomVectors, Field(discriminator="provider")]
