"""Settings of the limits for callers: what each key, subject of tokens and tenant may use."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr, field_validator

from winnow.core.settings.base import Group

STORAGES = ("memory", "redis", "rediss", "redis+unix")


class QuotaSettings(Group):
    """What one caller, or all callers of one tenant together, may use; unset is not limited."""

    requests_per_second: int | None = Field(None, ge=1, description="requests of every kind")
    searches_per_second: int | None = Field(None, ge=1, description="searches; several in one request count each")
    documents_per_day: int | None = Field(None, ge=1, description="documents that are submitted, in 24 hours")
    tokens_per_day: int | None = Field(
        None, ge=1, description="tokens that models elsewhere (embedding, second stage) read for it, in 24 hours"
    )

    @property
    def is_set(self) -> bool:
        """Whether anything is limited."""
        return any(getattr(self, name) is not None for name in type(self).model_fields)


class LimitSettings(Group):
    """The limits for callers."""

    caller: QuotaSettings = QuotaSettings()
    tenant: QuotaSettings = QuotaSettings()
    when_tokens_are_spent: Literal["degrade", "refuse"] = Field(
        "degrade", description="degrade: search on without the model, and say so; refuse: 429"
    )
    storage: SecretStr = Field(
        SecretStr("memory://"),
        description="where usage is counted: `memory://` in each process, or `redis://HOST:6379` for all together",
    )

    @field_validator("storage")
    @classmethod
    def _known_storage(cls, value: SecretStr) -> SecretStr:
        scheme, mark, _ = value.get_secret_value().partition("://")
        if not mark or scheme not in STORAGES:
            raise ValueError("use memory://, or the URL of a Redis server: redis://HOST:6379/0")
        return value

    @property
    def is_set(self) -> bool:
        """Whether anything is limited."""
        return self.caller.is_set or self.tenant.is_set

    @property
    def counts_tokens(self) -> bool:
        """Whether tokens are limited."""
        return self.caller.tokens_per_day is not None or self.tenant.tokens_per_day is not None
