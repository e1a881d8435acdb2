"""Health and integrity checks on the wire."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from service.schemas.common import Body, View


class Health(View):
    """The process is alive."""

    status: Literal["ok"] = "ok"


class Stalled(View):
    """The process has to be started again."""

    status: Literal["stalled"] = "stalled"
    reason: str = Field(description="what makes no progress, and for how long")


class CheckView(View):
    """The state of one dependency."""

    status: Literal["ok", "warning", "failed"] = Field(description="warning: searches are answered all the same")
    ms: float = Field(description="time that this check took")
    age_s: float = Field(0.0, description="age of the result in seconds: models are checked rarely")
    reason: str | None = Field(None, description="cause of the failure, and how to fix it")


class Readiness(View):
    """Whether searches can be answered, dependency by dependency."""

    status: Literal["ready", "degraded", "unavailable", "draining", "starting"] = Field(
        description="degraded: searches are answered without a model that failed, or not those of a collection whose "
        "index was lost; unavailable: store or catalog failed; starting: see the check `warm_up`"
    )
    checks: dict[str, CheckView] = Field(
        description="by dependency: store, catalog, indexes (whether one was lost), embed, rerank, and workers where "
        "other processes index"
    )


class VerifyBody(Body):
    """How damage is handled."""

    repair: bool = Field(False, description="index damaged documents again and remove orphaned points")
