"""Probes of a deployed model: questions with known answers, and properties that must hold for any weights.

A wrong deployment answers without an error: a reranker without its chat template returns scores, and so does an
embedder behind the reranker's address. Only known answers reveal it. ``winnow doctor`` and ``/readyz`` run the probes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypeVar

import numpy as np

from winnow.core.errors import UpstreamUnavailable, WinnowError
from winnow.core.types import FloatArray
from winnow.ports import EmbeddedQuery, Embedder, Embeddings, Finding, Remote, Reranker
from winnow.ports.checks import QUESTIONS, Question, passages_of

Model = TypeVar("Model", Embedder, Reranker)

UNIT: Final = 1e-2  # largest deviation of a vector's length from 1: providers round
SAME: Final = 0.9999  # cosine from which two vectors count as equal
LEGIBLE: Final = 0.5  # smallest share of known text at which an embedder is asked
SPREAD: Final = 1e-4  # smallest distance between the highest and the lowest score of all answers
MARGIN: Final = 0.05  # smallest mean distance of right passages from unrelated ones
_GROUPS: Final = {"embedder": "EMBEDDING", "reranker": "RERANK"}  # of settings


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """The findings about one model. ``part`` is ``embedder`` or ``reranker``.

    Attributes:
        reachable: false if the model did not answer at all; the only finding then says so.
        addresses: where calls of a model behind HTTP go; empty for one in this process.
    """

    part: str
    model: str
    provider: str
    findings: tuple[Finding, ...]
    reachable: bool = True
    addresses: tuple[str, ...] = ()

    @property
    def failed(self) -> tuple[Finding, ...]:
        """The findings that need a fix; empty for a sound deployment."""
        return tuple(finding for finding in self.findings if finding.status == "failed")

    @property
    def reason(self) -> str | None:
        """The failures and their fixes in one line; ``None`` without any."""
        return "; ".join(": ".join(filter(None, (each.seen, each.fix))) for each in self.failed) or None


async def probe_embedder(embedder: Embedder) -> ProbeReport:
    """Ask an embedder the known answers with two calls of a few short texts; add what its server reports."""
    return await _report("embedder", embedder, _ask_embedder)


async def probe_reranker(reranker: Reranker) -> ProbeReport:
    """Ask a reranker the known answers with one call of two short passages each; add what its server reports."""
    return await _report("reranker", reranker, _ask_reranker)


async def ping_embedder(embedder: Embedder) -> None:
    """Raise unless the embedder answers: asks its server without charge, or embeds one word in this process."""
    if isinstance(embedder, Remote):
        await embedder.ping()
    else:
        await embedder.embed(["ready"], "document")


async def ping_reranker(reranker: Reranker) -> None:
    """Raise unless the reranker answers: asks its server without charge, or scores one word in this process."""
    if isinstance(reranker, Remote):
        await reranker.ping()
    else:
        await reranker.rerank(EmbeddedQuery("ready"), passages_of(["ready"]))


async def _report(part: str, model: Model, ask: Callable[[Model], Awaitable[list[Finding]]]) -> ProbeReport:
    """The findings of ``ask``, then those of the model's server; of every address where it has several."""
    if not isinstance(model, Remote):
        return await _report_of_one(part, model, ask)
    each = model.each()
    if not each:
        return replace(await _report_of_one(part, model, ask), addresses=model.addresses)
    try:
        reports = await asyncio.gather(*(_report_of_one(part, one, ask) for one in each.values()))
    finally:
        for one in each.values():
            await one.close()
    findings = [
        replace(finding, check=f"{finding.check} ({url})", seen=f"at {url}, {finding.seen}")
        for url, report in zip(each, reports, strict=True)
        for finding in report.findings
    ]
    reachable = any(report.reachable for report in reports)
    return ProbeReport(part, model.info.model, model.info.provider, tuple(findings), reachable, model.addresses)


async def _report_of_one(part: str, model: Model, ask: Callable[[Model], Awaitable[list[Finding]]]) -> ProbeReport:
    """The findings about a model at one address; an error is a finding."""
    named = partial(ProbeReport, part, model.info.model, model.info.provider)
    findings: list[Finding] = []
    try:
        findings += await ask(model)
    except UpstreamUnavailable as error:
        setting = f"WINNOW_{_GROUPS[part]}__URL"
        fix = f"see that it runs, and that {setting} leads to it" if isinstance(model, Remote) else ""
        return named((Finding("answers at all", "failed", error.message, fix),), reachable=False)
    except WinnowError as error:
        findings.append(Finding("answers at all", "failed", error.message))
    try:
        if isinstance(model, Remote):
            findings += await model.self_check()
    except WinnowError as error:
        findings.append(Finding("server", "failed", error.message))
    return named(tuple(findings))


async def _ask_embedder(embedder: Embedder) -> list[Finding]:
    texts = [text for question in QUESTIONS for text in (question.right, question.wrong)]
    queries = [question.query for question in QUESTIONS]
    asked, told = await asyncio.gather(
        embedder.embed(queries, "query"), embedder.embed([*texts, queries[0]], "document")
    )
    shape = _shape(asked, told, embedder.info.dimensions)
    if shape.status == "failed":
        return [shape]
    instructed = [_instructed(asked.vectors[0], told.vectors[-1])] if embedder.info.instruct else []
    return [shape, _unit(asked, told), _distinct(told), *instructed, _nearest(asked, told)]


