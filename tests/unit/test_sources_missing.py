"""Documents that are gone from a source are deleted, unless what failed may still hold them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from indexer.ingest import ingest
from indexer.reading import compare_sources
from winnow.core.types import Document, FieldType
from winnow.ports import DocumentKey, Job, Submission
from winnow.ports.source import Failure


@dataclass
class Listed:
    """A source that yields what it is given."""

    items: Sequence[Document | Failure]
    label: str = "listed"
    fields: Mapping[str, FieldType] = field(default_factory=dict)
    is_complete: bool = True

    async def count(self) -> int | None:
        return None

    async def read(self) -> AsyncGenerator[Document | Failure, None]:
        for item in self.items:
            yield item


class Destination:
    """Holds the documents a, b and c of the source, and notes what is deleted."""

    def __init__(self) -> None:
        self.deleted: list[str] = []

    async def submit(self, collection: str, documents: Sequence[Document], *, source: str) -> Submission:
        return Submission("", len(documents), 0)

    async def delete(self, collection: str, document_ids: Sequence[str]) -> Submission:
        self.deleted += document_ids
        return Submission("job_1", 0, 0)

    async def job(self, job_id: str) -> Job:
        return Job(job_id, "docs", "done", len(self.deleted), 0, deleted=len(self.deleted))

    async def keys(self, collection: str, *, source: str | None = None) -> AsyncIterator[DocumentKey]:
        for name in "abc" if source in {None, "listed"} else "":
            yield DocumentKey(name, "indexed", "hash", 1, "listed")


A = Document("a", "Text")


@pytest.mark.parametrize(
    ("failures", "deleted", "codes"),
    [
        ([], ["b", "c"], []),
        ([Failure("b.md", "unreadable", "…", "b")], ["c"], ["unreadable"]),
        ([Failure("docs/", "unreadable", "…")], [], ["unreadable", "kept_missing"]),
    ],
)
async def test_only_what_is_surely_gone_is_deleted(
    failures: list[Failure], deleted: list[str], codes: list[str]
) -> None:
    destination = Destination()
    source = Listed([A, *failures])
    summary = await ingest(
        destination, "docs", [source], delete_missing=True, may_delete=lambda *_: True, max_chars=1000
    )
    assert destination.deleted == deleted
    assert [failure.code for failure in summary.failures] == codes
    known = {key.id: key async for key in destination.keys("docs")}
    planned = await compare_sources(known, "docs", [source], delete_missing=True)
    assert list(planned.missing) == deleted
    assert [failure.code for failure in planned.failures] == codes


async def test_nothing_of_a_source_that_shows_its_newest_only_is_deleted() -> None:
    destination = Destination()
    source = Listed([A], is_complete=False)
    summary = await ingest(
        destination, "docs", [source], delete_missing=True, may_delete=lambda *_: True, max_chars=1000
    )
    assert destination.deleted == []
    assert [(notice.code, notice.count) for notice in summary.notices] == [("kept_older", 2)]
    assert summary.failures == ()


async def test_a_source_that_failed_keeps_nothing_of_another() -> None:
    destination = Destination()
    broken = Listed([Failure("x", "unreadable", "…")], label="other")
    sources = [Listed([A]), broken]
    await ingest(destination, "docs", sources, delete_missing=True, may_delete=lambda *_: True, max_chars=1000)
    assert destination.deleted == ["b", "c"]


@pytest.mark.parametrize(
    ("found", "asked", "deleted", "codes"),
    [
        ([A, Document("b", "Text")], [], ["c"], []),
        ([A], [("listed", 2, 3)], [], ["many_missing"]),
        ([], [("listed", 3, 3)], [], ["many_missing"]),
    ],
)
async def test_most_of_a_source_is_deleted_only_if_that_is_meant(
    found: list[Document], asked: list[tuple[str, int, int]], deleted: list[str], codes: list[str]
) -> None:
    questions: list[tuple[str, int, int]] = []

    def refuse(*question: Any) -> bool:
        questions.append(question)
        return False

    destination = Destination()
    summary = await ingest(destination, "docs", [Listed(found)], delete_missing=True, may_delete=refuse, max_chars=1000)
    assert (questions, destination.deleted) == (asked, deleted)
    assert [failure.code for failure in summary.failures] == codes


class Slow(Destination):
    """Needs some looks at a job until it is done, and notes what happens in which order."""

    def __init__(self) -> None:
        super().__init__()
        self.order: list[str] = []

    async def submit(self, collection: str, documents: Sequence[Document], *, source: str) -> Submission:
        return Submission("job_0", len(documents), 0)

    async def delete(self, collection: str, document_ids: Sequence[str]) -> Submission:
        self.order.append("delete")
        return await super().delete(collection, document_ids)

    async def job(self, job_id: str) -> Job:
        done = self.order.count(job_id) >= 2
        self.order.append(job_id)
        return Job(job_id, "docs", "done" if done else "running", 1, 0 if done else 1)


async def test_what_is_gone_is_deleted_once_what_is_new_is_indexed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexer.ingest.POLL_SECONDS", 0.0)
    destination = Slow()
    await ingest(destination, "docs", [Listed([A])], delete_missing=True, may_delete=lambda *_: True, max_chars=1000)
    assert destination.order[: destination.order.index("delete")] == ["job_0"] * 3
