"""Points for the suites of vector stores: everything that is not said follows from their number."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

import numpy as np

from winnow.core.acl import ACCESS_FIELDS
from winnow.core.types import Chunk, FloatArray, HalfArray
from winnow.ports import Hit, IndexRef, IndexSchema, Point

DIMENSIONS = 8
INDEX = IndexRef("books")
SCHEMA = IndexSchema(DIMENSIONS, DIMENSIONS, {"lang": "keyword", "year": "integer"})
FIELDS_OF_ALL = {**SCHEMA.fields, **ACCESS_FIELDS}
WORDS = "amber birch cedar delta ember fjord grove heron island juniper kelp lagoon meadow nectar orchid".split()


def unit(seed: int, *shape: int) -> FloatArray:
    """Random vectors of length 1, the same for the same seed."""
    values = np.random.default_rng(seed).standard_normal(shape or (DIMENSIONS,))
    vectors: FloatArray = (values / np.linalg.norm(values, axis=-1, keepdims=True)).astype(np.float32)
    return vectors


def halves(seed: int, count: int = 3) -> HalfArray:
    """Token vectors of length 1, shape (count, DIMENSIONS)."""
    return unit(seed, count, DIMENSIONS).astype(np.float16)


def make_point(number: int, text: str = "amber birch", *, document: str | None = None, **changes: Any) -> Point:
    """Point ``number``; everything that is not said follows from the number."""
    chunk = Chunk(index=number % 5, start=number, end=number + len(text), text=text)
    key, document_id = str(uuid.UUID(int=number)), document or f"doc-{number}"
    return replace(Point(key, document_id, 1, chunk, dense=unit(number), tokens=halves(number)), **changes)


def numbers(hits: tuple[Hit, ...]) -> list[int]:
    """The numbers that the points of ``hits`` were made with."""
    return [uuid.UUID(hit.point.id).int for hit in hits]
