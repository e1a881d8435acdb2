"""Rerankers behind HTTP: vLLM, DashScope, gateways, Jina's shape, Cohere, TEI."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from winnow.core.errors import UpstreamRejected, UpstreamTooLong
from winnow.core.settings.rerank import DashScopeNativeRerank, HttpRerank, VllmRerank
from winnow.core.text import encodable
from winnow.models.checks.vllm_reranker import check_vllm_reranker
from winnow.models.http.batch_limit import BatchLimit
from winnow.models.http.model import BadAnswer, HttpModel, all_of
from winnow.models.http.rerank_dialects import OutOfScale, read_scores, rerank_dialect
from winnow.models.http.rerank_packing import RerankItem, RerankQuestion, even_calls, fit, full_calls, shorten
from winnow.models.prompts import harmless
from winnow.models.qwen_tokens import RememberedTokens
from winnow.ports import EmbeddedQuery, Finding, Passage, Reranker, RerankerInfo, Reranking
from winnow.ports.checks import QUESTIONS, passages_of

log = logging.getLogger(__name__)

VARIABLE: Final = "WINNOW_RERANK"
_ADDRESS: Final = re.compile(r"https?://\w")
_IMAGE: Final = re.compile(r"https?://\w|data:image/")
_CUTS: Final = 12  # times that a document which is refused as too long is made shorter; leaves 3 % of it
_SHORT_QUERY: Final = 500  # characters whose tokens are counted at once
_BYTES_A_CHARACTER: Final = 3  # in UTF-8, in most scripts
_TRUST_SECONDS: Final = 60.0  # for which a reranker that told the canary pair apart may find documents alike


class _Part(NamedTuple):
    """The scores of some documents; ``whole`` if one call took them all as they are."""

    scored: Reranking
    whole: bool = True


class HttpReranker(HttpModel, Reranker):
    """Scores through a provider's API.

    What is over the provider's limits is cut or split, and several servers share the documents; the parts are sent at
    the same time. A part that is refused as
    too long is halved, down to single documents, and a single one is cut at its end until it is taken; the size of the
    parts that were taken is remembered. A model that is
    not pointwise gets all passages in one call or none. Passages without anything to read score 0 and are not sent.

    Equal scores are believed of a reranker that tells a right passage from a wrong one (the canary pair, asked when all
    documents of a search score alike): without its prompt, or as an embedder, it may find everything alike.

    Args:
        settings: the provider, and how to call it.
    """

    def __init__(self, settings: HttpRerank) -> None:
        super().__init__(settings, VARIABLE)
        self._settings = settings
        self._dialect = rerank_dialect(settings)
        self._tokens = RememberedTokens()
        # the client's time limit includes waiting for a connection: what waits here does not use it up
        self._slots = asyncio.Semaphore(settings.connections * len(settings.urls))
        self._batch = BatchLimit(settings.max_documents, where=self._where, setting=f"{VARIABLE}__MAX_DOCUMENTS")
        self._trusted_until = 0.0

    @property
    def info(self) -> RerankerInfo:
        return RerankerInfo(self._settings.provider, self._settings.model or self._settings.provider)

    async def rerank(
        self, query: EmbeddedQuery, passages: Sequence[Passage], *, instruct: str | None = None
    ) -> Reranking:
        task = self._settings.instruct if instruct is None else instruct
        question, items, answer = await self._scored(query.text, task, passages)
        scores = answer.scores[[item.number for item in items]]
        if len({item.text for item in items}) > 1 and np.ptp(scores) == 0:
            await self._refuse_indifference(float(scores[0]), len(items))
        if items and len(question.query) < len(self._clean(query.text)):
            reason = f"the reranker reads {self._tokens.count(question.query)} tokens of a query: the rest was left out"
            return replace(answer, reason=reason)
        return answer

    async def _scored(
        self, query: str, task: str, passages: Sequence[Passage]
    ) -> tuple[RerankQuestion, Sequence[RerankItem], Reranking]:
        """What was sent, and the scores of all passages."""
        scores = np.zeros(len(passages), dtype=np.float32)
        question, items = await self._prepared(query, task, passages)
        if not items:
            return question, items, Reranking(scores)
        parts = self._parts(question, items)
        answers = await all_of([self._score(question, part) for part in parts])
        for part, answer in zip(parts, answers, strict=True):
            scores[[item.number for item in part]] = answer.scored.scores
        return question, items, Reranking(scores, sum(answer.scored.tokens for answer in answers))

    async def self_check(self) -> Sequence[Finding]:
        """Look at a vLLM server's model, limit and prompt; other providers show none of these."""
        if not isinstance(self._settings, VllmRerank):
            return ()
        return await check_vllm_reranker(self._client, self._settings, self, self._tokens.count)

    @property
    def _path(self) -> str:
        return self._settings.path

    def _at(self, url: str) -> HttpReranker:
        return HttpReranker(self._settings.model_copy(update={"url": url}))

    async def _prepared(
        self, query: str, task: str, passages: Sequence[Passage]
    ) -> tuple[RerankQuestion, list[RerankItem]]:
        """As ``_prepare``; on a thread where texts are so long that counting their tokens takes a moment."""
        longest = max((len(passage.chunk.text) for passage in passages), default=0)
        if len(query) <= _SHORT_QUERY and longest * _BYTES_A_CHARACTER < self._dialect.limits.item_tokens // 2:
            return self._prepare(query, task, passages)
        return await asyncio.to_thread(self._prepare, query, task, passages)

    def _prepare(
        self, query: str, instruct: str, passages: Sequence[Passage]
    ) -> tuple[RerankQuestion, list[RerankItem]]:
        """The question and the items to send for the passages, within the limits of single texts."""
        items = [self._item(number, passage) for number, passage in enumerate(passages)]
        legible = [item for item in items if item.text.strip()] if query.strip() else []
        task = self._clean(instruct) or self._dialect.usual_instruct if self._dialect.takes_instruct else ""
        return fit(self._clean(query), task, legible, self._dialect.limits, self._tokens)

    def _item(self, number: int, passage: Passage) -> RerankItem:
        """A passage's image or video where it has one that the model takes, else its text."""
        if isinstance(self._settings, DashScopeNativeRerank):
            image = passage.metadata.get(self._settings.image_field)
            if isinstance(image, str) and _IMAGE.match(image):
                return RerankItem(number, image, "image")
            video = passage.metadata.get(self._settings.video_field)
            if isinstance(video, str) and _ADDRESS.match(video):
                return RerankItem(number, video, "video")
        return RerankItem(number, self._clean(passage.text))

    def _clean(self, text: str) -> str:
        """The text as UTF-8 can hold it, without special tokens where the model would read them."""
        return harmless(text) if self._dialect.harmless else encodable(text)

    def _parts(self, question: RerankQuestion, items: Sequence[RerankItem]) -> list[list[RerankItem]]:
        limits = self._dialect.limits
        if self._dialect.pointwise:
            limits = limits._replace(documents=min(limits.documents, self._batch.most))
            return even_calls(question, items, limits, servers=self._client.replicas)
        parts = full_calls(question, items, limits)
        if len(parts) > 1:
            most = len(parts[0])
            raise UpstreamRejected(
                f"{self._where}: {self._settings.model} scores documents against each other, so all must be in one "
                f"call, and {len(items)} are too many; set WINNOW_SEARCH__RERANK_TOP_K to {most}, or raise "
                f"{VARIABLE}__MAX_DOCUMENTS"
            )
        return parts

    async def _score(self, question: RerankQuestion, items: Sequence[RerankItem]) -> _Part:
        try:
            return _Part(await self._call(question, items))
        except UpstreamTooLong as refused:
            if len(items) == 1 or not self._dialect.pointwise:
                return _Part(await self._score_shortened(question, items, refused), whole=False)
            middle = len(items) // 2
            halves = [self._score(question, items[:middle]), self._score(question, items[middle:])]
            first, second = await all_of(halves)
            if first.whole and second.whole:
                self._batch.accepted_in_halves(len(items))
            scores = np.concatenate([first.scored.scores, second.scored.scores])
            return _Part(Reranking(scores, first.scored.tokens + second.scored.tokens), whole=False)

    async def _score_shortened(
        self, question: RerankQuestion, items: Sequence[RerankItem], refused: UpstreamTooLong
    ) -> Reranking:
        """Score ever shorter beginnings of the texts."""
        for _ in range(_CUTS):
            shorter = await asyncio.to_thread(shorten, question, items, self._tokens)
            if shorter is None:
                break
            question, items = shorter
            try:
                scores = await self._call(question, items)
            except UpstreamTooLong as again:
                refused = again
            else:
                longest = max(question.tokens, *(item.tokens for item in items))
                limit = f"{VARIABLE}__MAX_TOKENS ({self._settings.max_tokens})"
                log.warning("%s takes less than %s: its texts were cut to %d tokens", self._where, limit, longest)
                return scores
        raise refused

    async def _call(self, question: RerankQuestion, items: Sequence[RerankItem]) -> Reranking:
        async with self._slots:
            answer = await self._client.post(self._settings.path, self._dialect.body(question, items))
        try:
            return read_scores(answer, len(items), self._dialect.scale)
        except OutOfScale as error:
            hint = f"; if the server answers logits, set {VARIABLE}__SCALE=logit"
            raise self._distrust(error, answer, hint) from error
        except BadAnswer as error:
            raise self._distrust(error, answer) from error

    async def _refuse_indifference(self, score: float, count: int) -> None:
        """Raise unless the reranker tells the canary pair apart, or has done so within the last minute."""
        if time.monotonic() < self._trusted_until:
            return
        canary = QUESTIONS[0]
        _, _, told = await self._scored(
            canary.query, self._settings.instruct, passages_of([canary.right, canary.wrong])
        )
        if np.ptp(told.scores) == 0:
            raise UpstreamRejected(
                f"{self._where} gave {count} documents the same score, {score:.6g}, and does not tell an answer from "
                f"an unrelated text; see that {VARIABLE}__URL leads to a reranker, not to an embedder, and that it has "
                "its chat template: winnow doctor looks into it"
            )
        self._trusted_until = time.monotonic() + _TRUST_SECONDS
