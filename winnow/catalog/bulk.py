"""Statements about many rows at once.

On PostgreSQL each is one statement over arrays, which ``unnest`` turns into rows: a round trip and a plan for all of
them. The rows lead, and each finds its document by the whole primary key, so that no statistics suggest anything else.
SQLite, which is in the process, gets a list of values or one execution a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final, TypeAlias, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from winnow.catalog.engine import dump_json
from winnow.catalog.tables import ChunkKeys, UtcDateTime

# rows of one statement: below SQLite's limit for parameters (32,766), and few enough that the event loop is not held up
# while their values are converted
SLICE: Final = 1000

Values: TypeAlias = Mapping[str, Any]
_Item = TypeVar("_Item")

_KEY: Final = ("collection_uid", "id")
# primary keys as rows. With the collection as a constant PostgreSQL could read all of it, and compare ids
_KEYS: Final = (
    sa.func.unnest(*(sa.bindparam(name, type_=sa.ARRAY(sa.Text)) for name in ("of_collection", "of_ids")))
    .table_valued(*(sa.column(name, sa.Text) for name in _KEY), with_ordinality="place", name="given")
    .render_derived()
)


def slices(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    """The items in parts of at most ``SLICE``."""
    for begin in range(0, len(items), SLICE):
        yield items[begin : begin + SLICE]


def insert_missing(connection: AsyncConnection, table: sa.Table) -> Any:
    """An insertion that leaves rows as they are whose key is there."""
    dialect = postgresql if _is_postgres(connection) else sqlite
    return dialect.insert(table).on_conflict_do_nothing()


async def fetch_rows(
    connection: AsyncConnection,
    columns: tuple[sa.Column[Any], ...],
    uid: str,
    ids: Sequence[str],
    *,
    lock: bool = False,
) -> Sequence[Any]:
    """The rows of these documents of a collection in the order of ids; with ``lock`` for update (PostgreSQL)."""
    statement = _select(columns, _is_postgres(connection), lock)
    rows: Sequence[Any] = (await connection.execute(statement, keys(connection, uid, sorted(ids)))).all()
    return rows


def among(connection: AsyncConnection, table: sa.Table) -> tuple[sa.ColumnElement[bool], ...]:
    """The condition that a row is of one of the documents that ``keys`` names; for updates and deletions."""
    return _among(table, _is_postgres(connection))


def keys(connection: AsyncConnection, uid: str, ids: Sequence[str]) -> dict[str, Any]:
    """The parameters of ``among`` for some documents of a collection."""
    of_collection = [uid] * len(ids) if _is_postgres(connection) else uid
    return {"of_collection": of_collection, "of_ids": list(ids)}


@cache
def _select(columns: tuple[sa.Column[Any], ...], postgres: bool, lock: bool) -> sa.Select[Any]:
    table = columns[0].table
    statement = sa.select(*columns).where(*_among(table, postgres))
    # the rows of keys are sorted: their number is the order, in which the rows are locked as well
    statement = statement.order_by(_KEYS.c.place if postgres else table.c.id)
    return statement.with_for_update(of=table) if lock else statement


@cache
def _among(table: sa.FromClause, postgres: bool) -> tuple[sa.ColumnElement[bool], ...]:
    if postgres:
        return tuple(table.c[name] == _KEYS.c[name] for name in _KEY)
    of_ids: sa.BindParameter[Any] = sa.bindparam("of_ids", expanding=True)
    return table.c.collection_uid == sa.bindparam("of_collection"), table.c.id.in_(of_ids)


async def insert_rows(connection: AsyncConnection, table: sa.Table, rows: Sequence[Values]) -> None:
    """Insert rows with the same columns."""
    if not rows:
        return
    if _is_postgres(connection):
        await connection.exec_driver_sql(_insert(table, tuple(rows[0])), _arrays(table, rows))
    else:
        await connection.execute(sa.insert(table), list(rows))


async def update_rows(connection: AsyncConnection, table: sa.Table, rows: Sequence[Values]) -> None:
    """Update rows by ``collection_uid`` and ``id``, which all of them have, beside the same other columns."""
    if not rows:
        return
    if _is_postgres(connection):
        await connection.exec_driver_sql(_update(table, tuple(rows[0])), _arrays(table, rows))
        return
    same = [table.c[name] == sa.bindparam(f"of_{name}") for name in _KEY]
    values: dict[str, Any] = {name: sa.bindparam(name) for name in rows[0] if name not in _KEY}
    renamed = [{f"of_{name}" if name in _KEY else name: value for name, value in row.items()} for row in rows]
    await connection.execute(sa.update(table).where(*same).values(values), renamed)


@cache
def _insert(table: sa.Table, names: tuple[str, ...]) -> str:
    columns = ", ".join(f'"{name}"' for name in names)
    # S608: the texts hold names of the tables' own columns, never a value
    return f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM {_given(table, names)}"  # noqa: S608


@cache
def _update(table: sa.Table, names: tuple[str, ...]) -> str:
    values = ", ".join(f'"{name}" = given."{name}"' for name in names if name not in _KEY)
    same = " AND ".join(f"{table.name}.{name} = given.{name}" for name in _KEY)
    return f"UPDATE {table.name} SET {values} FROM {_given(table, names)} WHERE {same}"  # noqa: S608


def _given(table: sa.Table, names: tuple[str, ...]) -> str:
    """Arrays as rows: one parameter a column."""
    types = [_type(table.c[name]) for name in names]
    parameters = ", ".join(f"${number}::{type_}[]" for number, type_ in enumerate(types, 1))
    # an array of json would be encoded item by item by the driver's codec; text is cast by the server
    columns = ", ".join(f'"{name}"::json' if _is_json(table.c[name]) else f'"{name}"' for name in names)
    plain = ", ".join(f'"{name}"' for name in names)
    return f"(SELECT {columns} FROM unnest({parameters}) AS arrays ({plain})) AS given"  # noqa: S608


def _arrays(table: sa.Table, rows: Sequence[Values]) -> tuple[list[Any], ...]:
    return tuple(
        [dump_json(row[name]) for row in rows] if _is_json(table.c[name]) else [row[name] for row in rows]
        for name in rows[0]
    )


def _type(column: sa.Column[Any]) -> str:
    match column.type:
        case sa.BigInteger():
            return "bigint"
        case sa.Integer():
            return "integer"
        case sa.Boolean():
            return "boolean"
        case UtcDateTime():
            return "timestamptz"
        case _:
            return "text"


def _is_json(column: sa.Column[Any]) -> bool:
    return isinstance(column.type, sa.JSON | ChunkKeys)


def _is_postgres(connection: AsyncConnection) -> bool:
    return connection.dialect.name == "postgresql"
