"""Integrity checks on the wire."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from service.schemas.common import Body
from winnow.operations.verify import Damage, DamageKind, Progress, Report


class VerifyBody(Body):
    """What is to be done about damage."""

    repair: bool = Field(False, description="have damaged documents indexed again and strange points removed")


class ProgressView(BaseModel):
    """``event: progress``: points listed, then documents compared."""

    doing: Literal["listing", "comparing"]
    done: int
    total: int

    @classmethod
    def of(cls, progress: Progress) -> Self:
        """The wire form."""
        return cls.model_validate(progress, from_attributes=True)


class DamageView(BaseModel):
    """``event: damage``: what is wrong with one document."""

    kind: DamageKind
    document_id: str
    points: int = Field(description="how many points it is about")
    generation: int = Field(description="number of the index that it is about")

    @classmethod
    def of(cls, damage: Damage) -> Self:
        """The wire form."""
        return cls.model_validate(damage, from_attributes=True)


class ReportView(BaseModel):
    """``event: done``: what was found in the collection."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "collection": "docs",
                    "generations": [1],
                    "sound": False,
                    "documents": 3120,
                    "points": 5203,
                    "waiting": 0,
                    "damaged": 1,
                    "found": {"missing": 1},
                    "mended": 1,
                    "jobs": ["job_01JY4W6V0T8Q3N5R7XKZB2C4DF"],
                }
            ]
        }
    )

    collection: str
    generations: list[int] = Field(description="numbers of its indexes; two while it is embedded anew")
    sound: bool
    documents: int
    points: int
    waiting: int = Field(description="documents with work before them: no damage, and looked at another time")
    damaged: int = Field(description="documents that something is wrong with, for each index")
    found: dict[DamageKind, int] = Field(description="damaged documents by kind of damage")
    mended: int = Field(description="documents that were queued for it")
    jobs: list[str] = Field(description="jobs that mend them")

    @classmethod
    def of(cls, report: Report) -> Self:
        """The wire form."""
        return cls.model_validate(report, from_attributes=True)
