"""Checks of a vLLM server that reranks with Qwen3-Reranker.

The scores depend on the prompt, which the server writes from a template that it does not show. vLLM also scores raw
prompts, at ``/classify``. So the right prompt and those of each known mistake are scored there; the one whose scores
are nearest to the reranker's is the prompt that the server uses.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import numpy as np

from winnow.core.errors import UpstreamRejected
from winnow.core.settings.embedding import QWEN3_INSTRUCT
from winnow.core.settings.rerank import VllmRerank
from winnow.core.types import FloatArray
from winnow.models.checks.vllm_server import check_served
from winnow.models.http.client import ModelClient
from winnow.models.prompts import RERANK_PREFIX, RERANK_SUFFIX, rerank_document, rerank_head, rerank_prompt
from winnow.ports import EmbeddedQuery, Finding, Reranker, Reranking
from winnow.ports.checks import QUESTIONS, passages_of

INSTRUCT: Final = "Judge whether the passage answers the question"  # not the default one, to see that it is heard
TEMPLATE_TOKENS: Final = 48  # around instruct, query and document: 39 before, 9 behind
# Between logits of "yes" over "no". Each of the two, below 32, is rounded to bfloat16 by 1/16 at most, here and at
# /classify: 0.25 in all. A prompt that is not known moves trained weights by more.
TOLERANCE: Final = 0.3
_LOGIT_BOUND: Final = 1e-6  # a probability nearer to 0 or 1 has no logit worth comparing
_OURS: Final = "deploy/vllm/qwen3_reranker.jinja"


_CASES: Final = tuple((each.query, text) for each in QUESTIONS for text in (each.right, each.wrong))


async def check_vllm_reranker(
    client: ModelClient, settings: VllmRerank, reranker: Reranker, count: Callable[[str], int]
) -> list[Finding]:
    """Whether the server has the configured model, is a reranker, reads as much as configured, and prompts rightly.

    ``count`` gives the tokens of a text in Qwen3's vocabulary. Works with weights that were never trained.
    """
    no_embedder = await _no_embedder(client)
    if no_embedder.status == "failed":
        return [no_embedder]
    served, root = await check_served(client, settings)
    findings = [no_embedder, *served]
    if served[0].status == "failed":
        return findings
    if not any("qwen3-reranker" in name.casefold() for name in (settings.model, root)):
        return [*findings, Finding("prompt", "skipped", f"not known for {root or settings.model}")]
    heard = await _ask(reranker)
    return [*findings, await _prompt(client, settings, heard), _token_count(settings, heard, count)]


async def _no_embedder(client: ModelClient) -> Finding:
    """An embedder answers rerank calls too, with cosines; a reranker has no path for embeddings.

    A gateway before several servers has one too, but refuses a call that names no model.
    """
    status, _ = await client.get("/v1/embeddings")
    if status == 405:
        seen = "the server is an embedder: it reranks by cosine"
        fix = "set WINNOW_RERANK__URL to the server that has the reranker (deploy/vllm/reranker.yaml)"
        with suppress(UpstreamRejected):
            await client.post("/v1/embeddings", {"input": "ready"}, at_root=True)
            return Finding("a reranker", "failed", seen, fix)
    return Finding("a reranker", "ok", "the server makes no embeddings")


async def _ask(reranker: Reranker) -> Reranking:
    answers = await asyncio.gather(
        *(reranker.rerank(EmbeddedQuery(query), passages_of([text]), instruct=INSTRUCT) for query, text in _CASES)
    )
    return Reranking(np.concatenate([each.scores for each in answers]), sum(each.tokens for each in answers))


async def _prompt(client: ModelClient, settings: VllmRerank, heard: Reranking) -> Finding:
    """Which prompt gives the scores that the reranker gave."""
    known = [_known_prompts(settings.template, query, passage) for query, passage in _CASES]
    names = list(known[0])
    texts = [prompts[name] for name in names for prompts in known]
    try:
        answer = await client.post("/classify", {"model": settings.model, "input": texts}, at_root=True)
    except UpstreamRejected:
        return Finding("prompt", "skipped", "the server scores no raw prompts at /classify")
    scores = _probabilities(answer, len(texts))
    if scores is None:
        return Finding("prompt", "skipped", "the server's answer at /classify has no probability for each prompt")
    apart = np.abs(_logits(scores).reshape(len(names), -1) - _logits(heard.scores)).mean(axis=1)
    nearest = int(np.argmin(apart))
    if apart[nearest] > TOLERANCE:
        seen = f"the prompt is not a known one: scores are {apart[0]:.2f} off those of the right prompt"
        return Finding("prompt", "failed", seen, _use_ours(settings))
    if nearest:
        return Finding("prompt", "failed", names[nearest], _use_ours(settings))
    return Finding("prompt", "ok", f"scores are those of the reference prompt (logits {apart[0]:.4f} apart)")


def _token_count(settings: VllmRerank, heard: Reranking, count: Callable[[str], int]) -> Finding:
    """What the server counted, against what the reference prompt has: tells without ``/classify``, but less."""
    if not heard.tokens:
        return Finding("prompt length", "skipped", "the server does not say how many tokens it read")
    wanted = sum(
        TEMPLATE_TOKENS + count(rerank_head(INSTRUCT, query) + rerank_document(text)) for query, text in _CASES
    )
    if heard.tokens == wanted:
        return Finding("prompt length", "ok", f"{wanted} tokens in {len(_CASES)} prompts, as the reference prompt has")
    seen = f"{heard.tokens} tokens were read in {len(_CASES)} prompts where the reference prompt has {wanted}"
    return Finding("prompt length", "failed", seen, _use_ours(settings))


def _known_prompts(template: str, query: str, passage: str) -> dict[str, str]:
    """The right prompt first, then those of the mistakes that one can make with this setting, as findings name them."""
    right = rerank_prompt(INSTRUCT, query, passage)
    if template == "client":  # a server with a template wraps the two halves of the prompt that Winnow sends it
        halves = RERANK_PREFIX + rerank_head(INSTRUCT, query), rerank_document(passage) + RERANK_SUFFIX
        twice = rerank_prompt(QWEN3_INSTRUCT, *halves)
        return {"the reference prompt": right, "the prompt is written twice, by Winnow and by the server": twice}
    return {
        "the reference prompt": right,
        "the server has no chat template: it joins query and passage raw": query + passage,
        "the prompt's last newline is missing, as in vLLM's own qwen3_reranker.jinja": right.removesuffix("\n"),
        "the chat template leaves the instruct out": rerank_prompt(QWEN3_INSTRUCT, query, passage),
        "the chat template ends without the empty thought": right.removesuffix("<think>\n\n</think>\n\n"),
    }


def _use_ours(settings: VllmRerank) -> str:
    if settings.template == "client":
        return "set WINNOW_RERANK__TEMPLATE=server, or start vLLM without --chat-template"
    return f"start vLLM with --chat-template {_OURS}, or without any and set WINNOW_RERANK__TEMPLATE=client"


def _probabilities(answer: Any, count: int) -> FloatArray | None:
    """The one probability of each prompt, in order: ``{"data": [{"index", "probs": [p]}]}``."""
    data = answer.get("data") if isinstance(answer, dict) else None
    try:
        rows = sorted((row["index"], row["probs"][0]) for row in data or ())
        scores = np.array([score for _, score in rows], dtype=np.float32)
    except (KeyError, IndexError, TypeError, ValueError):
        return None
    return scores if scores.shape == (count,) and all(map(math.isfinite, scores)) else None


def _logits(scores: FloatArray) -> FloatArray:
    bounded = np.clip(scores.astype(np.float64), _LOGIT_BOUND, 1 - _LOGIT_BOUND)
    logits: FloatArray = np.log(bounded / (1 - bounded))
    return logits
