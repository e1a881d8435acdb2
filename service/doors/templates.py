"""Takes off the prompts that clients have written around their texts: the adapter of the model writes its own.

The templates are those of Qwen3-Reranker and Qwen3-Embedding (model cards; QwenLM/Qwen3-Embedding), which clients of a
bare model server have to fill in themselves::

    <|im_start|>system … <|im_start|>user
    <Instruct>: {instruct}
    <Query>: {query}
    <Document>: {document}<|im_end|> …

    Instruct: {instruct}
    Query:{query}
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_RERANK_QUERY: Final = re.compile(
    r"(?:<\|im_start\|>system\n.*?<\|im_start\|>user\n)?<Instruct>: (?P<instruct>.*?)\n+<Query>: (?P<query>.*)",
    re.DOTALL,
)
_RERANK_DOCUMENT: Final = re.compile(
    r"\n*<Document>: (?P<text>.*?)(?:<\|im_end\|>\n<\|im_start\|>assistant\n.*)?", re.DOTALL
)
_EMBEDDING_QUERY: Final = re.compile(r"Instruct: (?P<instruct>[^\n]*)\nQuery: ?(?P<query>.*)", re.DOTALL)


class Untemplated(NamedTuple):
    """A query, and the instruct that stood in its template; ``None`` if it had no template."""

    text: str
    instruct: str | None


def bare_rerank_query(query: str) -> Untemplated:
    """A query of a reranker without Qwen3's template."""
    return _query(_RERANK_QUERY, query)


def bare_rerank_document(document: str) -> str:
    """A document of a reranker without Qwen3's template."""
    found = _RERANK_DOCUMENT.fullmatch(document)
    return found["text"] if found else document


def bare_embedding_query(text: str) -> Untemplated:
    """A text for an embedder; with Qwen3's template it is a query."""
    return _query(_EMBEDDING_QUERY, text)


def _query(template: re.Pattern[str], text: str) -> Untemplated:
    found = template.fullmatch(text)
    return Untemplated(found["query"].removesuffix("\n"), found["instruct"]) if found else Untemplated(text, None)
