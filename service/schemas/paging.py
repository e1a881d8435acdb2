"""Pages of a search on the wire."""

from __future__ import annotations

from pydantic import BaseModel, Field

from winnow.core.paging import MAX_CURSOR_CHARS


class PagingOptions(BaseModel):
    """The cursor of a search, in the body and in the query string."""

    cursor: str | None = Field(
        None,
        max_length=MAX_CURSOR_CHARS,
        description="next of the page before, for the same request; top_n may differ",
    )
