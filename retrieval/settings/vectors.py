"""Which engine keeps and searches the vectors."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from retrieval.settings.base import Group


class EdgeVectors(Group):
    """Qdrant Edge in this process, under ``data_dir``/vectors."""

    provider: Literal["edge"] = "edge"
    flush_seconds: float = Field(2.0, gt=0, description="longest time that a write stays unflushed")
    optimize_on_start: bool = Field(True, description="rebuild a grown index before serving starts")


class FakeVectors(Group):
    """Brute force in memory, for tests of what stands above the port."""

    provider: Literal["fake"] = "fake"


Vectors = Annotated[EdgeVectors | FakeVectors, Field(discriminator="provider")]
