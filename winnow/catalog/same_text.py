"""Documents with the text of a new one: a file that was renamed or moved re-uses their vectors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from winnow.catalog.bulk import fetch_rows
from winnow.catalog.documents import SAME_DOCUMENT
from winnow.catalog.tables import CONTENTS, DOCUMENTS
from winnow.ports import ChunkKey


async def chunks_by_text(
    connection: AsyncConnection, uid: str, text_hashes: Sequence[str]
) -> dict[str, tuple[ChunkKey, ...]]:
    """The chunks of one indexed document, perhaps one that is being deleted, by the hash of its title and text."""
    if not text_hashes:
        return {}
    postgres = connection.dialect.name == "postgresql"
    wanted = sorted(set(text_hashes))
    given: Any = wanted if postgres else json.dumps(wanted)
    found = await connection.execute(_first_of_each(postgres), {"uid": uid, "hashes": given})
    owners = {row.id: row.text_hash for row in found if row.id is not None}
    rows = await fetch_rows(connection, (DOCUMENTS.c.id, DOCUMENTS.c.chunks), uid, list(owners)) if owners else ()
    return {owners[row.id]: row.chunks for row in rows}


@cache
def _first_of_each(postgres: bool) -> sa.Select[Any]:
    """For each hash one document, found in the index: however many share the text, one row of them is read."""
    if postgres:
        hashes = sa.func.unnest(sa.bindparam("hashes", type_=sa.ARRAY(sa.Text))).table_valued("value")
    else:
        hashes = sa.func.json_each(sa.bindparam("hashes", type_=sa.Text)).table_valued("value")
    given = hashes.render_derived(name="given") if postgres else hashes.alias("given")
    value = sa.cast(given.c.value, sa.Text)
    same = sa.select(DOCUMENTS.c.id).join_from(CONTENTS, DOCUMENTS, SAME_DOCUMENT)
    same = same.where(CONTENTS.c.collection_uid == sa.bindparam("uid"), CONTENTS.c.text_hash == value)
    same = same.where(DOCUMENTS.c.indexed_revision.is_not(None)).limit(1)
    return sa.select(value.label("text_hash"), same.correlate(given).scalar_subquery().label("id")).select_from(given)
