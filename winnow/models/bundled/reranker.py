"""The bundled reranker: late interaction over the embedder's token vectors, with its cosine and the keyword score.

For one query and one passage it looks at

- ``maxsim``: the mean, over the query's tokens, of the best inner product with a token of the passage
  (Khattab and Zaharia 2020, https://arxiv.org/abs/2004.12832), here with a model that was not trained for it;
- ``cosine`` of the two text vectors;
- ``keywords``: BM25 divided by the number of the query's tokens plus 8, which makes short and long queries comparable
  (the 8: that a query of two words shares one of them with a passage proves little).

All three are absolute. In a search, what the candidates behind the best ten have of it is held against them all, so
that one threshold serves all queries (``standing``); given texts are compared with nothing. Where the embedder does not
know the query's language, the share of its words that a passage has decides (``shared_words``), in the order of BM25,
and the answer says so. How the constants were found, and what they cost: ``docs/decisions/`` 0002, 0016, 0024 and 0043.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from winnow.core.errors import InvalidSettings
from winnow.core.marks import Span
from winnow.core.text import encodable, token_pieces
from winnow.core.types import FloatArray, HalfArray
from winnow.models.bundled import standing
from winnow.models.bundled.shared_words import word_share
from winnow.models.bundled.span_scores import span_maxsim, spans_by_piece, vector_starts
from winnow.models.bundled.spelling import READ, spelled_like
from winnow.models.bundled.standing import Standing
from winnow.ports import (
    MIN_COVERAGE,
    EmbeddedQuery,
    Embedder,
    EmbedderInfo,
    Embeddings,
    Passage,
    PointScores,
    Reranker,
    RerankerInfo,
    Reranking,
    VectorStore,
)

_Array = npt.NDArray[np.float64]

SHORT_QUERY: Final = 8  # tokens added to each query's count
WORDS_STEEPNESS: Final = 4.0
LEAST_SHARE: Final = 1e-3  # below any real match; keeps the logarithm finite
ALL_WORDS: Final = 2.0  # keyword evidence of a text without BM25 that contains every word of the query


@dataclass(frozen=True, slots=True)
class Scale:
    """How the evidence is weighed against ``maxsim``, and where the sum becomes relevance.

    Attributes:
        cosine, keywords: their weights.
        middle: the weighted sum at which a passage is as likely relevant as not.
        steepness: of the logistic function there.
        standing: how candidates of a search are held against each other; ``None``: they are not.
        cased: whether the embedder tells capitals and accents apart.
    """

    cosine: float
    keywords: float
    middle: float
    steepness: float
    standing: Standing | None = None
    cased: bool = False


WHOLE: Final = Scale(cosine=0.3, keywords=0.1, middle=0.66, steepness=12.0)
REDUCED: Final = Scale(cosine=1.0, keywords=0.2, middle=1.07, steepness=7.4, standing=standing.ENGLISH)
"""For token vectors of fewer dimensions than the text vectors, whose ``maxsim`` is less exact: the rest counts more."""
MULTILINGUAL: Final = Scale(
    cosine=2.0, keywords=0.14, middle=2.5, steepness=10.0, standing=standing.MULTILINGUAL, cased=True
)
"""For multilingual-e5-small, whose cosines all lie between 0.7 and 0.95 (docs/decisions/0022)."""

SCALES: Final = {"intfloat/multilingual-e5-small": MULTILINGUAL}
"""Of embedders with a scale of their own, by model."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence on n passages for one query; each array has shape (n,).

    Attributes:
        maxsim: mean over the query's tokens, in [-1, 1].
        cosine: in [-1, 1].
        keywords: 0 without a common word, about 1 where half of what matters is there.
        trust: in [0, 1], how far the embedder understands query and passage; at 0 only ``share`` counts.
        share: of the query's words, in [0, 1]; 0 where ``trust`` is 1 and it does not count.
    """

    maxsim: _Array
    cosine: _Array
    keywords: _Array
    trust: _Array
    share: _Array


def relevance(evidence: Evidence, scale: Scale) -> _Array:
    """Relevance in [0, 1], shape (n,): the logistic function of ``logits``."""
    return _logistic(logits(evidence, scale))


def logits(evidence: Evidence, scale: Scale) -> _Array:
    """The logit of relevance, shape (n,), growing in each part of the evidence.

    ``understood = maxsim + scale.cosine * cosine + scale.keywords * keywords - scale.middle``
    ``logit = trust * scale.steepness * understood + (1 - trust) * 4 * ln(2 * share)``
    """
    understood = evidence.maxsim + scale.cosine * evidence.cosine + scale.keywords * evidence.keywords - scale.middle
    by_words = WORDS_STEEPNESS * np.log(np.maximum(2 * evidence.share, LEAST_SHARE))
    result: _Array = evidence.trust * scale.steepness * understood + (1 - evidence.trust) * by_words
    return result


def _logistic(logit: _Array) -> _Array:
    result: _Array = (1 + np.tanh(logit / 2)) / 2
    return result


class LateInteractionReranker(Reranker):
    """Scores stored chunks by their stored vectors, in one round trip, and any other text by embedding it now.

    A text longer than the embedder reads is scored in pieces, and its best piece counts. Where the embedder does not
    understand the query, words alone decide. The query's vectors are those of the first stage, unless that made none
    or had another instruct.

    Args:
        embedders: those that indexes are searched with; the first one embeds outside a search. An index of one without
            token vectors is not scored.
        store: that of the indexes.

    Raises:
        InvalidSettings: the first embedder has no token vectors.
    """

    def __init__(self, embedders: Iterable[Embedder], store: VectorStore) -> None:
        self._embedder = next(iter(embedders))
        if not self._embedder.info.token_dimensions:
            raise InvalidSettings(
                f"the bundled reranker needs token vectors, which {self._embedder.info.model} does not have; "
                "set WINNOW_RERANK__PROVIDER to another reranker or to none"
            )
        self._store = store

    @property
    def info(self) -> RerankerInfo:
        return RerankerInfo("bundled", _name(self._embedder), needs_tokens=True)

    async def rerank(
        self, query: EmbeddedQuery, passages: Sequence[Passage], *, instruct: str | None = None
    ) -> Reranking:
        if not passages:
            return Reranking(np.zeros(0, np.float32))
        embedder = query.embedder or self._embedder
        scale = scale_of(embedder.info)
        typed = query.text
        query = _as_spelled(query, [passage.text for passage in passages[:READ]], scale)
        asked, tokens = await _asked(query, embedder, instruct)
        known = await self._stored(query, asked, [passage.point_id for passage in passages if passage.point_id])
        found = np.zeros(len(passages))
        stored = [i for i, passage in enumerate(passages) if passage.point_id in known]
        if stored:
            points = [known[passages[i].point_id] for i in stored]
            evidence = _stored_evidence(asked, points)
            if (evidence.trust < 1).any():
                texts = [passages[i].text for i in stored]
                evidence = await asyncio.to_thread(_with_share, evidence, query.text, texts, points)
            found[stored] = logits(evidence, scale)
        raw = [i for i, passage in enumerate(passages) if passage.point_id not in known]
        if raw:
            found[raw], read = await self._score_texts(embedder, query.text, asked, [passages[i].text for i in raw])
            tokens += read
        if stored and scale.standing is not None:
            found = scale.standing.mixed(standing.BY_WORDS, float(_trust(asked)[0])).of(found)
        reason = _reason(asked)
        if query.text != typed:
            spelled = f"read as {query.text!r}, as the texts spell it"
            reason = f"{spelled}; {reason}" if reason else spelled
        return Reranking(_logistic(found).astype(np.float32), tokens, reason, _name(embedder))

    async def score_spans(
        self,
        query: EmbeddedQuery,
        texts: Sequence[str],
        spans: Sequence[Sequence[Span]],
        *,
        instruct: str | None = None,
    ) -> Sequence[FloatArray]:
        """See ``ScoresSpans``: the evidence of a span is that of its token vectors and words, and its text's cosine.

        A span that the embedder reads in two pieces has the better score of the two.
        """
        embedder = query.embedder or self._embedder
        query = _as_spelled(query, texts[:READ], scale_of(embedder.info))
        asked, _ = await _asked(query, embedder, instruct)
        windows = await asyncio.to_thread(lambda: [_windows(embedder, text) for text in texts])
        flat = [piece for part in windows for piece in part]
        embedded = await embedder.embed(flat, "document") if _legible(asked) and flat else None
        scorer = _SpanScorer(query.text, asked, embedder, embedded)
        firsts = np.cumsum([0, *map(len, windows[:-1])]).tolist()

        def score() -> list[FloatArray]:
            return [scorer.best(*each) for each in zip(firsts, windows, spans, strict=True)]

        return await asyncio.to_thread(score)

    async def close(self) -> None:
        """Nothing of its own is open: embedder and store belong to whoever passed them in."""

    async def _stored(
        self, query: EmbeddedQuery, asked: Embeddings, point_ids: Sequence[str]
    ) -> dict[str, PointScores]:
        """The store's scores by point id, without points that are gone: those score nothing at all."""
        if query.index is None or not point_ids:
            return {}
        legible = _legible(asked)
        found = await self._store.score(
            query.index,
            point_ids,
            dense=asked.vectors[0] if legible else None,
            text=encodable(query.text),  # the engine refuses a lone surrogate
            tokens=_query_tokens(asked) if legible else None,
        )
        return {each: scores for each, scores in found.items() if scores != PointScores()}

    async def _score_texts(
        self, embedder: Embedder, query: str, asked: Embeddings, passages: Sequence[str]
    ) -> tuple[_Array, int]:
        """Logits of texts that are not stored, shape (len(passages),), and the tokens read for them."""
        if not _legible(asked):
            share = await asyncio.to_thread(word_share, query, passages)
            nothing = np.zeros_like(share)
            return logits(Evidence(nothing, nothing, nothing, nothing, share), scale_of(embedder.info)), 0
        windows = await asyncio.to_thread(lambda: [_windows(embedder, passage) for passage in passages])
        texts = [text for part in windows for text in part]
        embedded = await embedder.embed(texts, "document")
        evidence = await asyncio.to_thread(_text_evidence, query, asked, texts, embedded)
        starts = np.cumsum([0, *map(len, windows[:-1])])
        return np.maximum.reduceat(logits(evidence, scale_of(embedder.info)), starts), embedded.token_count


