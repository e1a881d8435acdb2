"""What requests cost: how many statements they send to the database, and which columns these read."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest
from sqlalchemy import Engine, event

from tests.conftest import Service


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """Every statement that is sent to a database, without transactions' begin and end and the audit trail's rows.

    The trail is written by a task of its own, some time after the request.
    """
    sent: list[str] = []

    def before(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.startswith(("BEGIN", "PRAGMA", "INSERT INTO audit_events")):
            sent.append(statement)

    event.listen(Engine, "before_cursor_execute", before)
    yield sent
    event.remove(Engine, "before_cursor_execute", before)


async def test_all_collections_are_read_with_their_counts_in_one_statement(
    service: Service, client: httpx2.AsyncClient, statements: list[str]
) -> None:
    for name in ("a", "b", "c"):
        await service.fill(name, [{"id": "1", "text": "amber"}])
    statements.clear()
    answer = await client.get("/v1/collections")
    assert [each["counts"]["documents"] for each in answer.json()["collections"]] == [1, 1, 1]
    assert len(statements) == 1


async def test_one_collection_is_read_and_checked_in_one_statement(
    service: Service, client: httpx2.AsyncClient, statements: list[str]
) -> None:
    await service.fill("a", [{"id": "1", "text": "amber"}])
    await service.fill("b", [{"id": "1", "text": "amber"}])
    for answer in (client.get("/v1/collections/a"), client.put("/v1/collections/a", json={})):
        statements.clear()
        found = await answer
        assert (found.status_code, found.json()["counts"]["documents"]) == (200, 1)
        assert len(statements) == 1


async def test_a_deletion_by_filter_reads_no_texts(
    service: Service, client: httpx2.AsyncClient, statements: list[str]
) -> None:
    documents = [{"id": str(number), "text": "amber", "metadata": {"year": number}} for number in range(3)]
    await service.fill("a", documents, fields={"year": "integer"})
    statements.clear()
    body = {"filter": {"type": "gte", "key": "year", "value": 1}}
    answer = await client.post("/v1/collections/a/documents:delete", json=body)
    assert answer.json()["deleted"] == 2
    assert statements
    assert not [each for each in statements if "text" in each.lower()]
