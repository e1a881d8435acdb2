"""What the routes of vector stores share: their router, their paths, pages of lists, and moments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final, Literal, TypeVar

from fastapi import Response
from pydantic import BaseModel, Field

from service.door import BODY_PROBLEMS, Door
from service.doors.bodies import foreign_json
from service.doors.routes import Handler, Method, route
from service.doors.shapes import OPENAI
from service.wire import json_response
from winnow.core import errors
from winnow.core.principal import Scope

MAX_LIMIT: Final = 100
POLL_HEADERS: Final = {"openai-poll-after-ms": "250"}
"""How soon the client asks again for what is in progress."""
_Item = TypeVar("_Item")

door = Door(
    tag="vector stores",
    invalid=errors.InvalidInput,
    problems=(
        *BODY_PROBLEMS,
        errors.InvalidInput,
        errors.CollectionNotFound,
        errors.FileNotFound,
        errors.Conflict,
        errors.Overloaded,
    ),
    shape=OPENAI,
    read_body=foreign_json,
)


def under_v1(method: Method, path: str, *scopes: Scope) -> Callable[[Handler], Handler]:
    """A route of the door under ``/v1``."""
    return route(door, method, f"/v1{path}", scopes=scopes)


class PageParameters(BaseModel):
    """The page of a list: items after, or before, the one of this id, in an order by time."""

    limit: int = Field(20, ge=1, le=MAX_LIMIT)
    order: Literal["asc", "desc"] = "desc"
    after: str = ""
    before: str = ""

    @property
    def descending(self) -> bool:
        """The direction in which items are looked for: towards ``before`` it is turned round."""
        return (self.order == "desc") != bool(self.before)

    @property
    def beyond(self) -> str:
        """The id that items are looked for beyond."""
        return self.before or self.after

    def cut(self, found: Sequence[_Item]) -> tuple[list[_Item], bool]:
        """The page in its order out of ``limit`` + 1 items that were looked for, and whether there are more.

        Raises:
            InvalidInput: both ``after`` and ``before`` are given.
        """
        if self.before and self.after:
            raise errors.InvalidInput("give after or before, not both", location=("before",))
        page = list(found[: self.limit])
        return page[::-1] if self.before else page, len(found) > self.limit


def listed(items: Sequence[dict[str, Any]], *, more: bool) -> Response:
    """A list as OpenAI's clients page through it. OGX' client reads an empty one only if its ends are strings."""
    ends = {"first_id": items[0]["id"] if items else "", "last_id": items[-1]["id"] if items else ""}
    return json_response({"object": "list", "data": list(items), **ends, "has_more": more})


def seconds_of(moment: datetime | None) -> int:
    """A moment in seconds since 1970; 0 where it is not known."""
    return int(moment.timestamp()) if moment is not None else 0