def _name(embedder: Embedder) -> str:
    return f"late-interaction/{embedder.info.model}"


def scale_of(info: EmbedderInfo) -> Scale:
    """The scale for the vectors of an embedder."""
    general = REDUCED if info.token_dimensions < info.dimensions else WHOLE
    return SCALES.get(info.model, general)


def _as_spelled(query: EmbeddedQuery, texts: Sequence[str], scale: Scale) -> EmbeddedQuery:
    """The query as ``texts`` spell it, not embedded yet where that is another text."""
    spelled = spelled_like(query.text, texts, cased=scale.cased)
    return query if spelled == query.text else replace(query, text=spelled, embeddings=None)


async def _asked(query: EmbeddedQuery, embedder: Embedder, instruct: str | None) -> tuple[Embeddings, int]:
    """The query's vectors, and the number of tokens that were read for them just now."""
    if query.embeddings is not None and query.instruct == instruct:
        return query.embeddings, 0
    asked = await embedder.embed([query.text], "query", instruct=instruct)
    return asked, 0 if asked.cached else asked.token_count


def _windows(embedder: Embedder, text: str) -> list[str]:
    """``text`` in pieces that the embedder reads whole."""
    return token_pieces(text, embedder.tokenizer.spans(text), embedder.info.max_tokens)


