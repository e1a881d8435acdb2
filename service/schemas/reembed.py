"""Re-embedding on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from pydantic import Field

from service.schemas.collections import IdentityView
from service.schemas.common import Body, View, members
from service.schemas.jobs import JobFailureView
from winnow.operations.reembed import ReembedEstimate, State, Status


class ReembedBody(Body):
    """The model, and whether to start, or only to estimate the effort."""

    model: str | None = Field(
        None,
        min_length=1,
        max_length=256,
        description="a configured embedding model, by its name or its model's; without it the next one is taken",
    )
    dry_run: bool = Field(False, description="estimate tokens and time; change nothing")


class SwitchBody(Body):
    """Whether to switch although searches would lose documents."""

    force: bool = Field(False, description="switch although documents are missing or damaged in the new index")


class EstimateView(View):
    """The effort of embedding all chunks, estimated from a sample."""

    chunks: int
    tokens: int = Field(description="counted by the next model's tokenizer")
    seconds: float = Field(description="with the model as this process reaches it, one call at a time")


class ReembedView(View):
    """The progress of the change of the embedding model."""

    collection: str
    state: State = Field(
        description="none: one index; building: the second one lacks documents; ready: switch when you like; "
        "kept: switched, and the old index is kept up to date for a rollback"
    )
    serving: IdentityView = Field(description="of the index that searches use now")
    other: IdentityView | None = Field(description="of the index beside it")
    next: IdentityView | None = Field(description="of an index built with the named or the configured next model")
    documents: int = Field(description="documents that searches can find now")
    done: int = Field(description="those of them that are in both indexes")
    lacking: int = Field(description="those that a switch would lose")
    failed: int = Field(description="those of the lacking that are not tried again")
    failures: list[JobFailureView] = Field(description="documents that cannot be re-embedded, up to 100")
    started_at: datetime | None
    estimate: EstimateView | None = None

    @classmethod
    def progress(cls, status: Status, estimate: ReembedEstimate | None = None) -> Self:
        """The wire form of the progress."""
        collection, beside = status.collection, status.collection.beside
        return cls.of(
            members(status.progress)
            | {
                "collection": collection.name,
                "state": status.state,
                "serving": collection.serving.identity,
                "other": beside and beside.identity,
                "next": status.next,
                "started_at": beside and beside.started_at,
                "estimate": estimate,
            }
        )
