"""What every group of settings is."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class Group(BaseModel):
    """Base of every group: frozen, and no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Endpoint(Group):
    """A model behind HTTP: whom to call, as whom, and how patiently."""

    url: str = Field(description="where the server listens, without the path of the call")
    api_key: SecretStr = SecretStr("")
    auth_scheme: Literal["bearer", "raw"] = Field("bearer", description="raw: the bare key in the Authorization header")
    timeout_seconds: float = Field(30.0, gt=0, description="longest wait for one answer")
    connections: int = Field(8, ge=1, le=256, description="calls under way at the same time")
