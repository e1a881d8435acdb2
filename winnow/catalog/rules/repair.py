"""What mending does to the ledger: decided here without SQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from winnow.catalog.rules.entries import Entry
from winnow.catalog.rules.submissions import LedgerChange, Order, queued
from winnow.core.types import Document
from winnow.ports import Submission

NO_CONTENT: Final = ""


def plan_repair(revisions: Mapping[str, int], known: Mapping[str, Entry], order: Order) -> LedgerChange:
    """Decide about every document whose points are damaged; ``revisions`` has the highest one among its points."""
    created: list[Entry] = []
    touched: list[Entry] = []
    for document_id, revision in revisions.items():
        entry = known.get(document_id)
        if entry is None:
            created.append(_tombstone(document_id, revision, order))
        elif entry.due_at is None or entry.state == "indexed":
            touched.append(_again(entry, revision, order))
    unchanged = len(revisions) - len(created) - len(touched)
    submission = Submission(order.job_id, len(revisions), unchanged)
    return LedgerChange(submission, tuple(created), (), tuple(touched), Counter())


def empty_document(document_id: str) -> Document:
    """The content of a document that never was, which only exists to be deleted."""
    return Document(document_id, NO_CONTENT)


def _again(entry: Entry, revision: int, order: Order) -> Entry:
    if entry.state == "deleting":
        return queued(entry, order)
    # a new revision has point ids of its own: whatever is there already is in nobody's way, and removed after it
    return replace(queued(entry, order), state="pending", revision=max(entry.revision, revision) + 1)


def _tombstone(document_id: str, revision: int, order: Order) -> Entry:
    """Points that no document owns go by the way of deletions, so that none of a new document can be meant by it."""
    return Entry(
        id=document_id,
        content_hash=NO_CONTENT,
        version=None,
        revision=revision,
        state="deleting",
        token=int(order.now.timestamp() * 1_000_000),
        source=order.source,
        priority=order.priority,
        submitted_at=order.now,
        updated_at=order.now,
        due_at=order.now,
        job_id=order.job_id,
    )
