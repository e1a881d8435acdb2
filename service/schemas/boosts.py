"""Boosts on the wire."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, TypeAdapter, ValidationError, model_validator

from service.schemas.common import Body, View, invalid_query, json_parameter
from winnow.core.boosts import (
    MAX_BOOST_VALUES,
    MAX_BOOSTS,
    MAX_WEIGHT,
    MIN_WEIGHT,
    AmountBoost,
    Boost,
    NearBoost,
    ValueBoost,
)

Scalar = str | int | float | bool


class BoostBody(Body):
    """A declared field by which results count more or less: with ``values``, ``half_life`` or ``pivot``."""

    key: str
    weight: float = Field(
        1.0, ge=MIN_WEIGHT, le=MAX_WEIGHT, description="the score grows by this part of itself at full strength"
    )
    values: list[Scalar] | None = Field(
        None, min_length=1, max_length=MAX_BOOST_VALUES, description="full strength where the document has one of them"
    )
    half_life: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="distance from origin that halves the strength; for datetimes days"
    )
    origin: str | float | None = Field(
        None, allow_inf_nan=False, description="of half_life; of a datetime field by default the moment of the search"
    )
    pivot: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="of a number: the value that has half the strength"
    )

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> BoostBody:
        if sum(each is not None for each in (self.values, self.half_life, self.pivot)) != 1:
            raise ValueError("give one of values, half_life and pivot")
        if self.origin is not None and self.half_life is None:
            raise ValueError("origin is for half_life")
        return self

    def to_boost(self) -> Boost:
        """The domain's form."""
        if self.values is not None:
            return ValueBoost(self.key, self.weight, tuple(self.values))
        if self.half_life is not None:
            return NearBoost(self.key, self.weight, self.half_life, self.origin)
        assert self.pivot is not None  # one of the three is there
        return AmountBoost(self.key, self.weight, self.pivot)


_Boosts = Annotated[list[BoostBody], Field(max_length=MAX_BOOSTS)]
_ADAPTER: TypeAdapter[list[BoostBody]] = TypeAdapter(_Boosts)


class BoostsBody(BaseModel):
    """The boosts of a search as JSON."""

    boosts: _Boosts | None = Field(None, description="change the order of results, and neither score of a stage")


class BoostParameters(BaseModel):
    """The boosts of a search in a query string."""

    boosts: str | None = Field(
        None, description="as in the body, as JSON", examples=['[{"key": "published", "half_life": 90, "weight": 0.5}]']
    )

    def boost_options(self) -> dict[str, Any]:
        """The field of ``BoostsBody``.

        Raises:
            InvalidQuery: the boosts are not JSON of their shape.
        """
        given = json_parameter("boosts", self.boosts)
        if given is None:
            return {"boosts": None}
        try:
            return {"boosts": _ADAPTER.validate_python(given)}
        except ValidationError as error:
            raise invalid_query(error, "boosts") from error


class BoostPartView(View):
    """One boost of a result: its strength from 0 to 1, and what it adds to the factor."""

    key: str
    strength: float
    adds: float


class BoostScoreView(View):
    """Rank and score with all boosts: the stage's score times ``factor``, which is 1 plus what the parts add."""

    rank: int
    score: float
    factor: float
    parts: list[BoostPartView]
