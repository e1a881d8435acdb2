"""API keys on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Self, TypeAlias

from pydantic import AwareDatetime, Field

from service.schemas.common import Body, View
from winnow.core.principal import LimitName, Scope
from winnow.operations.keys import GRACE_SECONDS, MAX_GRACE_SECONDS, MAX_LIMIT, KeySpec, MadeKey
from winnow.ports import ApiKey

Limits: TypeAlias = dict[LimitName, Annotated[int, Field(ge=1, le=MAX_LIMIT)]]
_LIMITS: Final = "what it may use, in place of the settings for every caller; empty: as they say"
_ANY_PLACE = "web origins that the key may be used from, for a key in a web page; empty: any"


class KeyBody(Body):
    """The rights of a new key."""

    label: str = Field("", description="what the key is for")
    scopes: list[Scope] = Field(["search"], min_length=1, description="what it may do")
    collections: list[str] | None = Field(
        None, description="names of collections, or patterns in which * is any number of characters; null: your own"
    )
    tenant: str | None = Field(None, description="the only tenant whose documents it sees; null: your own")
    origins: list[str] = Field([], description=_ANY_PLACE)
    expires_at: AwareDatetime | None = Field(None, strict=False, description="when it ends; null: never")
    limits: Limits = Field({}, description=_LIMITS)

    def to_spec(self) -> KeySpec:
        """The domain's form."""
        return KeySpec(
            self.label,
            frozenset(self.scopes),
            None if self.collections is None else tuple(dict.fromkeys(self.collections)),
            self.tenant,
            tuple(dict.fromkeys(self.origins)),
            self.expires_at,
            self.limits,
        )


class LimitsBody(Body):
    """What a key may use."""

    limits: Limits = Field(description=_LIMITS)


class RotationBody(Body):
    """How a key is replaced."""

    grace_seconds: float = Field(
        GRACE_SECONDS, ge=0, le=MAX_GRACE_SECONDS, strict=False, description="how long the old key stays valid"
    )


class KeyView(View):
    """A key without its secret part."""

    id: str = Field(description="the public beginning of the key")
    label: str
    scopes: list[Scope]
    collections: list[str]
    tenant: str | None
    origins: list[str] = Field(description=_ANY_PLACE)
    created_at: datetime | None
    created_by: str = Field(description="the key that made it; empty for a command on the service's machine")
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="within a minute")
    replaces: str | None = Field(description="the key whose place it takes")
    limits: dict[LimitName, int] = Field(description=_LIMITS)

    @classmethod
    def shown(cls, key: ApiKey) -> Self:
        """The wire form of a key."""
        view = cls.of(key)
        view.scopes.sort()
        return view


class MadeKeyView(KeyView):
    """A key that was just made; ``key`` is shown this once."""

    key: str = Field(description="the key: send it as Authorization: Bearer <key>")

    @classmethod
    def made(cls, made: MadeKey) -> Self:
        """The wire form of a new key."""
        return cls(key=made.secret, **KeyView.shown(made.key).model_dump())


class KeyList(View):
    """Keys, oldest first; also revoked and expired ones."""

    keys: list[KeyView]
