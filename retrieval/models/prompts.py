"""What Qwen3's models read: the query of an embedder, the prompt of a reranker, user text made harmless.

Source: the model cards and the repository QwenLM/Qwen3-Embedding (arXiv 2506.05176).
"""

from __future__ import annotations

import re
from typing import Final

RERANK_PREFIX: Final = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct "
    'provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n'
)
RERANK_SUFFIX: Final = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
_SPECIAL: Final = re.compile(r"<\|(?=\w+\|>)|<(?=/?(?:think|tool_call|tool_response)>)")


def embedding_query(instruct: str, query: str) -> str:
    """The text that is embedded for a query; without an instruct, the query alone."""
    return f"Instruct: {instruct}\nQuery:{query}" if instruct else query


def rerank_head(instruct: str, query: str) -> str:
    """The part of a reranker's body in front of the document."""
    return f"<Instruct>: {instruct}\n<Query>: {query}\n"


def rerank_document(document: str) -> str:
    """The part of a reranker's body that holds the document: what is cut where the whole is too long."""
    return f"<Document>: {document}"


def neutralise(text: str) -> str:
    """Break up what a tokenizer would read as a special token (``<|im_end|>``, ``<think>``) with one space."""
    return _SPECIAL.sub(lambda match: match.group() + " ", text)


def harmless(text: str) -> str:
    """``text`` as a tokenizer can take it: no special tokens, and lone halves of surrogate pairs as U+FFFD."""
    if not text.isascii():
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return neutralise(text)
