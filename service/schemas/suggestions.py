"""Suggestions on the wire."""

from __future__ import annotations

from pydantic import Field

from service.schemas.common import Parameters, View
from winnow.operations.suggestions import MAX_CHARS, MOST, SuggestionKind


class SuggestParameters(Parameters):
    """What was typed so far."""

    q: str = Field(max_length=MAX_CHARS, examples=["asyn"])
    limit: int = Field(8, ge=1, le=MOST)
    tenant: str | None = Field(None, description="as in searches")
    language: str | None = Field(None, max_length=35, description="as in searches")


class SuggestionView(View):
    """A text to search for."""

    text: str
    kind: SuggestionKind = Field(description="query: of several other visitors, where analytics are enabled")


class SuggestionsView(View):
    """Suggestions, best first."""

    suggestions: list[SuggestionView]
    ready: bool = Field(description="false: the names of the collection are still being read, ask again")
