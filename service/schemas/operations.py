"""Health on the wire."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Health(BaseModel):
    """The process is alive."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ok"}]})

    status: Literal["ok"] = "ok"


class Check(BaseModel):
    """How one dependency answered its probe."""

    status: Literal["ok", "failed"]
    ms: float = Field(description="time that this answer took")
    age_s: float = Field(0.0, description="seconds since it was looked at: models are asked seldom")
    reason: str | None = Field(None, description="what is wrong, and what to do about it")


class Readiness(BaseModel):
    """Whether searches can be answered, dependency by dependency."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"status": "ready", "checks": {"store": {"status": "ok", "ms": 0.2}}}]}
    )

    status: Literal["ready", "unavailable", "draining"]
    checks: dict[str, Check] = Field(description="by dependency: store, catalog, embed, rerank")
