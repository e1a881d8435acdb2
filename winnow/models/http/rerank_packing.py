"""Fits queries and documents into a reranker's limits: cuts long texts, and splits documents over calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from winnow.models.qwen_tokens import QwenTokens

Kind = Literal["text", "image", "video"]

_WORTH_A_CALL: Final = 4  # documents for which another server is called
_MARGIN: Final = 75  # tokens that a provider may put around each document of a call
_MOST_INSTRUCT: Final = 0.25  # share of the tokens of an item that an instruct may take
_LEAST: Final = 0.5  # share of the room for query and document that a document may count on
_SHORTER: Final = 0.75  # of a text that was refused as too long is kept for the next try
_LONGEST_TOKEN: Final = 128  # characters of the longest token
MEDIA: Final[dict[Kind, int]] = {"image": 40, "video": 4}  # of a call of qwen3-vl-rerank


class Limits(NamedTuple):
    """Limits of a provider.

    Attributes:
        item_tokens: tokens of a query and a document together, or of each.
        documents: documents of a call.
        together: whether query, document, instruct and template share ``item_tokens``.
        template: tokens of the prompt around instruct, query and document, where they count.
        query_tokens: tokens of a query, where it has a limit of its own.
        request_tokens: tokens of a call, the query counted once for each document; ``None``: without such a limit.
    """

    item_tokens: int
    documents: int
    together: bool = True
    template: int = 0
    query_tokens: int | None = None
    request_tokens: int | None = None


class RerankQuestion(NamedTuple):
    """The query that documents are judged by. ``tokens`` is an upper bound of its tokens, ``instruct`` may be empty."""

    query: str
    instruct: str
    tokens: int


class RerankItem(NamedTuple):
    """Passage ``number`` as it is sent: its text, or the address of its image or video.

    ``tokens`` is an upper bound of the tokens of a text, 0 before it is fitted.
    """

    number: int
    text: str
    kind: Kind = "text"
    tokens: int = 0


def fit(
    query: str, instruct: str, items: Sequence[RerankItem], limits: Limits, tokens: QwenTokens
) -> tuple[RerankQuestion, list[RerankItem]]:
    """Instruct, query and documents cut at their ends to what ``limits`` allow. Takes a moment over long texts.

    A text has no more tokens than bytes: only where bytes are too coarse are tokens counted.
    """
    room = limits.item_tokens
    instruct, instructed = _cut(instruct, int(room * _MOST_INSTRUCT), tokens)
    instructed = min(instructed, tokens.count(instruct))
    if limits.together:
        room = max(2, room - limits.template - instructed)
    most = int(room * _LEAST) if limits.together else room
    query, size = _cut(query, min(most, limits.query_tokens or most), tokens)
    if limits.together or limits.request_tokens:
        size = min(size, tokens.count(query))
    own = room - size if limits.together else room
    fitted = [_fitted(item, own, tokens) for item in items]
    needed = sum(item.tokens + size + _MARGIN for item in fitted)
    if limits.request_tokens and needed > limits.request_tokens:
        fitted = [_counted(item, tokens) for item in fitted]
    return RerankQuestion(query, instruct, size), fitted


def even_calls(
    question: RerankQuestion, items: Sequence[RerankItem], limits: Limits, *, servers: int = 1
) -> list[list[RerankItem]]:
    """Calls that together hold all items in their order: as few as ``limits`` allow, with about as many tokens each.

    With several ``servers`` there is a call for each of them, unless it would hold next to nothing.
    """
    full = full_calls(question, items, limits)
    wanted = max(len(full), min(servers, len(items) // _WORTH_A_CALL))
    if wanted == 1:
        return full
    costs = [question.tokens + item.tokens + _MARGIN for item in items]
    even: list[list[RerankItem]] = [[] for _ in range(wanted)]
    done, total = 0.0, sum(costs)
    for item, cost in zip(items, costs, strict=True):
        even[int((done + cost / 2) / total * wanted)].append(item)
        done += cost
    parts = [part for part in even if part]
    fits = all(len(full_calls(question, part, limits)) == 1 for part in parts)
    return parts if fits else full


def full_calls(question: RerankQuestion, items: Sequence[RerankItem], limits: Limits) -> list[list[RerankItem]]:
    """Calls that together hold all items in their order, each as full as ``limits`` allow."""
    parts: list[list[RerankItem]] = []
    filled = 0
    for item in items:
        cost = question.tokens + item.tokens + _MARGIN
        if not parts or _is_full(parts[-1], item, filled + cost, limits):
            parts.append([])
            filled = 0
        parts[-1].append(item)
        filled += cost
    return parts


def shorten(
    question: RerankQuestion, items: Sequence[RerankItem], tokens: QwenTokens
) -> tuple[RerankQuestion, list[RerankItem]] | None:
    """The same call with the longest of its texts cut by a quarter; ``None`` where nothing is left to cut.

    Documents go first; the query is cut once it is longer than they are.
    """
    counted = [_counted(item, tokens) for item in items]
    query_tokens = tokens.count(question.query)
    longest = max([item.tokens for item in counted if item.kind == "text"], default=0)
    limit = int(max(longest, query_tokens) * _SHORTER)
    if limit < 1:
        return None
    query = question.query
    if query_tokens > longest:
        query, query_tokens = tokens.beginning(query, limit)
    shorter = [_fitted(item, limit, tokens) for item in counted]
    return RerankQuestion(query, question.instruct, query_tokens), shorter


def _is_full(part: Sequence[RerankItem], item: RerankItem, tokens: int, limits: Limits) -> bool:
    """Whether ``part``, which would then have ``tokens``, cannot take ``item`` too."""
    if len(part) >= limits.documents or (limits.request_tokens and tokens > limits.request_tokens):
        return True
    return item.kind in MEDIA and sum(other.kind == item.kind for other in part) >= MEDIA[item.kind]


def _counted(item: RerankItem, tokens: QwenTokens) -> RerankItem:
    return item._replace(tokens=tokens.count(item.text)) if item.kind == "text" else item


def _fitted(item: RerankItem, limit: int, tokens: QwenTokens) -> RerankItem:
    if item.kind != "text":
        return item
    text, size = _cut(item.text, limit, tokens)
    return RerankItem(item.number, text, item.kind, size)


def _cut(text: str, limit: int, tokens: QwenTokens) -> tuple[str, int]:
    """The text, or as much of its beginning as ``limit`` tokens hold, and an upper bound of its tokens."""
    size = len(text) if text.isascii() else len(text.encode())
    if size <= limit:
        return text, size
    return tokens.beginning(text[: limit * _LONGEST_TOKEN], limit)
