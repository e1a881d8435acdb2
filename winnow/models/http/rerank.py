"""Rerankers behind HTTP: vLLM, DashScope, gateways, Jina's shape, Cohere, TEI."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Coroutine, Sequence
from typing import Any, Final

import numpy as np

from winnow.core.errors import UpstreamRejected, UpstreamTooLong, UpstreamUnavailable
from winnow.core.settings.rerank import DashScopeNativeRerank, HttpRerank, TeiRerank, VllmRerank
from winnow.core.types import FloatArray
from winnow.models.checks.vllm_reranker import check_vllm
from winnow.models.http import ModelClient
from winnow.models.http.rerank_answers import BadAnswer, Scores, read_scores
from winnow.models.http.rerank_dialects import dialect_of
from winnow.models.http.rerank_packing import Item, Question, fit, pack, shorten
from winnow.models.prompts import neutralise
from winnow.models.qwen_tokens import QwenTokens
from winnow.ports import EmbeddedQuery, Finding, Passage, Reranker, RerankerInfo, Reranking

log = logging.getLogger(__name__)

VARIABLE: Final = "WINNOW_RERANK"
_ADDRESS: Final = re.compile(r"https?://\w")
_IMAGE: Final = re.compile(r"https?://\w|data:image/")
_CUTS: Final = 12  # times that a document which is refused as too long is made shorter; leaves 3 % of it
_TELLING: Final = 3  # different documents with the same score are no coincidence


class HttpReranker(Reranker):
    """Scores through a provider's API.

    What is over the provider's limits is cut or split; the parts are sent at the same time. A part that is refused as
    too long is halved, down to single documents, and a single one is cut at its end until it is taken. A model that is
    not pointwise gets all passages in one call or none. Passages without anything to read score 0 and are not sent.

    Args:
        settings: the provider, and how to call it.
    """

    def __init__(self, settings: HttpRerank) -> None:
        self._settings = settings
        self._dialect = dialect_of(settings)
        self._tokens = QwenTokens()
        self._client = ModelClient(settings, provider=settings.provider, variable=VARIABLE)
        # the client's patience includes waiting for a connection: what waits here does not use it up
        self._lane = asyncio.Semaphore(settings.connections)

    @property
    def info(self) -> RerankerInfo:
        return RerankerInfo(self._settings.provider, self._settings.model or self._settings.provider)

    async def rerank(
        self, query: EmbeddedQuery, passages: Sequence[Passage], *, instruct: str | None = None
    ) -> Reranking:
        task = self._settings.instruct if instruct is None else instruct
        scores = np.zeros(len(passages), dtype=np.float32)
        question, items = await asyncio.to_thread(self._prepare, query.text, task, passages)
        if not items:
            return Reranking(scores)
        parts = self._parts(question, items)
        answers = await _all([self._score(question, part) for part in parts])
        for part, answer in zip(parts, answers, strict=True):
            scores[[item.number for item in part]] = answer.scores
        self._refuse_indifference(items, scores)
        return Reranking(scores, sum(answer.tokens for answer in answers))

    async def close(self) -> None:
        await self._client.close()

    async def ping(self) -> None:
        """Ask a vLLM or TEI server whether it is alive; other providers charge for, or have no such question."""
        if not isinstance(self._settings, VllmRerank | TeiRerank):
            return
        status, _ = await self._client.get("/health")
        if status >= 500:
            raise UpstreamUnavailable(f"{self._where()} answered {status} when it was asked for its health")

    async def self_check(self) -> Sequence[Finding]:
        """Look at a vLLM server's model, limit and prompt; other providers show none of these."""
        if not isinstance(self._settings, VllmRerank):
            return ()
        return await check_vllm(self._client, self._settings, self, self._tokens.count)

    def _prepare(self, query: str, instruct: str, passages: Sequence[Passage]) -> tuple[Question, list[Item]]:
        """The question and the items to send for the passages, within the limits of single texts."""
        items = [self._item(number, passage) for number, passage in enumerate(passages)]
        legible = [item for item in items if item.text.strip()] if query.strip() else []
        task = self._clean(instruct) or self._dialect.usual_instruct if self._dialect.takes_instruct else ""
        return fit(self._clean(query), task, legible, self._dialect.limits, self._tokens)

    def _item(self, number: int, passage: Passage) -> Item:
        """A passage's image or video where it has one that the model takes, else its text."""
        if isinstance(self._settings, DashScopeNativeRerank):
            image = passage.metadata.get(self._settings.image_field)
            if isinstance(image, str) and _IMAGE.match(image):
                return Item(number, image, "image")
            video = passage.metadata.get(self._settings.video_field)
            if isinstance(video, str) and _ADDRESS.match(video):
                return Item(number, video, "video")
        return Item(number, self._clean(passage.text))

    def _clean(self, text: str) -> str:
        """The text as UTF-8 can hold it, without special tokens where the model would read them."""
        if not text.isascii():
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return neutralise(text) if self._dialect.harmless else text

    def _parts(self, question: Question, items: Sequence[Item]) -> list[list[Item]]:
        parts = pack(question, items, self._dialect.limits)
        if len(parts) > 1 and not self._dialect.pointwise:
            most = len(parts[0])
            raise UpstreamRejected(
                f"{self._where()}: {self._settings.model} scores documents against each other, so all must be in one "
                f"call, and {len(items)} are too many; set WINNOW_SEARCH__RERANK_TOP_K to {most}, or raise "
                f"{VARIABLE}__MAX_DOCUMENTS"
            )
        return parts

    async def _score(self, question: Question, items: Sequence[Item]) -> Scores:
        try:
            return await self._call(question, items)
        except UpstreamTooLong as refused:
            if len(items) == 1 or not self._dialect.pointwise:
                return await self._score_shortened(question, items, refused)
            middle = len(items) // 2
            halves = [self._score(question, items[:middle]), self._score(question, items[middle:])]
            first, second = await _all(halves)
            return Scores(np.concatenate([first.scores, second.scores]), first.tokens + second.tokens)

    async def _score_shortened(self, question: Question, items: Sequence[Item], refused: UpstreamTooLong) -> Scores:
        """Score the beginnings of what is too long, shorter and shorter ones."""
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
                log.warning(
                    "%s takes less than %s__MAX_TOKENS (%d): texts were cut to %d tokens until it did",
                    self._where(),
                    VARIABLE,
                    self._settings.max_tokens,
                    longest,
                )
                return scores
        raise refused

    async def _call(self, question: Question, items: Sequence[Item]) -> Scores:
        async with self._lane:
            answer = await self._client.post(self._settings.path, self._dialect.body(question, items))
        try:
            return read_scores(answer, len(items), self._dialect.scale)
        except BadAnswer as error:
            said = self._client.complaint_in(answer)
            raise UpstreamRejected(f"{self._where()} gave an answer that cannot be trusted: {error}{said}") from error

    def _refuse_indifference(self, items: Sequence[Item], scores: FloatArray) -> None:
        """A reranker without its prompt, or no reranker at all, may find all documents alike."""
        if len({item.text for item in items}) >= _TELLING and np.ptp(scores[[item.number for item in items]]) == 0:
            raise UpstreamRejected(
                f"{self._where()} gave {len(items)} documents the same score, {scores[items[0].number]:.6g}; see that "
                f"{VARIABLE}__URL leads to a reranker, not to an embedder, and that it has its chat template: "
                "winnow doctor looks into it"
            )

    def _where(self) -> str:
        return f"{self._settings.provider} at {self._settings.url}"


async def _all(work: Sequence[Coroutine[Any, Any, Scores]]) -> list[Scores]:
    """The results of all, in order. The first failure ends the others and is raised."""
    if len(work) == 1:
        return [await work[0]]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(part) for part in work]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]
