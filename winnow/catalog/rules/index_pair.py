"""A collection's pair of indexes while its model changes: pure functions that the database and the fake share.

::

    (one index) ──begun──► building ──switched──► kept ◄──switched──► kept
         ▲                     └──────────cleared──────────┘
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from winnow.core.errors import Conflict
from winnow.core.types import Collection, IndexIdentity, OtherIndex

FAILURES_NAMED: Final = 100


def begun(collection: Collection, identity: IndexIdentity, now: datetime) -> Collection:
    """The collection with a second index of a number that it never used."""
    name = collection.name
    if collection.other is not None:
        raise Conflict(
            f"collection {name!r} has a second index already ({collection.other.state}); switch to it, or drop it with "
            f"`winnow reembed -c {name} --drop`"
        )
    number = collection.last_generation + 1
    return replace(collection, last_generation=number, other=OtherIndex(number, identity, "building", now))


def switched(collection: Collection, *, lacking: int) -> Collection:
    """The collection with its indexes exchanged; ``lacking`` documents would be lost, which must be none."""
    name, other = collection.name, collection.other
    if other is None:
        raise Conflict(f"collection {name!r} has one index only; begin with `winnow reembed -c {name}`")
    if lacking:
        raise Conflict(
            f"{lacking:,} documents of collection {name!r} are not in the other index yet; wait for them, or switch "
            f"without them: `winnow reembed -c {name} --switch --force`"
        )
    kept = OtherIndex(collection.generation, collection.identity, "kept", other.started_at)
    return replace(collection, generation=other.generation, identity=other.identity, other=kept)
