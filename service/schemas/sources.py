"""Kept sources on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Literal, Self

from pydantic import Field

from service.schemas.common import Body, View
from winnow.operations.kept_sources import SourceSpec
from winnow.ports import KeptSource

_OPTIONS: Final = (
    "delete_missing",
    "base_url",
    "allow_private",
    "max_pages",
    "delay",
    "ocr",
    "follow_links",
)


class SourceBody(Body):
    """A source to keep with a collection."""

    source: str = Field(description="as `winnow index` takes it", examples=["site:https://docs.example.com"])
    every: str | None = Field(None, description="time between two runs: 90s, 30m, 6h, 7d; null: on demand alone")
    run: bool = Field(True, description="whether the first run is due at once")
    tenant: str | None = Field(None, description="whose documents; by default the caller's own, or those of none")
    delete_missing: bool = Field(
        True, description="delete documents that the source no longer has, unless they are more than half of it"
    )
    base_url: str = Field("", description="address under which a folder is published, for links")
    allow_private: bool = Field(False, description="for site: and feed:, also read loopback and intranet addresses")
    max_pages: int = Field(10_000, ge=1, le=1_000_000, description="for site:, the most pages")
    delay: float = Field(0.1, ge=0, le=60, strict=False, description="for site:, seconds between two requests")
    ocr: bool = Field(False, description="recognise the text of scanned pages of PDF files")
    follow_links: bool = Field(False, description="also read what links in a folder lead to outside of it")

    def to_spec(self) -> SourceSpec:
        """The domain's form."""
        options = self.model_dump(include=set(_OPTIONS))
        return SourceSpec(self.source, self.every, self.tenant, self.run, options)


class SourceFailure(View):
    """What could not be read."""

    source: str
    code: str
    message: str


class SourceRunView(View):
    """The outcome of a run."""

    status: Literal["ok", "partial", "failed"] = Field(
        description="partial: something could not be read, or was kept by the guard; failed: nothing was read"
    )
    started_at: datetime
    ended_at: datetime
    documents: dict[str, int] = Field(description="seen, indexed, unchanged, deleted, failed")
    failures: list[SourceFailure] = Field(description="the first twenty")


class SourceView(View):
    """A source that is kept with a collection."""

    id: str
    collection: str
    source: str
    tenant: str | None = None
    every_seconds: int | None = None
    options: dict[str, Any]
    created_at: datetime
    created_by: str
    running: bool
    next_run_at: datetime | None = Field(None, description="null: when it is asked for")
    last_run: SourceRunView | None = None

    @classmethod
    def shown(cls, source: KeptSource) -> Self:
        """The wire form of a source."""
        return cls(
            id=source.id,
            collection=source.collection,
            source=source.spec,
            tenant=source.tenant or None,
            every_seconds=source.every_seconds,
            options=dict(source.options),
            created_at=source.created_at,
            created_by=source.created_by,
            running=source.started_at is not None,
            next_run_at=source.next_at,
            last_run=None if source.last is None else SourceRunView.of(source.last),
        )


class SourceList(View):
    """The sources of a collection, oldest first."""

    sources: list[SourceView]
