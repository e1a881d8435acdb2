"""The indexes on a Qdrant server: made, extended by fields, found again, and their schemas remembered."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from qdrant_client import AsyncQdrantClient, models

from winnow.core.errors import IndexLost
from winnow.core.settings.vectors import QdrantVectors
from winnow.core.types import FieldType
from winnow.ports import IndexRef, IndexSchema
from winnow.vectors.payloads import FIELDS, SOURCE, decode_metadata, encode_fields
from winnow.vectors.points import has_values, new_fields
from winnow.vectors.qdrant.errors import AlreadyThere
from winnow.vectors.qdrant.grpc_calls import GrpcPointCalls
from winnow.vectors.qdrant.http_calls import HttpPointCalls
from winnow.vectors.qdrant.point_calls import PointCalls
from winnow.vectors.qdrant.schema import StoredSchema, collection_for, indexes_in, note_of, payload_indexes, read_note
from winnow.vectors.qdrant.server import Server

PAGE: Final = 1000  # points without vectors in one answer
UPDATES: Final = 256  # of one request


class ServerIndexes:
    """The part of the store that manages the indexes of an installation, as one process knows them.

    ``client`` must speak as ``settings`` say and belongs to the store.
    """

    def __init__(self, client: AsyncQdrantClient, settings: QdrantVectors) -> None:
        self._client = client
        self._settings = settings
        self._server = Server(client, settings)
        self._calls: PointCalls = (
            GrpcPointCalls(client, settings) if settings.prefer_grpc else HttpPointCalls(client, settings)
        )
        self._schemas: dict[IndexRef, IndexSchema] = {}

    async def indexes(self) -> Sequence[IndexRef]:
        return indexes_in(await self._server.collections(), self._settings.prefix)

    async def lost(self, indexes: Sequence[IndexRef]) -> Mapping[IndexRef, str]:
        """See the port. What a server has it can open, or it says so itself."""
        found = set(await self.indexes()) if indexes else set()
        for index in set(indexes) - found:
            self._schemas.pop(index, None)
        return {index: "the server has no such collection" for index in indexes if index not in found}

    async def set_aside(self, index: IndexRef) -> str | None:
        """See the port. A lost one is gone."""
        self._schemas.pop(index, None)
        return None

    async def create(self, index: IndexRef, schema: IndexSchema) -> None:
        """See the port. The next call finishes whatever a crash or another process left undone."""
        try:
            stored = await self._read(index)
        except IndexLost:
            await self._make(index, schema)
            stored = await self._read(index)
        missing = new_fields(index, stored.schema, schema)
        await self._index_payload(index, {**stored.schema.fields, **missing}, wait=False)
        await self._add_fields(index, {**stored.incomplete, **missing})

    async def drop(self, index: IndexRef) -> None:
        self._schemas.pop(index, None)
        await self._server.call("deleting an index", index, self._client.delete_collection)

    async def check(self) -> None:
        await self._server.check()

    async def close(self) -> None:
        await self._server.close()

    async def _schema(self, index: IndexRef) -> IndexSchema:
        """The schema as it was last read; another process may have added fields since."""
        return self._schemas.get(index) or (await self._read(index)).schema

    async def _update(self, index: IndexRef, doing: str, operations: Sequence[models.UpdateOperation]) -> None:
        """Carry out changes in order, some hundreds a request."""
        for begin in range(0, len(operations), UPDATES):
            part = operations[begin : begin + UPDATES]
            work = partial(self._client.batch_update_points, update_operations=part, wait=True)
            await self._server.call(doing, index, work)

    async def _pages(
        self, index: IndexRef, fields: Sequence[str]
    ) -> AsyncIterator[Sequence[tuple[str, Mapping[str, Any]]]]:
        """The ids of all points, with these keys of their payloads."""
        offset = None
        while True:
            page = partial(self._calls.page, fields=fields, limit=PAGE, offset=offset)
            records, offset = await self._server.call("listing points", index, page)
            yield records
            if offset is None:
                return

    async def _read(self, index: IndexRef) -> StoredSchema:
        """The schema as it is on the server now."""
        stored = read_note(index, await self._server.call("reading a schema", index, self._calls.metadata))
        self._schemas[index] = stored.schema
        return stored

    async def _make(self, index: IndexRef, schema: IndexSchema) -> None:
        """Make an empty index. Payload indexes exist before the first point."""
        parts = collection_for(schema, self._settings)
        try:
            await self._server.call("making an index", index, partial(self._client.create_collection, **parts))
        except AlreadyThere:
            return  # another process was faster, or an answer was lost
        await self._index_payload(index, schema.fields, wait=True)

    async def _index_payload(self, index: IndexRef, fields: Mapping[str, FieldType], *, wait: bool) -> None:
        """Index fields that are not. Filled indexes are not waited for: it may take longer than a call may last."""
        create = partial(self._client.create_payload_index, wait=wait)
        for path, params in payload_indexes(fields, self._settings).items():
            work = partial(create, field_name=path, field_schema=params)
            await self._server.call("indexing a field", index, work)

    async def _add_fields(self, index: IndexRef, fields: Mapping[str, FieldType]) -> None:
        """Declare fields, then give the stored points their values; concurrent writers see the declaration."""
        if not fields:
            return
        if has_values(fields):
            await self._note(index, fields, complete=False)
            async for records in self._pages(index, [SOURCE]):
                await self._update(index, "adding a field", _values(records, fields))
        await self._note(index, fields, complete=True)
        await self._read(index)

    async def _note(self, index: IndexRef, fields: Mapping[str, FieldType], *, complete: bool) -> None:
        note = note_of(fields, complete=complete)
        await self._server.call("adding a field", index, partial(self._client.update_collection, metadata=note))


def _values(
    records: Sequence[tuple[str, Mapping[str, Any]]], fields: Mapping[str, FieldType]
) -> list[models.UpdateOperation]:
    """Changes that give points the values of new fields. By filter: missing points are not an error."""
    changes: list[models.UpdateOperation] = []
    for point_id, payload in records:
        values: dict[str, Any] = encode_fields(decode_metadata(payload), fields)
        if values:
            only = models.Filter(must=[models.HasIdCondition(has_id=[point_id])])
            change = models.SetPayload(payload=values, filter=only, key=FIELDS)
            changes.append(models.SetPayloadOperation(set_payload=change))
    return changes
