"""What all wire models share."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Body(BaseModel):
    """Base of request bodies: no unknown fields, and no type is bent into another."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ErrorPlace(BaseModel):
    """One place that is wrong."""

    loc: list[str | int] = Field(description="path to the culprit inside the body, or the name of the parameter")
    message: str


class ProblemBody(BaseModel):
    """An RFC 9457 problem: the shape of every error answer."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(description="for people", examples=["no collection 'pyton'"])
    code: str = Field(description="for programs; stable", examples=["collection_not_found"])
    request_id: str | None = Field(examples=["req_01JY4W6V0T8Q3N5R7XKZB2C4DF"])
    errors: list[ErrorPlace] | None = None


def mapping(value: Any) -> dict[str, Any]:
    """A plain dictionary of any mapping, for pydantic."""
    return dict(value)
