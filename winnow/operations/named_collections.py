"""Collections that are made for a title which need not be a name: the name is made out of it."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from winnow.core.errors import Conflict
from winnow.core.ids import new_id
from winnow.core.principal import Principal
from winnow.operations.collections import CollectionSpec, EnsuredCollection, create_collection
from winnow.operations.resources import Resources

_OTHER: Final = re.compile(r"[^A-Za-z0-9._-]+")
_MAX_CHARS: Final = 64
_MOST: Final = 1000  # collections of one title


def name_for(title: str, number: int = 1) -> str:
    """The name of the ``number``-th collection of a title; empty where nothing of the title can be in a name.

    Letters lose their accents, everything that names do not have becomes ``-``; from the second on ``-2`` is added.
    """
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    words = _OTHER.sub("-", plain).strip("-._")
    ending = f"-{number}" if number > 1 else ""
    return words[: _MAX_CHARS - len(ending)].rstrip("-._") + ending if words else ""


async def create_for_title(
    resources: Resources, principal: Principal, title: str, spec: CollectionSpec
) -> EnsuredCollection:
    """Create a collection whose name is made out of a title, or generated where that leaves nothing.

    Raises:
        Forbidden: the name is not among those of the principal, or the principal is bound to a tenant.
        InvalidCollection: a setting is not usable.
        Conflict: there are too many collections of this title.
    """
    for number in range(1, _MOST + 1):
        name = name_for(title, number) or new_id("vs").lower()
        try:
            return await create_collection(resources, principal, name, spec)
        except Conflict:
            continue
    raise Conflict(f"there are {_MOST} collections called {title[:80]!r} already")
