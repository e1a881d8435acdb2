"""Bodies of other protocols: read as leniently as their clients write them.

Members that no door knows are ignored, and a ``null`` is the same as a member that is missing.
"""

from __future__ import annotations

from typing import Any

from fastapi import Request
from pydantic import ConfigDict, model_validator

from service.schemas.common import Wire
from service.wire import content_type, loads, require_json


async def foreign_json(request: Request) -> Any:
    """The decoded body; its content type is JSON or missing.

    Raises:
        Problem: 415 for another content type, 400 if the body is not JSON.
    """
    if content_type(request):
        require_json(request)
    return loads(await request.body())


class ForeignBody(Wire):
    """Base of the request bodies of other protocols."""

    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        return {key: each for key, each in value.items() if each is not None} if isinstance(value, dict) else value
