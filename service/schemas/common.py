"""The bases of all wire models, and the shape of errors."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Final, Self

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Tag, ValidationError

from winnow.core.errors import InvalidInput, InvalidQuery
from winnow.core.tenancy import plain_id

_EXAMPLES: Final[dict[str, Any]] = orjson.loads(Path(__file__).with_name("examples.json").read_bytes())


def _add_examples(schema: dict[str, Any], model: type[BaseModel]) -> None:
    if model.__name__ in _EXAMPLES:
        schema["examples"] = _EXAMPLES[model.__name__]


class Wire(BaseModel):
    """Base of all wire models; their examples in OpenAPI are those under their names in ``examples.json``."""

    model_config = ConfigDict(json_schema_extra=_add_examples)


class Body(Wire):
    """Base of request bodies: unknown fields are errors, and no type is converted into another."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Parameters(Wire):
    """Base of query strings: unknown parameters are errors."""

    model_config = ConfigDict(extra="forbid")


class View(Wire):
    """Base of answers, which are built from the attributes of domain values."""

    model_config = ConfigDict(from_attributes=True)

    @classmethod
    def of(cls, value: object) -> Self:
        """The wire form of a domain value with the same attributes."""
        return cls.model_validate(value)


def json_parameter(name: str, text: str | None, invalid: type[InvalidInput] = InvalidQuery) -> Any:
    """The value of a parameter that holds JSON in a query string; ``None`` without one.

    Raises:
        InvalidInput: the given kind of it; the text is not JSON.
    """
    if text is None:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise invalid(f"{name} is not JSON: {error}", location=(name,)) from error


def invalid_query(error: ValidationError, *above: str) -> InvalidQuery:
    """The error of options that do not have their shape: names the first place that is wrong, below ``above``."""
    first = error.errors(include_url=False)[0]
    location = (*above, *first["loc"])
    return InvalidQuery(f"{'.'.join(map(str, location))}: {first['msg']}", location=location)


def variant(name: str) -> Tag:
    """The tag of one shape of a body that may have several. Places of errors leave it out."""
    return Tag(f"({name})")


def is_variant(part: object) -> bool:
    """Whether a part of the place of a validation error is such a tag."""
    return isinstance(part, str) and part.startswith("(")


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


PlainId = Annotated[str, BeforeValidator(plain_id)]
"""The id of a document as its owner gave it, out of the qualified one."""


def members(value: Any) -> dict[str, Any]:
    """The fields of a dataclass by name, not copied."""
    return {each.name: getattr(value, each.name) for each in fields(value)}
