"""What Qwen3's model cards compute, with transformers and sentence-transformers in float32.

Both load when they are used: a test run without vLLM collects these tests too.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from winnow.core.types import FloatArray
from winnow.models.prompts import (
    RERANK_PREFIX,
    RERANK_SUFFIX,
    embedding_query,
    neutralise,
    rerank_document,
    rerank_head,
)


def rerank_prompt(instruct: str, query: str, document: str) -> str:
    """The prompt that the reranker was trained with."""
    instruct, query, document = map(neutralise, (instruct, query, document))
    return RERANK_PREFIX + rerank_head(instruct, query) + rerank_document(document) + RERANK_SUFFIX


def token_ids(folder: Path, texts: Sequence[str]) -> list[list[int]]:
    """The tokens of each text by the tokenizer in ``folder``."""
    ids: list[list[int]] = _tokenizer(folder)(list(texts))["input_ids"]
    return ids


def rerank_scores(folder: Path, instruct: str, query: str, documents: Sequence[str]) -> FloatArray:
    """Softmax over the logits of "no" and "yes" after each prompt."""
    import torch

    tokenizer, model = _tokenizer(folder), _language_model(folder)
    answers = [tokenizer.convert_tokens_to_ids(word) for word in ("no", "yes")]
    scores = []
    for document in documents:
        prompt = tokenizer(rerank_prompt(instruct, query, document), return_tensors="pt")
        with torch.inference_mode():
            logits = model(**prompt, logits_to_keep=1).logits[0, -1, answers]
        scores.append(torch.softmax(logits, dim=0)[1].item())
    return np.array(scores, dtype=np.float32)


def query_texts(instruct: str, queries: Sequence[str]) -> list[str]:
    """The texts that stand for queries in front of the embedder."""
    return [embedding_query(neutralise(instruct), neutralise(query)) for query in queries]


def embeddings(folder: Path, texts: Sequence[str], dimensions: int | None = None) -> FloatArray:
    """One row of length 1 a text, from the last token's state."""
    model = _sentence_model(folder)
    vectors: FloatArray = model.encode(list(texts), truncate_dim=dimensions, normalize_embeddings=True)
    return vectors


@cache
def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


@cache
def _language_model(folder: Path) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


@cache
def _sentence_model(folder: Path) -> Any:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": "float32"})
