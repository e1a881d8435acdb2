"""Whether a model is deployed as it must be: questions with known answers, and what must hold for any weights.

A wrong deployment answers without an error: a reranker without its chat template scores, an embedder behind the
reranker's address scores too. Only known answers tell. ``winnow doctor`` and ``/readyz`` ask these.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from winnow.core.errors import UpstreamUnavailable, WinnowError
from winnow.core.types import FloatArray
from winnow.ports import EmbeddedQuery, Embedder, Embeddings, Finding, Remote, Reranker
from winnow.ports.known_answers import QUESTIONS, Question, passages_of

UNIT: Final = 1e-2  # how far from 1 a vector's length may be: providers round
SAME: Final = 0.9999  # cosine from which on two vectors are one
LEGIBLE: Final = 0.5  # share of known text below which an embedder is not asked
SPREAD: Final = 1e-4  # between the highest and the lowest score of all answers
MARGIN: Final = 0.05  # by which right passages score above wrong ones on average


_GROUPS: Final = {"embedder": "EMBEDDING", "reranker": "RERANK"}  # of settings


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What was found out about one model. ``part`` is ``embedder`` or ``reranker``.

    Attributes:
        reachable: false where the model did not answer at all, so that nothing else is known of it.
    """

    part: str
    model: str
    provider: str
    findings: tuple[Finding, ...]
    reachable: bool = True

    @property
    def failed(self) -> tuple[Finding, ...]:
        """What must be put right; empty where the deployment is as it should be."""
        return tuple(finding for finding in self.findings if finding.status == "failed")

    @property
    def reason(self) -> str | None:
        """What is wrong and what to do about it, in one line; ``None`` where nothing is."""
        if not self.failed:
            return None
        return "; ".join(f"{finding.seen}: {finding.fix}" if finding.fix else finding.seen for finding in self.failed)


async def probe_embedder(embedder: Embedder) -> ProbeReport:
    """Ask an embedder what it must know; two calls of a few short texts, and what its server has to say."""
    info = embedder.info

    async def ask() -> list[Finding]:
        texts = [text for question in QUESTIONS for text in (question.right, question.wrong)]
        queries = [question.query for question in QUESTIONS]
        asked, told = await asyncio.gather(
            embedder.embed(queries, "query"), embedder.embed([*texts, queries[0]], "document")
        )
        shape = _shape(asked, told, info.dimensions)
        if shape.status == "failed":
            return [shape]
        findings = [shape, _unit(asked, told), _distinct(told)]
        if info.instruct:
            findings.append(_instructed(asked.vectors[0], told.vectors[-1]))
        return [*findings, _nearest(asked, told)]

    return await _report("embedder", info.model, info.provider, embedder, ask)


async def probe_reranker(reranker: Reranker) -> ProbeReport:
    """Ask a reranker what it must know; one call of two short passages a question, and what its server has to say."""
    info = reranker.info

    async def ask() -> list[Finding]:
        scores = await asyncio.gather(*(_right_and_wrong(reranker, number) for number in range(len(QUESTIONS))))
        right, wrong = np.array(scores, dtype=np.float32).T
        findings: list[Finding] = []
        for look in (_in_range, _spread, _ordered):  # each makes sense only where the one before is content
            findings.append(look(right, wrong))
            if findings[-1].status == "failed":
                break
        return findings

    return await _report("reranker", info.model, info.provider, reranker, ask)


async def ping_embedder(embedder: Embedder) -> None:
    """Raise unless the embedder is there: asks its server without charge, or embeds one word in this process."""
    if isinstance(embedder, Remote):
        await embedder.ping()
    else:
        await embedder.embed(["ready"], "document")


async def ping_reranker(reranker: Reranker) -> None:
    """Raise unless the reranker is there: asks its server without charge, or scores one word in this process."""
    if isinstance(reranker, Remote):
        await reranker.ping()
    else:
        await reranker.rerank(EmbeddedQuery("ready"), passages_of(["ready"]))


async def _report(
    part: str, model: str, provider: str, adapter: object, ask: Callable[[], Awaitable[list[Finding]]]
) -> ProbeReport:
    """What ``ask`` finds, then what the server says of itself; an error of either is a finding."""
    findings: list[Finding] = []
    try:
        findings += await ask()
    except UpstreamUnavailable as error:
        fix = (
            f"see that it runs, and that WINNOW_{_GROUPS[part]}__URL leads to it" if isinstance(adapter, Remote) else ""
        )
        return ProbeReport(part, model, provider, (Finding("answers at all", "failed", error.message, fix),), False)
    except WinnowError as error:
        findings.append(Finding("answers at all", "failed", error.message))
    try:
        if isinstance(adapter, Remote):
            findings += await adapter.self_check()
    except WinnowError as error:
        findings.append(Finding("server", "failed", error.message))
    return ProbeReport(part, model, provider, tuple(findings))


# --- the embedder --------------------------------------------------------------------------------


def _shape(asked: Embeddings, told: Embeddings, dimensions: int) -> Finding:
    seen = f"{told.vectors.shape[-1]} dimensions"
    if {asked.vectors.shape[-1], told.vectors.shape[-1]} == {dimensions}:
        return Finding("dimensions", "ok", seen)
    return Finding(
        "dimensions",
        "failed",
        f"vectors have {seen}, {dimensions} are expected",
        "serve the model that WINNOW_EMBEDDING__MODEL names, or set WINNOW_EMBEDDING__DIMENSIONS to what it gives",
    )


