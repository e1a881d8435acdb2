"""Prompts of Qwen3's models: the query of an embedder, the prompt of a reranker, user text without special tokens.

Source: the model cards and the repository QwenLM/Qwen3-Embedding (arXiv 2506.05176).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

from winnow.core.settings.embedding import QWEN3_INSTRUCT
from winnow.core.text import encodable

RERANK_PREFIX: Final = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct "
    'provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n'
)
RERANK_SUFFIX: Final = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
_EMBEDDER: Final = "qwen3-embedding-"  # how the last part of an id begins, letters' case aside
_SPECIAL: Final = re.compile(r"<\|(?=\w+\|>)|<(?=/?(?:think|tool_call|tool_response)>)")


def embedding_query(instruct: str, query: str) -> str:
    """The text that is embedded for a query; without an instruct, the query alone."""
    return f"Instruct: {instruct}\nQuery:{query}" if instruct else query


def usual_instruct(model: str) -> str:
    """The instruct that ``model`` was trained with: Qwen's for a Qwen3-Embedding, else none.

    Args:
        model: an id or a bare name that begins with ``Qwen3-Embedding-``, or a local folder whose ``config.json`` has
            the model type ``qwen3``.
    """
    if model.rstrip("/").rsplit("/", 1)[-1].casefold().startswith(_EMBEDDER):
        return QWEN3_INSTRUCT
    try:
        config = json.loads((Path(model).expanduser() / "config.json").read_bytes())
    except (OSError, ValueError, RuntimeError):  # an id, another folder, or a home that cannot be expanded
        return ""
    return QWEN3_INSTRUCT if isinstance(config, dict) and config.get("model_type") == "qwen3" else ""


def chosen_instruct(configured: str | None, model: str) -> str:
    """What is configured, be it empty; the model's usual one where nothing is."""
    return usual_instruct(model) if configured is None else configured


def rerank_head(instruct: str, query: str) -> str:
    """The part of a reranker's body in front of the document."""
    return f"<Instruct>: {instruct}\n<Query>: {query}\n"


def rerank_document(document: str) -> str:
    """The part of a reranker's body that holds the document; it is cut where the whole is too long."""
    return f"<Document>: {document}"


def rerank_prompt(instruct: str, query: str, document: str) -> str:
    """The whole prompt of a reranker."""
    return RERANK_PREFIX + rerank_head(instruct, query) + rerank_document(document) + RERANK_SUFFIX


def neutralise(text: str) -> str:
    """Break up what a tokenizer would read as a special token (``<|im_end|>``, ``<think>``) with one space."""
    return _SPECIAL.sub(lambda match: match.group() + " ", text) if "<" in text else text


def harmless(text: str) -> str:
    """``text`` as a tokenizer can take it: encodable, and without special tokens."""
    return neutralise(encodable(text))
