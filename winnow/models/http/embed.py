"""Embedders behind HTTP: vLLM, OpenAI and everything of its shape, DashScope."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from winnow.core.errors import InvalidSettings, Upstream, UpstreamRejected, UpstreamTooLong
from winnow.core.settings.embedding import DashScopeEmbedding, VllmEmbedding
from winnow.core.text import encodable
from winnow.core.types import FloatArray
from winnow.models.checks.vllm_server import check_vllm_embedder, root_of_alias
from winnow.models.dense import DenseEmbedder
from winnow.models.http.batch_limit import BatchLimit
from winnow.models.http.client import ModelClient
from winnow.models.http.embed_dialects import EmbedBatch, HttpEmbedding, embed_dialect, vectors_of
from winnow.models.http.model import BadAnswer, HttpModel, all_of
from winnow.models.http.pace import Pace, PacedCall
from winnow.models.micro_batcher import MicroBatcher
from winnow.models.prompts import chosen_instruct, usual_instruct
from winnow.models.qwen_tokens import load_tokenizer
from winnow.ports import EmbedderInfo, EmbedKind, Finding, Tokenizer

log = logging.getLogger(__name__)

VARIABLE: Final = "WINNOW_EMBEDDING"
# sizes of vectors by the last part of a model's name; a served model may be named by its folder
_KNOWN_SIZES: Final = {
    "qwen3-embedding-0.6b": 1024,
    "qwen3-embedding-4b": 2560,
    "qwen3-embedding-8b": 4096,
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
    "text-embedding-ada-002": 1536,
    "text-embedding-v4": 1024,
    "text-embedding-v3": 1024,
}
_CUTS: Final = 8  # times that a text which is refused as too long is made shorter
_TELLING: Final = 8  # that many different texts with one vector are not a coincidence
_QUERY_CALLS: Final = 2  # at one address, at which further queries wait for company
_CLOSING_TOKENS: Final = 1  # what models append to a text counts towards their limit


class _Part(NamedTuple):
    """Vectors of some texts, shape (n, dimensions), and the tokens that were read for them.

    ``whole`` if one call took the texts as they are.
    """

    vectors: FloatArray
    tokens: int
    whole: bool = False


class HttpEmbedder(HttpModel, DenseEmbedder):
    """Embeds through a provider's API.

    Documents go in calls whose number and size follow the latency (``pace``), so that queries do not wait behind an
    indexing run, be it in this process or another; queries go at once, and share calls where many come together. A
    batch that is refused as too long is halved, down to single texts, and a single text is cut at its end until it is
    taken: one long text does not fail the others.

    Args:
        settings: the provider, and how to call it.
        tokenizer: counts tokens; unless given, the one that the settings name is loaded, which takes a moment.
        root: the model behind the configured name, where that is an alias: its instruct is the usual one.

    Attributes:
        pace: of documents.

    Raises:
        InvalidSettings: the size of the model's vectors is neither set nor known.
    """

    def __init__(self, settings: HttpEmbedding, tokenizer: Tokenizer | None = None, root: str = "") -> None:
        super().__init__(settings, VARIABLE)
        self._settings = settings
        self._root = root
        self._dialect = embed_dialect(settings)
        self._info = EmbedderInfo(
            provider=settings.provider,
            model=settings.model,
            revision="",
            dimensions=_dimensions(settings),
            max_tokens=settings.max_tokens - _CLOSING_TOKENS,
            instruct=chosen_instruct(settings.instruct, root or settings.model),
        )
        self._asked_size: int | None = settings.dimensions
        at_once = max(1, settings.connections - 1) * len(settings.urls)  # one is left to queries
        self._batch = BatchLimit(settings.batch_size, where=self._where, setting=f"{VARIABLE}__BATCH_SIZE")
        self.pace = Pace(most_texts=settings.batch_size, most_calls=at_once)
        self._queries: MicroBatcher[EmbedBatch, _Part] = MicroBatcher(
            self._embed_queries,
            at_once=lambda: _QUERY_CALLS * self._client.replicas,
            most=lambda: self._batch.most,
            alike=lambda query: query.instruct,
        )
        name = "qwen" if isinstance(settings, DashScopeEmbedding) else settings.tokenizer
        self._tokenizer = tokenizer or load_tokenizer(name)

    async def close(self) -> None:
        """Close the connections; calls in progress fail as ``UpstreamUnavailable``."""
        await super().close()
        await self._queries.close()

    async def self_check(self) -> Sequence[Finding]:
        """Look at a vLLM server's models, limit and tokenizer; other providers show none of these."""
        if not isinstance(self._settings, VllmEmbedding):
            return ()
        return await check_vllm_embedder(self._client, self._settings, self._info.instruct)

    @property
    def _path(self) -> str:
        return self._dialect.path

    def _at(self, url: str) -> HttpEmbedder:
        return HttpEmbedder(self._settings.model_copy(update={"url": url}), self._tokenizer, self._root)

    async def _embed(self, texts: Sequence[str], kind: EmbedKind, task: str) -> tuple[FloatArray, int]:
        sent = [self._dialect.text(encodable(text), kind, task) for text in texts]
        batch = EmbedBatch(sent, kind, task)
        if kind == "query" and len(sent) == 1:
            part = await self._queries.ask(batch)
        elif kind == "query":
            part = _joined(await all_of([self._embed_batch(each) for each in batch.cut(self._batch.most)]))
        else:
            part = await self._embed_documents(batch)
        if len(set(sent)) >= _TELLING and (part.vectors == part.vectors[0]).all():  # wrong pooling would fill an index
            raise UpstreamRejected(
                f"{self._where} gave {len(sent)} texts the same vector; see that it serves the model of "
                f"{VARIABLE}__MODEL as an embedder, with its own pooling: winnow doctor looks into it"
            )
        return part.vectors, part.tokens

    async def _embed_queries(self, queries: Sequence[EmbedBatch]) -> list[_Part]:
        """Embed single queries with one instruct in one call; each counts as many tokens as the others."""
        texts = [text for query in queries for text in query.texts]
        joint = await self._embed_batch(queries[0]._replace(texts=texts))
        ends = [joint.tokens * i // len(queries) for i in range(len(queries) + 1)]
        return [_Part(joint.vectors[i : i + 1], ends[i + 1] - ends[i]) for i in range(len(queries))]

    async def _embed_documents(self, batch: EmbedBatch) -> _Part:
        """Embed documents at the pace that the server keeps up with. The first failure ends the other calls."""
        calls: list[asyncio.Task[_Part]] = []
        begin = 0
        try:
            async with asyncio.TaskGroup() as group:
                while begin < len(batch.texts):
                    turn = await self.pace.enter()
                    texts = batch.texts[begin : begin + turn.texts]
                    calls.append(group.create_task(self._embed_in_turn(batch._replace(texts=texts), turn)))
                    calls[-1].add_done_callback(lambda _: self.pace.leave())  # even if it ends before it begins
                    begin += len(texts)
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return _joined([call.result() for call in calls])

    async def _embed_in_turn(self, batch: EmbedBatch, turn: PacedCall) -> _Part:
        with self.pace.timing(turn, len(batch.texts)):
            return await self._embed_batch(batch)

    async def _embed_batch(self, batch: EmbedBatch) -> _Part:
        try:
            return await self._call(batch)
        except UpstreamTooLong as refused:
            if len(batch.texts) == 1:
                return await self._embed_shortened(batch, refused)
            middle = len(batch.texts) // 2
            halves = [batch._replace(texts=texts) for texts in (batch.texts[:middle], batch.texts[middle:])]
            parts = await all_of([self._embed_batch(half) for half in halves])
            if all(part.whole for part in parts):
                self._batch.accepted_in_halves(len(batch.texts))
                self.pace.limit(self._batch.most)
            return _joined(parts)

    async def _embed_shortened(self, batch: EmbedBatch, refused: UpstreamTooLong) -> _Part:
        """Embed the beginning of a text that is too long: what the limit allows by our count, then less and less."""
        (text,) = batch.texts
        spans = await asyncio.to_thread(self._tokenizer.spans, text)
        keep = min(self._info.max_tokens, len(spans) - 1)
        for _ in range(_CUTS):
            if keep < 1:
                break
            try:
                part = await self._call(batch._replace(texts=[text[: spans[keep - 1][1]]]))
            except UpstreamTooLong as again:
                refused, keep = again, keep * 3 // 4
            else:
                log.warning("%s takes no text of %d tokens: embedded its first %d", self._where, len(spans), keep)
                return part._replace(whole=False)
        raise refused

    async def _call(self, batch: EmbedBatch) -> _Part:
        return self._read(batch, await self._ask(batch))

    async def _ask(self, batch: EmbedBatch) -> Any:
        """The provider's answer. If it refuses a choice of size, it is asked without: its own may be the right one."""
        size = self._asked_size
        try:
            return await self._post(batch, size)
        except UpstreamRejected as refused:
            about_size = any(word in refused.message.casefold() for word in ("dimension", "matryoshka"))
            if size is None or isinstance(refused, UpstreamTooLong) or not about_size:
                raise
            answer = await self._post(batch, None)
            try:
                self._read(batch, answer)
            except UpstreamRejected:
                fix = f"unset {VARIABLE}__DIMENSIONS"
                if isinstance(self._settings, VllmEmbedding):
                    fix = f"""start vLLM with --hf-overrides '{{"is_matryoshka":true}}' or {fix}"""
                else:
                    fix = f"{fix}, or set it to a size that the model has"
                raise UpstreamRejected(f"{refused.message}: {fix}") from refused
            self._asked_size = None
            return answer

    async def _post(self, batch: EmbedBatch, size: int | None) -> Any:
        """The answer to one call; a server that refuses a member that can be left out gets it no more."""
        dialect = self._dialect
        while True:
            try:
                return await self._client.post(dialect.path, dialect.body(batch, size))
            except UpstreamRejected as refused:
                refused_member = next((name for name in dialect.optional if name in refused.message.casefold()), None)
                if refused_member is None:
                    raise
                dialect = self._dialect = dialect.without(refused_member)

    def _read(self, batch: EmbedBatch, answer: Any) -> _Part:
        try:
            reply = self._dialect.read(answer)
            return _Part(vectors_of(reply, len(batch.texts), self._info.dimensions), reply.tokens, whole=True)
        except BadAnswer as error:
            hint = f"; {VARIABLE}__DIMENSIONS and {VARIABLE}__MODEL must fit" if "dimensions" in str(error) else ""
            raise self._distrust(error, answer, hint) from error


def _joined(parts: Sequence[_Part]) -> _Part:
    if len(parts) == 1:
        return parts[0]
    return _Part(np.concatenate([part.vectors for part in parts]), sum(part.tokens for part in parts))


def open_http_embedder(settings: HttpEmbedding) -> HttpEmbedder:
    """An embedder that knows its instruct: for an alias, vLLM is asked for the model behind it.

    Blocks until the server has answered, for five seconds at most: call it on a thread without an event loop. A server
    that is not there yet leaves an alias without an instruct, and the check-up tells once it is.
    """
    root = ""
    if isinstance(settings, VllmEmbedding) and settings.instruct is None and not usual_instruct(settings.model):
        root = asyncio.run(_served_root(settings))
    return HttpEmbedder(settings, root=root)


async def _served_root(settings: VllmEmbedding) -> str:
    """The model behind the configured name; empty where the server does not tell."""
    client = ModelClient(settings, variable=VARIABLE)
    try:
        return await root_of_alias(client, settings)
    except Upstream as error:
        log.warning("%s, so no instruct is known for %s: set %s__INSTRUCT", error.message, settings.model, VARIABLE)
        return ""
    finally:
        await client.close()


def _dimensions(settings: HttpEmbedding) -> int:
    known = settings.dimensions or _KNOWN_SIZES.get(settings.model.rstrip("/").rsplit("/", 1)[-1].casefold())
    if known is None:
        raise InvalidSettings(
            f"the size of the vectors of {settings.model} is not known: set {VARIABLE}__DIMENSIONS to it"
        )
    return known