def _unit(asked: Embeddings, told: Embeddings) -> Finding:
    """Rows of text that the embedder cannot read are zero, and left out."""
    read = [each.vectors[each.coverage > 0] for each in (asked, told)]
    lengths = np.linalg.norm(np.concatenate(read), axis=1)
    if lengths.size and np.isfinite(lengths).all() and np.abs(lengths - 1).max() <= UNIT:
        return Finding("unit length", "ok", "every vector has length 1")
    seen = (
        f"vectors have lengths {lengths.min():.3g} to {lengths.max():.3g}" if lengths.size else "every vector is zero"
    )
    return Finding(
        "unit length", "failed", seen, "let the server normalise its vectors (vLLM does unless told otherwise)"
    )


def _distinct(told: Embeddings) -> Finding:
    """Over the passages that the embedder can read: to one that knows no Chinese, Chinese texts are alike."""
    read = told.vectors[:-1][told.coverage[:-1] >= LEGIBLE]
    alike = float((read @ read.T)[~np.eye(len(read), dtype=bool)].max()) if len(read) > 1 else -1.0
    if alike < SAME:
        return Finding("distinct", "ok", f"different texts are at most {alike:.2f} alike")
    return Finding(
        "distinct",
        "failed",
        "different texts have one vector",
        "check how the server pools: a Qwen3 embedder takes the last token's state",
    )


def _instructed(query: FloatArray, document: FloatArray) -> Finding:
    alike = float(query @ document)
    if alike < SAME:
        return Finding("instruct", "ok", f"a text as query and as document is {alike:.2f} alike")
    return Finding(
        "instruct",
        "failed",
        "a text has one vector as query and as document although an instruct is set",
        "check the proxies between Winnow and the model: one of them drops the query's instruct",
    )


def _nearest(asked: Embeddings, told: Embeddings) -> Finding:
    """Over the questions that the model can read."""
    legible = [number for number in range(len(QUESTIONS)) if asked.coverage[number] >= LEGIBLE]
    if not legible:
        return Finding("known answers", "skipped", "the model reads neither English nor Chinese", kind="answers")
    right = np.einsum("ij,ij->i", asked.vectors, told.vectors[0:-1:2])[legible]
    wrong = np.einsum("ij,ij->i", asked.vectors, told.vectors[1:-1:2])[legible]
    return _known_answers(
        right,
        wrong,
        [QUESTIONS[number] for number in legible],
        "serve the model that WINNOW_EMBEDDING__MODEL names with its own weights, tokenizer and pooling",
    )


# --- the reranker --------------------------------------------------------------------------------


async def _right_and_wrong(reranker: Reranker, number: int) -> tuple[float, float]:
    """Scores of the two passages, sent in either order so that one which keeps the order is found out."""
    question, swapped = QUESTIONS[number], number % 2
    texts = (question.wrong, question.right) if swapped else (question.right, question.wrong)
    scores = (await reranker.rerank(EmbeddedQuery(question.query), passages_of(texts))).scores
    first, second = scores.tolist()
    return (second, first) if swapped else (first, second)


def _in_range(right: FloatArray, wrong: FloatArray) -> Finding:
    scores = np.concatenate([right, wrong])
    if np.isfinite(scores).all() and scores.min() >= 0 and scores.max() <= 1:
        return Finding("scores", "ok", f"{scores.min():.3f} to {scores.max():.3f}")
    return Finding(
        "scores",
        "failed",
        f"scores of {scores.min():.3g} to {scores.max():.3g} are outside [0, 1]",
        "let the server answer with probabilities, not with logits or cosines",
    )


def _spread(right: FloatArray, wrong: FloatArray) -> Finding:
    scores = np.concatenate([right, wrong])
    spread = float(scores.max() - scores.min())
    if spread > SPREAD:
        return Finding("spread", "ok", f"scores are up to {spread:.3f} apart")
    return Finding(
        "spread",
        "failed",
        f"every passage scores {scores.mean():.3f}",
        "serve a reranker: this model does not tell passages apart",
    )


def _ordered(right: FloatArray, wrong: FloatArray) -> Finding:
    fix = "serve the model that WINNOW_RERANK__MODEL names as a reranker, with its template (see docs/models.md)"
    finding = _known_answers(right, wrong, QUESTIONS, fix)
    margin = float(np.mean(right - wrong))
    if finding.status == "ok" and margin < MARGIN:
        seen = f"right passages score only {margin:.3f} above unrelated ones"
        return Finding("known answers", "failed", seen, fix, "answers")
    return finding


def _known_answers(right: FloatArray, wrong: FloatArray, questions: Sequence[Question], fix: str) -> Finding:
    lost = [(q, r, w) for q, r, w in zip(questions, right.tolist(), wrong.tolist(), strict=True) if not r > w]
    if not lost:
        seen = f"right {right.mean():.2f}, unrelated {wrong.mean():.2f} on average of {len(questions)}"
        return Finding("known answers", "ok", seen, kind="answers")
    question, r, w = lost[0]
    seen = (
        f"{len(lost)} of {len(questions)} known answers are wrong: for {question.query!r} an unrelated passage comes "
        f"first ({w:.3f} against {r:.3f})"
    )
    return Finding("known answers", "failed", seen, fix, "answers")
