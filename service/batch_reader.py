"""Reading a batch of documents out of a request's body, one by one: a bad one costs only itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from service.errors import INVALID_JSON
from service.wire import loads
from winnow.core.documents import parse_document
from winnow.core.errors import InvalidDocument
from winnow.core.types import Document, FieldType
from winnow.ports import Rejection


@dataclass(slots=True)
class Batch:
    """Documents that can be submitted, and those that cannot.

    Attributes:
        positions: for each of ``documents`` its index in the request.
    """

    documents: list[Document] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)

    def all_rejections(self, by_catalog: Sequence[Rejection]) -> list[Rejection]:
        """Our rejections and the catalog's, whose indexes count ``documents``, in the order of the request."""
        theirs = [replace(item, index=self.positions[item.index]) for item in by_catalog]
        return sorted((*self.rejected, *theirs), key=lambda item: item.index)


def read_batch(body: bytes, *, ndjson: bool, fields: Mapping[str, FieldType], max_chars: int) -> Batch:
    """Read every document of ``body``. Pure and synchronous: large bodies belong in a thread.

    Raises:
        Problem: the body as a whole is not JSON.
        InvalidDocument: it is not ``{"documents": [...]}``, or holds no document.
    """
    batch = Batch()
    for index, raw in _lines(body) if ndjson else _members(body):
        if isinstance(raw, Rejection):
            batch.rejected.append(raw)
            continue
        try:
            document = parse_document(raw, fields=fields, max_chars=max_chars)
        except InvalidDocument as error:
            batch.rejected.append(Rejection(index, _id_of(raw), error.code, error.message))
        else:
            batch.documents.append(document)
            batch.positions.append(index)
    if not batch.documents and not batch.rejected:
        raise InvalidDocument("the batch holds no documents", location=("documents",))
    return batch


def _lines(body: bytes) -> Iterator[tuple[int, Any]]:
    """NDJSON: a line that is not JSON is a rejection; blank lines count but say nothing."""
    for index, line in enumerate(body.split(b"\n")):
        if not line.strip():
            continue
        try:
            yield index, orjson.loads(line)
        except orjson.JSONDecodeError as error:
            yield index, Rejection(index, None, INVALID_JSON.code, f"line {index} is not JSON: {error}")


def _members(body: bytes) -> Iterable[tuple[int, Any]]:
    envelope = loads(body)
    if not isinstance(envelope, dict) or not isinstance(envelope.get("documents"), list):
        raise InvalidDocument('the body is {"documents": [...]}', location=("documents",))
    unknown = [key for key in envelope if key != "documents"]
    if unknown:
        raise InvalidDocument(f"unknown field {unknown[0][:80]!r}", location=(unknown[0],))
    return enumerate(envelope["documents"])


def _id_of(raw: Any) -> str | None:
    """The id of a document that was refused, if it has one worth repeating."""
    value = raw.get("id") if isinstance(raw, dict) else None
    return value[:512] if isinstance(value, str) else None
