"""Embedding and reranking of texts that no index holds: the models of a search, used alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeVar

import numpy as np

from winnow.core.errors import DeadlineExceeded, InvalidInput, ModelNotFound
from winnow.core.principal import Principal
from winnow.core.text import token_pieces
from winnow.core.types import Chunk, FloatArray
from winnow.operations.resources import Resources
from winnow.ports import EmbeddedQuery, Embedder, EmbedKind, Passage, Reranker, Tokenizer
from winnow.search.sound_scores import sound_scores

_EMBED_BATCH: Final = 64  # texts of one call to the model
_NO_LENGTH: Final = 1e-12

_Answer = TypeVar("_Answer")


class TextScore(NamedTuple):
    """The place of a text among those that were sent, and its relevance in [0, 1]."""

    place: int
    score: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """Scored texts, best first, equal ones in the order in which they were sent.

    Attributes:
        model: name of the reranker that ran.
        tokens: that were read; 0 where the model does not say.
    """

    model: str
    scores: tuple[TextScore, ...]
    tokens: int


@dataclass(frozen=True, slots=True)
class TextToEmbed:
    """A text, and how it is read: as a query with its instruct (``None`` for the model's own), or as a document."""

    text: str
    kind: EmbedKind = "document"
    instruct: str | None = None


@dataclass(frozen=True, slots=True)
class TextVectors:
    """Vectors of n texts in their order.

    Attributes:
        model: name of the embedder that ran.
        vectors: shape (n, dimensions), float32, each row of length 1, or all zeros where the model can read nothing.
        tokens: that were read, all texts together.
    """

    model: str
    vectors: FloatArray
    tokens: int


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model that texts can be sent to."""

    name: str
    provider: str
    task: Literal["embed", "rerank"]

    def is_meant(self, asked: str) -> bool:
        """Whether a caller means this model."""
        return _is_meant(self.name, asked)


def served_models(resources: Resources, principal: Principal) -> list[ServedModel]:
    """The embedders, the default one first, and the reranker. Raises ``Forbidden`` without the scope ``search``."""
    principal.require("search")
    found = [ServedModel(each.info.model, each.info.provider, "embed") for each in resources.embedders]
    if resources.text_reranker is not None:
        info = resources.text_reranker.info
        found.append(ServedModel(info.model, info.provider, "rerank"))
    return list(dict.fromkeys(found))


async def rank_texts(
    resources: Resources,
    principal: Principal,
    query: str,
    texts: Sequence[str],
    *,
    model: str | None = None,
    instruct: str | None = None,
    top_n: int | None = None,
    max_tokens: int | None = None,
) -> Ranking:
    """Score ``texts`` against ``query`` with the second stage of searches.

    Args:
        resources: the open parts of the process.
        principal: who asks; needs the scope ``search``.
        query: the question; not empty.
        texts: the passages, one at least.
        model: that the caller asked for; matters with ``server.strict_models`` only.
        instruct: replaces the configured task instruction.
        top_n: how many of the best are returned; all without it.
        max_tokens: of each text that are read, counted by the embedder's tokenizer; the rest is left out.

    Raises:
        Forbidden: the principal lacks the scope ``search``.
        ModelNotFound: there is no reranker, or not this one.
        InvalidInput: nothing to score, or ``top_n`` below 1.
        DeadlineExceeded: the model took longer than ``server.model_seconds``.
        Upstream: the model failed.
    """
    principal.require("search")
    reranker = resources.text_reranker
    if reranker is None:
        raise ModelNotFound("no reranker is configured; set WINNOW_RERANK__PROVIDER")
    _check_model(resources, model, reranker)
    if not query.strip():
        raise InvalidInput("query is empty", location=("query",))
    if not texts:
        raise InvalidInput("documents is empty; send one at least", location=("documents",))
    if top_n is not None and top_n < 1:
        raise InvalidInput(f"top_n must be 1 or more, not {top_n}", location=("top_n",))
    if max_tokens is not None:
        texts = await asyncio.to_thread(heads_of, resources.embedder.tokenizer, texts, max_tokens)
    passages = [Passage(Chunk(0, 0, len(text), text)) for text in texts]
    found = await _within(resources, reranker.rerank(EmbeddedQuery(query), passages, instruct=instruct))
    scored = [TextScore(*each) for each in enumerate(sound_scores(found.scores, len(texts), reranker.info.provider))]
    best = sorted(scored, key=lambda each: -each.score)[:top_n]
    return Ranking(reranker.info.model, tuple(best), found.tokens)


async def embed_texts(
    resources: Resources,
    principal: Principal,
    texts: Sequence[TextToEmbed],
    *,
    model: str | None = None,
    dimensions: int | None = None,
) -> TextVectors:
    """Embed ``texts`` with the configured model that the caller names, or the default one.

    A text longer than the model reads is embedded in pieces; its vector is their mean, weighted by their tokens, of
    length 1. With ``dimensions`` vectors are cut and brought back to length 1 (Matryoshka representations,
    Kusupati et al. 2022, https://arxiv.org/abs/2205.13147; other models lose more by it).

    Raises:
        Forbidden: the principal lacks the scope ``search``.
        ModelNotFound: the caller insists on another model.
        InvalidInput: there is no text, an empty one, or ``dimensions`` is out of range.
        DeadlineExceeded: the model took longer than ``server.model_seconds``.
        Upstream: the model failed.
    """
    principal.require("search")
    embedder = _embedder_of(resources, model)
    if not texts:
        raise InvalidInput("input is empty; send one text at least", location=("input",))
    for place, each in enumerate(texts):
        if not each.text.strip():
            raise InvalidInput(f"input {place} is an empty text", location=("input", place))
    if dimensions is not None and not 1 <= dimensions <= embedder.info.dimensions:
        message = f"dimensions is 1 to {embedder.info.dimensions} for {embedder.info.model}, not {dimensions}"
        raise InvalidInput(message, location=("dimensions",))
    work = _embed_all(embedder, texts)
    vectors, tokens = await _within(resources, work)
    return TextVectors(embedder.info.model, _unit(vectors[:, :dimensions]), tokens)


async def _embed_all(embedder: Embedder, texts: Sequence[TextToEmbed]) -> tuple[FloatArray, int]:
    """Vectors of shape (len(texts), dimensions), and the tokens that were read."""
    vectors = np.zeros((len(texts), embedder.info.dimensions), np.float32)
    tokens = 0
    for (kind, instruct), places in _by_use(texts).items():
        cut = await asyncio.to_thread(_cut, embedder, [texts[place].text for place in places])
        flat = [(place, text, weight) for place, parts in zip(places, cut, strict=True) for text, weight in parts]
        for start in range(0, len(flat), _EMBED_BATCH):
            batch = flat[start : start + _EMBED_BATCH]
            found = await embedder.embed([text for _, text, _ in batch], kind, instruct=instruct)
            tokens += found.token_count
            for (place, _, weight), vector in zip(batch, found.vectors, strict=True):
                vectors[place] += weight * vector
    return vectors, tokens


def _cut(embedder: Embedder, texts: Sequence[str]) -> list[list[tuple[str, int]]]:
    return [pieces(embedder.tokenizer, text, embedder.info.max_tokens) for text in texts]


def pieces(tokenizer: Tokenizer, text: str, limit: int) -> list[tuple[str, int]]:
    """``text`` in pieces of ``limit`` tokens at most, each with the number of its tokens."""
    spans = tokenizer.spans(text)
    counts = [min(limit, len(spans) - start) for start in range(0, len(spans), limit)] or [1]
    return list(zip(token_pieces(text, spans, limit), counts, strict=True))


def _by_use(texts: Sequence[TextToEmbed]) -> Mapping[tuple[EmbedKind, str | None], list[int]]:
    uses: dict[tuple[EmbedKind, str | None], list[int]] = {}
    for place, each in enumerate(texts):
        uses.setdefault((each.kind, each.instruct), []).append(place)
    return uses


def heads_of(tokenizer: Tokenizer, texts: Sequence[str], limit: int) -> list[str]:
    """The first ``limit`` tokens of each text."""
    return [pieces(tokenizer, text, limit)[0][0] for text in texts]


def _unit(vectors: FloatArray) -> FloatArray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: FloatArray = (vectors / np.maximum(lengths, _NO_LENGTH)).astype(np.float32, copy=False)
    return unit


def _embedder_of(resources: Resources, asked: str | None) -> Embedder:
    """The embedder that is asked for, else the default one. Raises as ``_check_model``."""
    if asked is not None:
        for each in resources.embedders:
            if _is_meant(each.info.model, asked):
                return each
    _check_model(resources, asked, resources.embedder)
    return resources.embedder


def _check_model(resources: Resources, asked: str | None, model: Embedder | Reranker) -> None:
    """With ``server.strict_models``, refuse a name that is not the model's."""
    name = model.info.model
    if asked is None or not resources.settings.server.strict_models or _is_meant(name, asked):
        return
    raise ModelNotFound(f"the model {asked[:100]!r} is not served here; {name!r} is", location=("model",))


def _is_meant(name: str, asked: str) -> bool:
    """Whether ``asked`` is the name of a model or the last part of it, in any case of letters."""
    return asked.casefold() in (name.casefold(), name.rpartition("/")[2].casefold())


async def _within(resources: Resources, call: Awaitable[_Answer]) -> _Answer:
    seconds = resources.settings.server.model_seconds
    try:
        async with asyncio.timeout(seconds):
            return await call
    except TimeoutError as error:
        message = f"the model took longer than WINNOW_SERVER__MODEL_SECONDS={seconds:g}; send fewer or shorter texts"
        raise DeadlineExceeded(message) from error
