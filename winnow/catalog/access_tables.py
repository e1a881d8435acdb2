"""The tables of access: API keys, and the audit trail."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field

from winnow.catalog.tables import Base, Key, UtcDateTime, sql_table
from winnow.core.types import JsonValue


class Words(sa.TypeDecorator[tuple[str, ...]]):
    """Words without spaces, as one text."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else " ".join(value)

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> tuple[str, ...]:  # noqa: ARG002
        return tuple((value or "").split())


class ApiKeyRow(Base, table=True):
    """An API key; the secret part is not stored."""

    __tablename__ = "api_keys"

    id: str = Field(sa_column=sa.Column(Key, primary_key=True))
    digest: bytes = Field(sa_column=sa.Column(sa.LargeBinary, nullable=False))
    label: str
    scopes: JsonValue = Field(sa_column=sa.Column(Words, nullable=False))
    collections: JsonValue = Field(sa_column=sa.Column(Words, nullable=False))
    tenant: str | None
    origins: JsonValue = Field(sa_column=sa.Column(Words, nullable=False))
    expires_at: datetime | None = Field(sa_column=sa.Column(UtcDateTime))
    created_at: datetime = Field(sa_column=sa.Column(UtcDateTime, nullable=False))
    created_by: str
    revoked_at: datetime | None = Field(sa_column=sa.Column(UtcDateTime))
    last_used_at: datetime | None = Field(sa_column=sa.Column(UtcDateTime))
    replaces: str | None
    limits: JsonValue = Field(sa_column=sa.Column(sa.JSON))


class AuditEventRow(Base, table=True):
    """An event of the audit trail; ids sort by time."""

    __tablename__ = "audit_events"

    id: str = Field(sa_column=sa.Column(Key, primary_key=True))
    at: datetime = Field(sa_column=sa.Column(UtcDateTime, index=True, nullable=False))
    action: str
    actor: str
    tenant: str | None
    collection: str
    document: str
    request_id: str
    outcome: str
    count: int
    details: JsonValue = Field(sa_column=sa.Column(sa.JSON, nullable=False))


API_KEYS = sql_table(ApiKeyRow)
AUDIT_EVENTS = sql_table(AuditEventRow)
