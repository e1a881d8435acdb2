"""Rules that every store shares: checks of indexes, points and schemas, and which points a deletion removes."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import orjson

from winnow.core.acl import ACCESS_FIELDS
from winnow.core.errors import IdentityMismatch
from winnow.core.types import FieldType, FloatArray
from winnow.ports import IndexRef, IndexSchema, Point

COLLECTION: Final = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,128}\Z")


def check_index(index: IndexRef) -> None:
    """Raise ``ValueError`` unless the collection's name can be one of a directory and of a server's collection."""
    if not COLLECTION.match(index.collection):
        raise ValueError(f"invalid collection name {index.collection!r}: use letters, digits, '.', '_' and '-'")
    if index.generation < 1:
        raise ValueError(f"generation {index.generation} of {index.collection!r}: generations count from 1")


def check_points(points: Sequence[Point], schema: IndexSchema) -> None:
    """Raise ``ValueError`` that names the first point which does not fit ``schema``."""
    for point in points:
        try:
            _check(point, schema)
        except ValueError as error:
            raise ValueError(f"point {point.id} of document {point.document_id!r}: {error}") from error


def check_vector(vector: FloatArray, dimensions: int) -> None:
    """Raise ``ValueError`` unless ``vector`` is finite and of shape (dimensions,)."""
    if vector.shape != (dimensions,):
        raise ValueError(f"the dense vector has shape {vector.shape}, the index stores ({dimensions},)")
    if not np.isfinite(vector).all():
        raise ValueError("the dense vector has values that are not finite")


def check_tokens(tokens: npt.NDArray[np.floating], dimensions: int) -> None:
    """Raise ``ValueError`` unless ``tokens`` is finite and of shape (k, dimensions)."""
    if dimensions == 0:
        raise ValueError("it has token vectors, but the index stores none")
    if tokens.ndim != 2 or tokens.shape[1] != dimensions:
        raise ValueError(f"the token vectors have shape {tokens.shape}, the index stores (k, {dimensions})")
    if not np.isfinite(tokens).all():
        raise ValueError("the token vectors have values that are not finite")


def new_fields(index: IndexRef, stored: IndexSchema, wanted: IndexSchema) -> dict[str, FieldType]:
    """The fields that an index lacks.

    Raises:
        IdentityMismatch: sizes or a field's type differ from what is stored.
    """
    for name in ("dimensions", "token_dimensions"):
        if getattr(stored, name) != getattr(wanted, name):
            raise IdentityMismatch(
                f"the index of {index.collection!r} has {name} {getattr(stored, name)}, not {getattr(wanted, name)}; "
                "index its documents into a new one"
            )
    for key, kind in wanted.fields.items():
        if stored.fields.get(key, kind) != kind:
            raise IdentityMismatch(
                f"field {key!r} of {index.collection!r} is indexed as {stored.fields[key]}, not {kind}; "
                "declare it under another name"
            )
    return {key: kind for key, kind in wanted.fields.items() if key not in stored.fields}


def has_values(fields: Mapping[str, FieldType]) -> bool:
    """Tell whether stored points may have values of new fields: those of access come before any document has some."""
    return not fields.keys() <= ACCESS_FIELDS.keys()


def ids_by_revision(keep: Mapping[str, int | None]) -> dict[int | None, list[str]]:
    """The documents of ``VectorStore.delete_documents(keep)`` by the revision before which their points go."""
    grouped: dict[int | None, list[str]] = {}
    for document_id, revision in keep.items():
        grouped.setdefault(revision, []).append(document_id)
    return grouped


def is_stale(keep: Mapping[str, int | None], document_id: str, revision: int) -> bool:
    """Tell whether ``VectorStore.delete_documents(keep)`` removes a point of this revision of the document."""
    if document_id not in keep:
        return False
    kept = keep[document_id]
    return kept is None or revision < kept


def _check(point: Point, schema: IndexSchema) -> None:
    if str(uuid.UUID(point.id)) != point.id:
        raise ValueError("the id is not a UUID in its canonical form")
    if point.dense is not None:
        check_vector(point.dense, schema.dimensions)
        if not point.dense.any():
            raise ValueError("the dense vector is zero and has no direction; leave it out")
    if point.tokens is not None:
        check_tokens(point.tokens, schema.token_dimensions)
    chunk = point.chunk
    try:
        orjson.dumps((point.document_id, point.title, point.url, chunk.text, chunk.headings, chunk.anchor))
        orjson.dumps(point.metadata)
    except TypeError as error:
        raise ValueError(f"its text or metadata cannot be written as JSON in UTF-8: {error}") from error
