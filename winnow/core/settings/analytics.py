"""Settings of analytics: what visitors search for and click."""

from __future__ import annotations

from pydantic import Field

from winnow.core.settings.base import Group


class AnalyticsSettings(Group):
    """The record of searches, clicks and conversions."""

    enabled: bool = Field(
        False, description="keep searches with their queries and results, and take clicks and conversions"
    )
    retention_days: float = Field(90.0, gt=0, description="days that searches and events are kept")
