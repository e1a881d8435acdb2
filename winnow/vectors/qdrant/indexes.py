"""The indexes on a Qdrant server: made, extended by fields, found again, and their schemas remembered."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

from qdrant_client import models

from winnow.core.errors import CollectionNotFound
from winnow.core.settings.vectors import QdrantVectors
from winnow.core.types import FieldType
from winnow.ports import IndexRef, IndexSchema
from winnow.vectors.payloads import FIELDS, SOURCE, decode_metadata, encode_fields
from winnow.vectors.points import new_fields
from winnow.vectors.qdrant.errors import AlreadyThere
from winnow.vectors.qdrant.schema import (
    StoredSchema,
    collection_for,
    indexes_in,
    name_of,
    note_of,
    payload_indexes,
    read_note,
)
from winnow.vectors.qdrant.server import Server

PAGE: Final = 1000  # points without vectors in one answer
UPDATES: Final = 256  # of one request


class Indexes:
    """The indexes of an installation, as one process knows them."""

    def __init__(self, server: Server, settings: QdrantVectors) -> None:
        self._server = server
        self._client = server.client
        self._settings = settings
        self._schemas: dict[IndexRef, IndexSchema] = {}

    def name(self, index: IndexRef) -> str:
        """The server's name of an index."""
        return name_of(index, self._settings.prefix)

    async def all(self) -> Sequence[IndexRef]:
        """Every index of the installation."""
        found = await self._server.call("listing indexes", None, self._client.get_collections)
        return indexes_in((each.name for each in found.collections), self._settings.prefix)

    async def schema(self, index: IndexRef) -> IndexSchema:
        """The schema as it was last read; another process may have added fields since."""
        known = self._schemas.get(index)
        return known if known is not None else await self.read(index)

    async def read(self, index: IndexRef) -> IndexSchema:
        """The schema as it is on the server now."""
        return (await self._read(index)).schema

    async def create(self, index: IndexRef, schema: IndexSchema) -> None:
        """Make an index or add fields to it. Whatever a crash or a rival left undone is done by the next call."""
        try:
            stored = await self._read(index)
        except CollectionNotFound:
            await self._make(index, schema)
            stored = await self._read(index)
        missing = new_fields(index, stored.schema, schema)
        await self._index_payload(index, {**stored.schema.fields, **missing}, wait=False)
        await self._add_fields(index, {**stored.incomplete, **missing})

    async def drop(self, index: IndexRef) -> None:
        """Remove an index; a missing index is not an error."""
        self._schemas.pop(index, None)
        await self._server.call("deleting an index", index, self._client.delete_collection, self.name(index))

    async def update(self, index: IndexRef, doing: str, operations: Sequence[models.UpdateOperation]) -> None:
        """Carry out changes in order, some hundreds a request."""
        for begin in range(0, len(operations), UPDATES):
            part = operations[begin : begin + UPDATES]
            await self._server.call(doing, index, self._client.batch_update_points, self.name(index), part, wait=True)

    async def pages(self, index: IndexRef, payload: list[str]) -> AsyncIterator[list[models.Record]]:
        """All points, without vectors and with these keys of their payloads."""
        name, offset = self.name(index), None
        while True:
            records, offset = await self._server.call(
                "listing points", index, self._client.scroll, name, limit=PAGE, offset=offset, with_payload=payload
            )
            yield records
            if offset is None:
                return

    async def _read(self, index: IndexRef) -> StoredSchema:
        info = await self._server.call("reading a schema", index, self._client.get_collection, self.name(index))
        stored = read_note(index, info.config.metadata)
        self._schemas[index] = stored.schema
        return stored

    async def _make(self, index: IndexRef, schema: IndexSchema) -> None:
        """Make an empty index. Payload indexes stand before the first point."""
        parts = collection_for(schema, self._settings)
        try:
            await self._server.call("making an index", index, self._client.create_collection, self.name(index), **parts)
        except AlreadyThere:
            return  # another process was faster, or an answer was lost
        await self._index_payload(index, schema.fields, wait=True)

    async def _index_payload(self, index: IndexRef, fields: Mapping[str, FieldType], *, wait: bool) -> None:
        """Index fields that are not. Filled indexes are not waited for: it may take longer than a call may last."""
        create, name = self._client.create_payload_index, self.name(index)
        for path, params in payload_indexes(fields, self._settings).items():
            await self._server.call("indexing a field", index, create, name, path, params, wait=wait)

    async def _add_fields(self, index: IndexRef, fields: Mapping[str, FieldType]) -> None:
        """Declare fields, then give the stored points their values; concurrent writers see the declaration."""
        if not fields:
            return
        await self._note(index, fields, complete=False)
        async for records in self.pages(index, [SOURCE]):
            await self.update(index, "adding a field", _values(records, fields))
        await self._note(index, fields, complete=True)
        await self._read(index)

    async def _note(self, index: IndexRef, fields: Mapping[str, FieldType], *, complete: bool) -> None:
        note = note_of(fields, complete=complete)
        await self._server.call(
            "adding a field", index, self._client.update_collection, self.name(index), metadata=note
        )


def _values(records: Sequence[models.Record], fields: Mapping[str, FieldType]) -> list[models.UpdateOperation]:
    """Changes that give points the values of new fields. By filter: missing points are not an error."""
    changes: list[models.UpdateOperation] = []
    for record in records:
        values: dict[str, Any] = encode_fields(decode_metadata(record.payload or {}), fields)
        if values:
            only = models.Filter(must=[models.HasIdCondition(has_id=[record.id])])
            change = models.SetPayload(payload=values, filter=only, key=FIELDS)
            changes.append(models.SetPayloadOperation(set_payload=change))
    return changes
