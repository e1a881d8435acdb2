"""The rules of the ledger that the contract cannot see from outside."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from winnow.catalog.rules.fairness import FairOrder, Queue
from winnow.core.documents import hash_content
from winnow.core.types import Document

CONVERTED = "84a1ec7e63e506bfafed5a02668ada29862ca51ca340d552f55b0da0dc4f3cdf"
HASH = "5717837dab82b8510954ab938ba16d44d3b443bff7e59a156b06d6f402b522cf"
NOW = datetime(2024, 1, 1, tzinfo=UTC)


def test_the_content_hash_never_changes_between_versions() -> None:
    # a stored hash that no longer matches would embed every document of every user again
    document = Document("a", "text", "markdown", "Title", "https://example.org", {"b": [1, 2.5, None], "a": "ü"}, 3)
    assert hash_content(replace(document, canonical=False)) == HASH  # as version 0.1.0 stored it
    assert hash_content(document) == CONVERTED


def test_id_and_version_are_no_content() -> None:
    assert hash_content(Document("a", "text", version=1)) == hash_content(Document("b", "text", version=2))


def test_fields_do_not_run_into_each_other() -> None:
    assert hash_content(Document("a", "text", title="x", url="")) != hash_content(Document("a", "text", url="x"))


def test_queues_take_turns() -> None:
    turns = FairOrder()
    queues = [Queue(uid, uid, 0, NOW, "d") for uid in ("a", "b", "c")]
    served = []
    for _ in range(6):
        uid = turns.order(queues)[0].uid
        turns.served(uid)
        served.append(uid)
    assert served == ["a", "b", "c", "a", "b", "c"]


def test_a_new_queue_waits_for_nobody() -> None:
    turns = FairOrder()
    turns.served("old")
    assert turns.order([Queue(uid, uid, 0, NOW, "d") for uid in ("old", "new")])[0].uid == "new"
