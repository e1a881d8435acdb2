"""A collection's pair of indexes while its model changes. Pure.

::

    (one index) ──begun──► building ──switched──► kept ◄──switched──► kept
         ▲                     └──────────cleared──────────┘
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from winnow.core.errors import Conflict
from winnow.core.types import Collection, IndexIdentity

FAILURES_NAMED: Final = 100


def begun(collection: Collection, identity: IndexIdentity, now: datetime) -> Collection:
    """The collection with a second index, of a number that it never used; ``Conflict`` where it has one already."""
    name, number = collection.name, collection.last_generation + 1
    if collection.beside is not None:
        raise Conflict(
            f"collection {name!r} has a second index already ({collection.beside.state}); switch to it, or drop it "
            f"with `winnow reembed -c {name} --drop`"
        )
    beside = replace(collection.serving, generation=number, identity=identity, state="building", started_at=now)
    return replace(collection, last_generation=number, beside=beside)


def switched(collection: Collection, *, lacking: int) -> Collection:
    """The collection with its indexes exchanged; ``Conflict`` where it has one only, or ``lacking`` is above 0."""
    name, serving, beside = collection.name, collection.serving, collection.beside
    if beside is None:
        raise Conflict(f"collection {name!r} has one index only; begin with `winnow reembed -c {name}`")
    if lacking:
        raise Conflict(
            f"{lacking:,} documents of collection {name!r} are not in the other index yet; wait for them, or switch "
            f"without them: `winnow reembed -c {name} --switch --force`"
        )
    return replace(
        collection,
        serving=replace(beside, state="serving", started_at=None),
        beside=replace(serving, state="kept", started_at=beside.started_at),
    )
