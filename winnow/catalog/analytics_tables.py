"""The tables of analytics: searches, and clicks and conversions."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlmodel import Field

from winnow.catalog.tables import Base, Key, UtcDateTime, sql_table
from winnow.core.types import JsonValue


def _of_collection() -> sa.Column[str]:
    return sa.Column(Key, sa.ForeignKey("collections.uid", ondelete="CASCADE"), nullable=False)


class AnalyticsSearchRow(Base, table=True):
    """A search of a visitor. ``folded`` is the query as it is counted, ``day`` the day of ``at`` in UTC."""

    __tablename__ = "analytics_searches"

    id: str = Field(sa_column=sa.Column(Key, primary_key=True))
    collection_uid: str = Field(sa_column=_of_collection())
    tenant: str = Field(sa_column=sa.Column(Key, nullable=False))
    at: datetime = Field(sa_column=sa.Column(UtcDateTime, nullable=False))
    day: str = Field(sa_column=sa.Column(Key, nullable=False))
    query: str = Field(sa_column=sa.Column(sa.Text, nullable=False))
    folded: str = Field(sa_column=sa.Column(Key, nullable=False))
    mode: str
    speed: str
    shown: JsonValue = Field(sa_column=sa.Column(sa.JSON, nullable=False))
    first: int
    count: int
    took_ms: float = Field(sa_column=sa.Column(sa.Double, nullable=False))
    degraded: bool
    session: str = Field(sa_column=sa.Column(Key, nullable=False))
    audience: str = Field(sa_column=sa.Column(Key, nullable=False))
    replaced_by: str | None = Field(sa_column=sa.Column(Key, index=True))


class AnalyticsEventRow(Base, table=True):
    """A click or a conversion, once for a search, document and type. Its search may be written a moment later."""

    __tablename__ = "analytics_events"

    search_id: str = Field(sa_column=sa.Column(Key, primary_key=True))
    document_id: str = Field(sa_column=sa.Column(Key, primary_key=True))
    type: str = Field(sa_column=sa.Column(Key, primary_key=True))
    collection_uid: str = Field(sa_column=_of_collection())
    tenant: str = Field(sa_column=sa.Column(Key, nullable=False))
    at: datetime = Field(sa_column=sa.Column(UtcDateTime, nullable=False))
    day: str = Field(sa_column=sa.Column(Key, nullable=False))
    position: int | None
    session: str = Field(sa_column=sa.Column(Key, nullable=False))


ANALYTICS_SEARCHES: Final = sql_table(AnalyticsSearchRow)
ANALYTICS_EVENTS: Final = sql_table(AnalyticsEventRow)

for _table in (ANALYTICS_SEARCHES, ANALYTICS_EVENTS):
    sa.Index(f"ix_{_table.name}_collection", _table.c.collection_uid, _table.c.at)
    sa.Index(f"ix_{_table.name}_session", _table.c.session, _table.c.at)
    sa.Index(f"ix_{_table.name}_at", _table.c.at)