def _shape(asked: Embeddings, told: Embeddings, dimensions: int) -> Finding:
    seen = f"{told.vectors.shape[-1]} dimensions"
    if {asked.vectors.shape[-1], told.vectors.shape[-1]} == {dimensions}:
        return Finding("dimensions", "ok", seen)
    fix = "serve the model that WINNOW_EMBEDDING__MODEL names, or set WINNOW_EMBEDDING__DIMENSIONS to what it gives"
    return Finding("dimensions", "failed", f"vectors have {seen}, {dimensions} are expected", fix)


def _unit(asked: Embeddings, told: Embeddings) -> Finding:
    """Leaves out the zero vectors of texts that the embedder cannot read."""
    lengths = np.linalg.norm(np.concatenate([each.vectors[each.coverage > 0] for each in (asked, told)]), axis=1)
    if lengths.size and np.isfinite(lengths).all() and np.abs(lengths - 1).max() <= UNIT:
        return Finding("unit length", "ok", "every vector has length 1")
    seen = "every vector is zero"
    if lengths.size:
        seen = f"vectors have lengths {lengths.min():.3g} to {lengths.max():.3g}"
    fix = "let the server normalise its vectors (vLLM does unless told otherwise)"
    return Finding("unit length", "failed", seen, fix)


def _distinct(told: Embeddings) -> Finding:
    """Compares the passages that the embedder can read: texts in a language that it does not know have one vector."""
    read = told.vectors[:-1][told.coverage[:-1] >= LEGIBLE]
    alike = float((read @ read.T)[~np.eye(len(read), dtype=bool)].max()) if len(read) > 1 else -1.0
    if alike < SAME:
        return Finding("distinct", "ok", f"different texts are at most {alike:.2f} alike")
    fix = "check how the server pools: a Qwen3 embedder takes the last token's state"
    return Finding("distinct", "failed", "different texts have one vector", fix)


def _instructed(query: FloatArray, document: FloatArray) -> Finding:
    alike = float(query @ document)
    if alike < SAME:
        return Finding("instruct", "ok", f"a text as query and as document is {alike:.2f} alike")
    seen = "a text has one vector as query and as document although an instruct is set"
    fix = "check the proxies between Winnow and the model: one of them drops the query's instruct"
    return Finding("instruct", "failed", seen, fix)


def _nearest(asked: Embeddings, told: Embeddings) -> Finding:
    """Asks only the questions that the model can read."""
    legible = [number for number in range(len(QUESTIONS)) if asked.coverage[number] >= LEGIBLE]
    if not legible:
        return Finding("known answers", "skipped", "the model reads neither English nor Chinese", kind="answers")
    right, wrong = (np.einsum("ij,ij->i", asked.vectors, told.vectors[first:-1:2])[legible] for first in (0, 1))
    fix = "serve the model that WINNOW_EMBEDDING__MODEL names with its own weights, tokenizer and pooling"
    return _known_answers(right, wrong, [QUESTIONS[number] for number in legible], fix)


async def _ask_reranker(reranker: Reranker) -> list[Finding]:
    scores = await asyncio.gather(*(_right_and_wrong(reranker, number) for number in range(len(QUESTIONS))))
    right, wrong = np.array(scores, dtype=np.float32).T
    findings: list[Finding] = []
    for check in (_in_range, _spread, _ordered):  # each makes sense only if the one before passed
        findings.append(check(right, wrong))
        if findings[-1].status == "failed":
            break
    return findings


async def _right_and_wrong(reranker: Reranker, number: int) -> tuple[float, float]:
    """Scores of the two passages, sent in alternating order to detect a reranker that scores by position."""
    question, swapped = QUESTIONS[number], number % 2
    texts = (question.wrong, question.right) if swapped else (question.right, question.wrong)
    first, second = (await reranker.rerank(EmbeddedQuery(question.query), passages_of(texts))).scores.tolist()
    return (second, first) if swapped else (first, second)


def _in_range(right: FloatArray, wrong: FloatArray) -> Finding:
    scores = np.concatenate([right, wrong])
    if np.isfinite(scores).all() and scores.min() >= 0 and scores.max() <= 1:
        return Finding("scores", "ok", f"{scores.min():.3f} to {scores.max():.3f}")
    seen = f"scores of {scores.min():.3g} to {scores.max():.3g} are outside [0, 1]"
    return Finding("scores", "failed", seen, "let the server answer with probabilities, not with logits or cosines")


def _spread(right: FloatArray, wrong: FloatArray) -> Finding:
    scores = np.concatenate([right, wrong])
    spread = float(np.ptp(scores))
    if spread > SPREAD:
        return Finding("spread", "ok", f"scores are up to {spread:.3f} apart")
    fix = "serve a reranker: this model does not tell passages apart"
    return Finding("spread", "failed", f"every passage scores {scores.mean():.3f}", fix)


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
