"""Claims in SQL: which collections have due work, and the lease of some of it.

Rows are claimed from the queue's index alone, in its order; the contents are read by id afterwards, in the same
transaction. A join of both could get any plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, and_, literal, select, true, tuple_, union_all, update
from sqlalchemy.ext.asyncio import AsyncConnection

from winnow.catalog.bulk import among, of_ids
from winnow.catalog.documents import CONTENT_COLUMNS, document_of
from winnow.catalog.rules.entries import kind_of, was_tried
from winnow.catalog.rules.fairness import Queue
from winnow.catalog.rules.frontier import Levels, Position
from winnow.catalog.tables import COLLECTIONS, CONTENTS, DOCUMENTS
from winnow.ports import Claim

_PLACE: Final = (DOCUMENTS.c.priority, DOCUMENTS.c.submitted_at, DOCUMENTS.c.id)
_QUEUE_ORDER: Final = (DOCUMENTS.c.priority.desc(), DOCUMENTS.c.submitted_at, DOCUMENTS.c.id)


async def waiting_queues(
    connection: AsyncConnection, now: datetime, positions: Mapping[str, Levels], *, passing: int
) -> list[Queue]:
    """The collections with work that is due, read from the heads of their parts of the index.

    Args:
        connection: a transaction of its own.
        now: what is due until then.
        positions: where to begin instead of at the head, by collection.
        passing: the number of highest levels of priority that are skipped, as far as there is work below them.
    """
    found = await _heads(connection, now, positions, below=None)
    for _ in range(passing):
        highest = max((queue.priority for queue in found), default=0)
        lower = await _heads(connection, now, positions, below=highest)
        if not lower:
            break
        found = lower
    return found


@dataclass(frozen=True, slots=True)
class Terms:
    """What a claim asks for: at most ``limit`` documents that are due ``now``, leased to ``owner`` until then."""

    owner: str
    limit: int
    now: datetime
    until: datetime


async def lease(
    connection: AsyncConnection, queue: Queue, levels: Levels, terms: Terms
) -> tuple[list[Claim], dict[int, Position]]:
    """Lease due documents of one queue; those locked by another claim are skipped.

    Args:
        connection: a transaction of its own.
        queue: the collection; its first document is where to begin.
        levels: where to begin at lower priorities.
        terms: how many, for whom, and until when.

    Returns:
        The claims, and by priority the position of the last one.
    """
    begin = {**levels, queue.priority: (queue.waiting_since, queue.document_id)}
    rows: list[Row[Any]] = []
    for stretch in _stretches(begin, below=queue.priority + 1):
        mine = (DOCUMENTS.c.collection_uid == queue.uid, stretch)
        statement = _due(select(DOCUMENTS), terms.now, terms.limit - len(rows), *mine)
        rows += await connection.execute(statement.with_for_update(skip_locked=True))
        if len(rows) == terms.limit:
            break
    if not rows:
        return [], {}
    ids = [row.id for row in rows]
    # a statement of its own sees what was committed before the rows were locked: never the content of an older revision
    contents = await connection.execute(of_ids(connection, (CONTENTS.c.id, *CONTENT_COLUMNS), queue.uid, ids))
    by_id = {row.id: row for row in contents}
    tried = {"token": DOCUMENTS.c.token + 1, "attempts": DOCUMENTS.c.attempts + 1}
    leased = {"due_at": terms.until, "lease_owner": terms.owner}
    claimed = update(DOCUMENTS).where(*among(connection, DOCUMENTS, queue.uid, ids))
    await connection.execute(claimed.values(tried | leased))
    last = {row.priority: (row.submitted_at, row.id) for row in rows}
    return [_claim(queue.collection, row, by_id[row.id]) for row in rows], last


def _due(statement: Select[Any], now: datetime, limit: int, *where: ColumnElement[bool]) -> Select[Any]:
    return statement.where(*where, DOCUMENTS.c.due_at <= now).order_by(*_QUEUE_ORDER).limit(limit)


def _stretches(levels: Levels, *, below: int | None) -> Iterator[ColumnElement[bool]]:
    """The parts of a collection's queue beyond these positions, in order of service, at priorities ``below`` that."""
    priority, upper = DOCUMENTS.c.priority, below
    for level in sorted(levels, reverse=True):
        if below is not None and level >= below:
            continue
        if upper is None or upper > level + 1:
            yield and_(priority > level, true() if upper is None else priority < upper)
        submitted_at, document_id = levels[level]
        begin = tuple_(literal(submitted_at, DOCUMENTS.c.submitted_at.type), literal(document_id, DOCUMENTS.c.id.type))
        yield and_(priority == level, tuple_(DOCUMENTS.c.submitted_at, DOCUMENTS.c.id) >= begin)
        upper = level
    yield true() if upper is None else priority < upper


async def _heads(
    connection: AsyncConnection, now: datetime, positions: Mapping[str, Levels], *, below: int | None
) -> list[Queue]:
    """The first document that is due of each collection, from the positions on, at priorities ``below`` that."""
    found = [Queue(*row) for row in await connection.execute(_first_of_each(connection, now, positions, below))]
    if positions:
        rows = await connection.execute(_first_beyond(now, positions, below))
        first: dict[str, Queue] = {}
        for row in sorted(rows, key=lambda row: row.stretch):
            first.setdefault(row.uid, Queue(*row[1:]))
        found += first.values()
    return found


def _first_of_each(
    connection: AsyncConnection, now: datetime, others: Mapping[str, Levels], below: int | None
) -> Select[Any]:
    """The heads of all collections but ``others``."""
    named = select(COLLECTIONS.c.uid, COLLECTIONS.c.name)
    if others:
        named = named.where(COLLECTIONS.c.uid.not_in(list(others)))
    due = [DOCUMENTS.c.collection_uid == COLLECTIONS.c.uid]
    if below is not None:
        due.append(DOCUMENTS.c.priority < below)
    if connection.dialect.name == "postgresql":
        head = _due(select(*_PLACE), now, 1, *due).correlate(COLLECTIONS).lateral("head")
        return named.add_columns(*head.c).select_from(COLLECTIONS).join(head, true())
    parts = [_due(select(column), now, 1, *due).scalar_subquery().label(column.name) for column in _PLACE]
    heads = named.add_columns(*parts).subquery()
    return select(heads).where(heads.c.priority.is_not(None))


def _first_beyond(now: datetime, positions: Mapping[str, Levels], below: int | None) -> Any:
    """The first document that is due of each stretch of the queue of these collections."""
    parts = []
    for uid, levels in positions.items():
        for number, stretch in enumerate(_stretches(levels, below=below)):
            columns = (literal(number).label("stretch"), COLLECTIONS.c.uid, COLLECTIONS.c.name, *_PLACE)
            named = select(*columns).join_from(DOCUMENTS, COLLECTIONS, COLLECTIONS.c.uid == uid)
            parts.append(select(_due(named, now, 1, DOCUMENTS.c.collection_uid == uid, stretch).subquery()))
    return union_all(*parts)


def _claim(collection: str, row: Row[Any], content: Row[Any]) -> Claim:
    return Claim(
        collection=collection,
        kind=kind_of(row.state),
        document=document_of(row, content),
        revision=row.revision,
        token=row.token + 1,
        previous=() if row.indexed_revision is None else row.chunks,
        attempts=row.attempts,
        tried=was_tried(row.attempts, row.submitted_at, row.updated_at),
    )
