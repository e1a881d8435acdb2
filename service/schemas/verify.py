"""Integrity checks on the wire."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field
from pydantic.config import JsonDict

from service.schemas.common import Body, View, with_examples
from winnow.operations.verify import DamageKind

_EXAMPLE: Final[JsonDict] = {
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


class VerifyBody(Body):
    """How damage is handled."""

    repair: bool = Field(False, description="index damaged documents again and remove orphaned points")


class ProgressView(View):
    """``event: progress``: points listed, then documents compared."""

    doing: Literal["listing", "comparing"]
    done: int
    total: int


class DamageView(View):
    """``event: damage``: the damage to one document."""

    kind: DamageKind
    document_id: str
    points: int = Field(description="number of points concerned")
    generation: int = Field(description="number of the index concerned")


class ReportView(View):
    """``event: done``: the result for the collection."""

    model_config = with_examples(_EXAMPLE)

    collection: str
    generations: list[int] = Field(description="numbers of its indexes; two during a re-embedding")
    sound: bool
    documents: int
    points: int
    waiting: int = Field(description="documents that wait to be indexed or deleted; these were not compared")
    damaged: int = Field(description="damaged documents, counted once for each index")
    found: dict[DamageKind, int] = Field(description="damaged documents by kind of damage")
    mended: int = Field(description="documents that were queued for repair")
    jobs: list[str] = Field(description="jobs that repair them")
