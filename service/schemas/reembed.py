"""Re-embedding on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from service.schemas.collections import IdentityView
from service.schemas.common import Body
from service.schemas.jobs import JobFailureView
from winnow.operations.reembed import Estimate, State, Status

_MINILM: Final[JsonDict] = {
    "provider": "bundled",
    "model": "sentence-transformers/all-MiniLM-L6-v2",
    "revision": "53aa51172d14",
    "dimensions": 384,
    "instruct": "",
    "keyword_tokenizer": "bm25:multilingual+numbers:english:k1.2:b0.75:avg128",
    "chunker": "structure-1",
    "token_dimensions": 384,
    "tokenizer": "bert-uncased",
}
_QWEN3: Final[JsonDict] = _MINILM | {
    "provider": "vllm",
    "model": "Qwen/Qwen3-Embedding-0.6B",
    "revision": "",
    "dimensions": 1024,
    "instruct": "Given a web search query, retrieve relevant passages that answer the query",
    "token_dimensions": 0,
    "tokenizer": "qwen3",
}


class ReembedBody(Body):
    """Whether to begin, or only to judge what it takes."""

    dry_run: bool = Field(False, description="estimate tokens and time; change nothing")


class SwitchBody(Body):
    """Whether documents that are not in the new index may be lost from searches."""

    force: bool = Field(False, description="switch although documents are missing in the new index, or look unsound")


class EstimateView(BaseModel):
    """What embedding all chunks takes, judged by some of them."""

    chunks: int
    tokens: int = Field(description="of the next model's tokenizer")
    seconds: float = Field(description="with the model as this process reaches it, one call at a time")

    @classmethod
    def of(cls, estimate: Estimate) -> Self:
        """The wire form."""
        return cls.model_validate(estimate, from_attributes=True)


class ReembedView(BaseModel):
    """Where the change of the model stands."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "collection": "docs",
                    "state": "building",
                    "serving": _MINILM,
                    "other": _QWEN3,
                    "next": _QWEN3,
                    "documents": 5280,
                    "done": 3120,
                    "lacking": 2160,
                    "failed": 0,
                    "failures": [],
                    "started_at": "2026-11-21T10:00:00Z",
                    "estimate": None,
                }
            ]
        }
    )

    collection: str
    state: State = Field(
        description="none: one index; building: the second one lacks documents; ready: switch when you like; "
        "kept: switched, and the old index is kept up to date for a rollback"
    )
    serving: IdentityView = Field(description="what searches use now")
    other: IdentityView | None = Field(description="the index beside it")
    next: IdentityView | None = Field(description="what the configured next model would build")
    documents: int = Field(description="documents that searches can find now")
    done: int = Field(description="those of them that are in both indexes")
    lacking: int = Field(description="those that a switch would lose")
    failed: int = Field(description="those of the lacking that are not tried again")
    failures: list[JobFailureView] = Field(description="documents that cannot be brought over, up to 100")
    started_at: datetime | None
    estimate: EstimateView | None = None

    @classmethod
    def of(cls, status: Status, estimate: Estimate | None = None) -> Self:
        """The wire form."""
        collection, progress = status.collection, status.progress
        other = collection.other
        identity = IdentityView.model_validate
        return cls(
            collection=collection.name,
            state=status.state,
            serving=identity(collection.identity, from_attributes=True),
            other=None if other is None else identity(other.identity, from_attributes=True),
            next=None if status.next is None else identity(status.next, from_attributes=True),
            documents=progress.documents,
            done=progress.done,
            lacking=progress.lacking,
            failed=progress.failed,
            failures=[JobFailureView.model_validate(each, from_attributes=True) for each in progress.failures],
            started_at=None if other is None else other.started_at,
            estimate=None if estimate is None else EstimateView.of(estimate),
        )
