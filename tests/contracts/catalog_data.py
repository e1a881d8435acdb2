"""What the catalog's contract works with: a clock, collections, documents, outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from winnow.core.types import Chunking, Collection, Document, Index, IndexIdentity
from winnow.ports import Catalog, ChunkKey, Claim, Outcome

LEASE = 60.0


class FakeClock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = datetime(2024, 5, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class SlowClock(FakeClock):
    """A clock that moves each time that it is read, so that every walk along the queue seems costly."""

    def __call__(self) -> datetime:
        self.advance(0.05)
        return self.now


def make_collection(name: str = "docs", uid: str | None = None) -> Collection:
    """A collection with something in every field."""
    identity = IndexIdentity("fake", "words", "1", 64, "", "word-1", "structure-1", 16)
    return Collection(
        Index(name, uid or f"uid-{name}", 1, identity, "find it"),
        chunking=Chunking(200, 20),
        fields={"lang": "keyword", "year": "integer"},
        metadata={"owner": "Zoë", "nested": {"a": [1, 2.5, None]}},
    )


def doc(document_id: str, text: str = "some text", **fields: object) -> Document:
    """A document of few words."""
    return replace(Document(document_id, text), **fields)


def chunk_keys(claim: Claim, number: int = 2) -> tuple[ChunkKey, ...]:
    """Chunks as a worker would report them."""
    return tuple(ChunkKey(f"hash-{i}", f"{claim.document.id}/{claim.revision}/{i}") for i in range(number))


def success(claim: Claim, number: int = 2) -> Outcome:
    """The outcome of work that went well."""
    if claim.kind == "delete":
        return Outcome(claim)
    return Outcome(claim, chunks=chunk_keys(claim, number), embedded=number)


async def work(catalog: Catalog, owner: str = "worker") -> list[Claim]:
    """Claim and commit everything that is due."""
    done: list[Claim] = []
    while claims := await catalog.queue.claim(owner, limit=100, lease_seconds=LEASE):
        assert all(await catalog.queue.commit([success(claim) for claim in claims]))
        done.extend(claims)
    return done


def ids(claims: Sequence[Claim]) -> list[str]:
    return [claim.document.id for claim in claims]