def _stored_evidence(asked: Embeddings, found: Sequence[PointScores]) -> Evidence:
    """From the store's scores. A chunk without vectors is one that the embedder did not understand."""
    count = len(_query_tokens(asked))
    with_vectors = np.array([scores.dense is not None and scores.maxsim is not None for scores in found])
    return Evidence(
        maxsim=np.array([scores.maxsim or 0.0 for scores in found]) / max(1, count),
        cosine=np.array([scores.dense or 0.0 for scores in found]),
        keywords=np.array([scores.sparse or 0.0 for scores in found]) / (count + SHORT_QUERY),
        trust=_trust(asked)[0] * with_vectors,
        share=np.zeros(len(found)),
    )


def _with_share(evidence: Evidence, query: str, texts: Sequence[str], found: Sequence[PointScores]) -> Evidence:
    bm25 = np.array([scores.sparse or 0.0 for scores in found])
    return replace(evidence, share=word_share(query, texts, bm25))


def _reason(asked: Embeddings) -> str | None:
    """What the scores are made of, where the embedder does not know the query well."""
    trust = float(_trust(asked)[0]) if _legible(asked) else 0.0
    if trust == 1:
        return None
    known = f"the embedding model knows {asked.coverage[0]:.0%} of the query's text"
    if trust == 0:
        return f"scored by the share of the query's words alone: {known}"
    return f"scored by vectors with a weight of {trust:.0%}, and by the share of the query's words: {known}"


