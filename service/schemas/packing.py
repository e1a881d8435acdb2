"""Texts for chains on the wire: the parameters that a search takes for them, and what the answer says of them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from service.schemas.common import View
from winnow.core.packing import MAX_EXPAND, MAX_PACK_TOKENS, Excerpt, Packing, PackTotals
from winnow.core.search import Result
from winnow.core.tenancy import plain_id


class PackingOptions(BaseModel):
    """Parameters of a search that feeds a language model."""

    expand: int = Field(
        0, ge=0, le=MAX_EXPAND, description="neighbouring chunks on each side whose text is returned with a result"
    )
    max_tokens: int | None = Field(
        None,
        ge=1,
        le=MAX_PACK_TOKENS,
        description="the most tokens of all texts together, filled by score in whole sentences; without top_n and "
        "expand as many results as fit",
    )
    tokenizer: str | None = Field(
        None, max_length=128, description="counts the tokens; by default that of the collection's embedding model"
    )
    fold_duplicates: bool | None = Field(
        None,
        description="fold results of other documents with almost the same text into the best of them; by default with "
        "expand or max_tokens",
    )

    def to_packing(self) -> Packing | None:
        """The domain's form; ``None`` where nothing of it is asked for."""
        chains = self.expand > 0 or self.max_tokens is not None
        fold = chains if self.fold_duplicates is None else self.fold_duplicates
        if not (chains or fold or self.tokenizer is not None):
            return None
        return Packing(self.expand, self.max_tokens, self.tokenizer, fold)


class ExpandedView(View):
    """What is returned as ``text``: offsets into the document's canonical text, ``end`` exclusive."""

    start: int
    end: int
    prefix: str = Field(description="start of the text that is repeated from before the span, as in chunk")
    merged: list[int] = Field(
        description="numbers of chunks that were results of their own and are part of this text (group_by: chunk)"
    )


class DuplicateView(View):
    """A document that was folded into a result."""

    document_id: str
    url: str
    collection: str | None = Field(None, description="only of a search over several collections")


def render_excerpt(result: Result, excerpt: Excerpt | None, *, several: bool = False) -> dict[str, Any]:
    """The members of a result that a search has with these parameters, and no other."""
    members: dict[str, Any] = {}
    if excerpt is not None:
        members["expanded"] = {
            "start": excerpt.start,
            "end": excerpt.end,
            "prefix": excerpt.prefix,
            "merged": list(excerpt.merged),
        }
        if excerpt.tokens is not None:
            members["tokens"] = excerpt.tokens
    if result.duplicates is not None:
        members["duplicates"] = [
            {"document_id": plain_id(each.document_id), "url": each.url}
            | ({"collection": each.collection} if several else {})
            for each in result.duplicates
        ]
    return members


def render_totals(totals: PackTotals | None) -> dict[str, Any]:
    """The members of an answer with counted tokens."""
    return {} if totals is None else totals._asdict()
