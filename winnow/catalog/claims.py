"""Claims in SQL: which collections have due work, and the lease of some of it.

Rows are claimed from the queue's index alone, in its order; the contents are read by id afterwards, in the same
transaction. A join of both could get any plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, Update, and_, bindparam, select, true, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from winnow.catalog.bulk import among, fetch_rows, keys
from winnow.catalog.documents import CONTENT_COLUMNS, document_of
from winnow.catalog.rules.entries import kind_of, was_tried
from winnow.catalog.rules.fairness import Queue
from winnow.catalog.rules.frontier import Levels, Position
from winnow.catalog.same_text import chunks_by_text
from winnow.catalog.tables import COLLECTIONS, CONTENTS, DOCUMENTS
from winnow.ports import ChunkKey, Claim

_PLACE: Final = (DOCUMENTS.c.priority, DOCUMENTS.c.submitted_at, DOCUMENTS.c.id)
_QUEUE_ORDER: Final = (DOCUMENTS.c.priority.desc(), DOCUMENTS.c.submitted_at, DOCUMENTS.c.id)
_CONTENT: Final = (CONTENTS.c.id, CONTENTS.c.text_hash, *CONTENT_COLUMNS)
_ENDS: Final = 2**31 - 1  # beyond every priority

# statements are built once: to build one costs more than to carry it out
_BETWEEN: Final = and_(DOCUMENTS.c.priority > bindparam("above"), DOCUMENTS.c.priority < bindparam("below"))
_FROM: Final = and_(
    DOCUMENTS.c.priority == bindparam("level"),
    tuple_(DOCUMENTS.c.submitted_at, DOCUMENTS.c.id)
    >= tuple_(bindparam("since", type_=DOCUMENTS.c.submitted_at.type), bindparam("first", type_=DOCUMENTS.c.id.type)),
)


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
    found = await _heads(connection, now, positions, below=_ENDS)
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
        wanted = {"uid": queue.uid, "now": terms.now, "limit": terms.limit - len(rows)}
        rows += await connection.execute(_lock_due("level" in stretch), wanted | stretch)
        if len(rows) == terms.limit:
            break
    if not rows:
        return [], {}
    ids = [row.id for row in rows]
    # a statement of its own sees what was committed before the rows were locked: never the content of an older revision
    by_id = {row.id: row for row in await fetch_rows(connection, _CONTENT, queue.uid, ids)}
    fresh = [by_id[row.id].text_hash for row in rows if row.indexed_revision is None and row.state != "deleting"]
    elsewhere = await chunks_by_text(connection, queue.uid, [each for each in fresh if each is not None])
    leased = {"until": terms.until, "owner": terms.owner}
    await connection.execute(_take(among(connection, DOCUMENTS)), leased | keys(connection, queue.uid, ids))
    last = {row.priority: (row.submitted_at, row.id) for row in rows}
    return [_claim(queue.collection, row, by_id[row.id], elsewhere) for row in rows], last


def _stretches(levels: Levels, *, below: int) -> Iterator[dict[str, Any]]:
    """The parts of a collection's queue beyond these positions, in order of service, at priorities ``below`` that.

    Each is the parameters of ``_BETWEEN`` or, with a ``level``, of ``_FROM``.
    """
    for level in sorted(level for level in levels if level < below)[::-1]:
        if below > level + 1:
            yield {"above": level, "below": below}
        since, first = levels[level]
        yield {"level": level, "since": since, "first": first}
        below = level
    yield {"above": -_ENDS, "below": below}


async def _heads(
    connection: AsyncConnection, now: datetime, positions: Mapping[str, Levels], *, below: int
) -> list[Queue]:
    """The first document that is due of each collection, from the positions on, at priorities ``below`` that."""
    wanted = {"now": now, "limit": 1}
    generic = _first_of_each(connection.dialect.name == "postgresql", bool(positions))
    others = {"others": list(positions)} if positions else {}
    found = [Queue(*row) for row in await connection.execute(generic, wanted | {"below": below} | others)]
    for uid, levels in positions.items():
        for stretch in _stretches(levels, below=below):
            statement = _first_beyond("level" in stretch)
            row = (await connection.execute(statement, wanted | {"uid": uid} | stretch)).one_or_none()
            if row is not None:
                found.append(Queue(*row))
                break
    return found


def _due(statement: Select[Any], *where: ColumnElement[bool]) -> Select[Any]:
    due = statement.where(*where, DOCUMENTS.c.due_at <= bindparam("now", type_=DOCUMENTS.c.due_at.type))
    return due.order_by(*_QUEUE_ORDER).limit(bindparam("limit"))


@cache
def _lock_due(level: bool) -> Select[Any]:
    mine = DOCUMENTS.c.collection_uid == bindparam("uid")
    return _due(select(DOCUMENTS), mine, _FROM if level else _BETWEEN).with_for_update(skip_locked=True)


@cache
def _first_beyond(level: bool) -> Select[Any]:
    named = select(COLLECTIONS.c.uid, COLLECTIONS.c.name, *_PLACE)
    named = named.join_from(DOCUMENTS, COLLECTIONS, COLLECTIONS.c.uid == DOCUMENTS.c.collection_uid)
    return _due(named, DOCUMENTS.c.collection_uid == bindparam("uid"), _FROM if level else _BETWEEN)


@cache
def _first_of_each(postgres: bool, but_others: bool) -> Select[Any]:
    """The heads of all collections, or of those that are not among ``others``."""
    named = select(COLLECTIONS.c.uid, COLLECTIONS.c.name)
    if but_others:
        named = named.where(COLLECTIONS.c.uid.not_in(bindparam("others", expanding=True)))
    due = (DOCUMENTS.c.collection_uid == COLLECTIONS.c.uid, DOCUMENTS.c.priority < bindparam("below"))
    if postgres:
        head = _due(select(*_PLACE), *due).correlate(COLLECTIONS).lateral("head")
        return named.add_columns(*head.c).select_from(COLLECTIONS).join(head, true())
    parts = [_due(select(column), *due).scalar_subquery().label(column.name) for column in _PLACE]
    heads = named.add_columns(*parts).subquery()
    return select(heads).where(heads.c.priority.is_not(None))


@cache
def _take(same: tuple[ColumnElement[bool], ...]) -> Update:
    tried = {"token": DOCUMENTS.c.token + 1, "attempts": DOCUMENTS.c.attempts + 1}
    leased = {"due_at": bindparam("until", type_=DOCUMENTS.c.due_at.type), "lease_owner": bindparam("owner")}
    return update(DOCUMENTS).where(*same).values(tried | leased)


def _claim(collection: str, row: Row[Any], content: Row[Any], elsewhere: Mapping[str, tuple[ChunkKey, ...]]) -> Claim:
    previous = elsewhere.get(content.text_hash, ()) if row.indexed_revision is None else row.chunks
    return Claim(
        collection=collection,
        kind=kind_of(row.state),
        document=document_of(row, content),
        revision=row.revision,
        token=row.token + 1,
        previous=previous,
        attempts=row.attempts,
        tried=was_tried(row.attempts, row.submitted_at, row.updated_at),
        submitted_at=row.submitted_at,
    )
