"""Kept lists of results in SQL."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import delete, insert, select
from sqlmodel import Field

from winnow.catalog.engine import Repository
from winnow.catalog.tables import Base, Key, UtcDateTime, sql_table


class ResultListRow(Base, table=True):
    """A list of results, kept until ``until``."""

    __tablename__ = "result_lists"

    id: str = Field(sa_column=sa.Column(Key, primary_key=True))
    until: datetime = Field(sa_column=sa.Column(UtcDateTime, index=True, nullable=False))
    body: bytes = Field(sa_column=sa.Column(sa.LargeBinary, nullable=False))


RESULT_LISTS = sql_table(ResultListRow)


class SqlResultLists(Repository):
    """The port ``ResultLists`` in SQL."""

    async def keep(self, list_id: str, body: bytes, *, seconds: float) -> None:
        until = self.clock() + timedelta(seconds=seconds)
        async with self.database.write() as connection:
            await connection.execute(insert(RESULT_LISTS), {"id": list_id, "until": until, "body": body})

    async def get(self, list_id: str) -> bytes | None:
        wanted = (RESULT_LISTS.c.id == list_id, RESULT_LISTS.c.until > self.clock())
        async with self.database.read() as connection:
            body: bytes | None = await connection.scalar(select(RESULT_LISTS.c.body).where(*wanted))
            return body

    async def prune(self, *, limit: int = 1000) -> int:
        over = select(RESULT_LISTS.c.id).where(RESULT_LISTS.c.until <= self.clock()).limit(limit)
        async with self.database.write() as connection:
            statement = delete(RESULT_LISTS).where(RESULT_LISTS.c.id.in_(over.scalar_subquery()))
            return (await connection.execute(statement)).rowcount