def _text_evidence(query: str, asked: Embeddings, texts: Sequence[str], embedded: Embeddings) -> Evidence:
    """From the texts themselves."""
    share = word_share(query, texts)
    ours = _query_tokens(asked).astype(np.float32)
    theirs = [tokens.astype(np.float32) for tokens in embedded.tokens or ()]
    with_tokens = np.array([len(tokens) > 0 for tokens in theirs])
    return Evidence(
        maxsim=np.array([(ours @ tokens.T).max(axis=1).mean() if len(tokens) else 0.0 for tokens in theirs]),
        cosine=(embedded.vectors @ asked.vectors[0]).astype(np.float64),
        keywords=ALL_WORDS * share,
        trust=np.minimum(_trust(asked)[0], _trust(embedded)) * with_tokens,
        share=share,
    )


@dataclass(frozen=True, slots=True)
class _SpanScorer:
    """Scores spans of texts; ``embedded`` are the pieces of all texts in a row, ``None`` where words alone decide."""

    query: str
    asked: Embeddings
    embedder: Embedder
    embedded: Embeddings | None

    def best(self, first: int, pieces: Sequence[str], spans: Sequence[Span]) -> FloatArray:
        """The scores of the spans of a text whose pieces begin at ``first``; of a span in two pieces the better one."""
        scores = np.zeros(len(spans), np.float32)
        for number, (piece, inside) in enumerate(zip(pieces, spans_by_piece(spans, pieces), strict=True), first):
            found = relevance(self._evidence(number, piece, list(inside.values())), scale_of(self.embedder.info))
            for place, score in zip(inside, found.tolist(), strict=True):
                scores[place] = max(scores[place], score)
        return scores

    def _evidence(self, number: int, text: str, spans: Sequence[Span]) -> Evidence:
        share = word_share(self.query, [text[span.start : span.end] for span in spans])
        embedded = self.embedded
        tokens = embedded.tokens[number] if embedded is not None and embedded.tokens else None
        if embedded is None or tokens is None or not len(tokens):
            nothing = np.zeros(len(spans))
            return Evidence(nothing, nothing, nothing, nothing, share)
        starts = vector_starts(self.embedder.tokenizer.spans(text), len(tokens))
        return Evidence(
            maxsim=span_maxsim(_query_tokens(self.asked), tokens, starts, spans),
            cosine=np.full(len(spans), float(embedded.vectors[number] @ self.asked.vectors[0])),
            keywords=ALL_WORDS * share,
            trust=np.full(len(spans), min(float(_trust(self.asked)[0]), float(_trust(embedded)[number]))),
            share=share,
        )


def _query_tokens(asked: Embeddings) -> HalfArray:
    return asked.tokens[0] if asked.tokens else np.zeros((0, 0), np.float16)


def _legible(asked: Embeddings) -> bool:
    """Whether the query's vectors are worth a comparison."""
    return bool(asked.coverage[0] >= MIN_COVERAGE) and len(_query_tokens(asked)) > 0


def _trust(embedded: Embeddings) -> _Array:
    """0 up to half of a text known, then rising to 1: one known word in a foreign sentence does not make it legible."""
    return np.clip((embedded.coverage.astype(np.float64) - MIN_COVERAGE) / (1 - MIN_COVERAGE), 0, 1)
