"""Issuers of tokens and signing keys in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import delete, insert, select
from sqlmodel import Field

from winnow.catalog.engine import Repository
from winnow.catalog.tables import Base, Key, UtcDateTime, sql_table
from winnow.core.types import JsonValue
from winnow.ports import SigningKey, TokenIssuer


class SigningKeyRow(Base, table=True):
    """A key pair with which the installation signs tokens."""

    __tablename__ = "signing_keys"

    kid: str = Field(sa_column=sa.Column(Key, primary_key=True))
    private_pem: str = Field(sa_column=sa.Column(sa.Text, nullable=False))
    created_at: datetime = Field(sa_column=sa.Column(UtcDateTime, nullable=False))


class TokenIssuerRow(Base, table=True):
    """An issuer of tokens; ``terms`` holds the other fields of ``TokenIssuer``."""

    __tablename__ = "token_issuers"

    name: str = Field(sa_column=sa.Column(Key, primary_key=True))
    terms: JsonValue = Field(sa_column=sa.Column(sa.JSON, nullable=False))
    created_at: datetime = Field(sa_column=sa.Column(UtcDateTime, nullable=False))


SIGNING_KEYS = sql_table(SigningKeyRow)
TOKEN_ISSUERS = sql_table(TokenIssuerRow)
_NEWEST_FIRST = (SIGNING_KEYS.c.created_at.desc(), SIGNING_KEYS.c.kid)


class SqlTokens(Repository):
    """The port ``TokenCatalog`` in SQL."""

    async def signing_keys(self) -> Sequence[SigningKey]:
        async with self.database.read() as connection:
            return [SigningKey(*row) for row in await connection.execute(select(SIGNING_KEYS).order_by(*_NEWEST_FIRST))]

    async def add_signing_key(self, key: SigningKey, *, keep: int) -> Sequence[SigningKey]:
        async with self.database.write() as connection:
            await connection.execute(insert(SIGNING_KEYS), asdict(key))
            rows = await connection.execute(select(SIGNING_KEYS).order_by(*_NEWEST_FIRST))
            stored = [SigningKey(*row) for row in rows]
            old = [each.kid for each in stored[keep:]]
            await connection.execute(delete(SIGNING_KEYS).where(SIGNING_KEYS.c.kid.in_(old)))
            return stored[:keep]

    async def remove_signing_keys(self) -> int:
        async with self.database.write() as connection:
            return (await connection.execute(delete(SIGNING_KEYS))).rowcount

    async def issuers(self) -> Sequence[TokenIssuer]:
        async with self.database.read() as connection:
            rows = await connection.execute(select(TOKEN_ISSUERS).order_by(TOKEN_ISSUERS.c.name))
            return [_issuer(*row) for row in rows]

    async def put_issuer(self, issuer: TokenIssuer) -> TokenIssuer:
        terms = {name: value for name, value in asdict(issuer).items() if name not in ("name", "created_at")}
        values: dict[str, Any] = {"name": issuer.name, "terms": terms, "created_at": issuer.created_at or self.clock()}
        async with self.database.write() as connection:
            await connection.execute(delete(TOKEN_ISSUERS).where(TOKEN_ISSUERS.c.name == issuer.name))
            await connection.execute(insert(TOKEN_ISSUERS), values)
        return _issuer(issuer.name, terms, values["created_at"])

    async def remove_issuer(self, name: str) -> bool:
        async with self.database.write() as connection:
            return (await connection.execute(delete(TOKEN_ISSUERS).where(TOKEN_ISSUERS.c.name == name))).rowcount > 0


def _issuer(name: str, terms: dict[str, Any], created_at: datetime) -> TokenIssuer:
    lists: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in terms.items()}
    return TokenIssuer(name, created_at=created_at, **lists)
