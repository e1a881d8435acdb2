"""Dialects of reranking providers: the limits of the provider, the body of a call and the reading of its answer.

Sources: vLLM's pooling server; Alibaba Cloud Model Studio, "Text rerank" (both its APIs, and the wrapped form of
gateways); the API references of Jina, SiliconFlow, DMXAPI, SGLang, Cohere (v2) and Text Embeddings Inference. No
dialect sends ``top_n``: without it every provider scores all documents.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Literal

import numpy as np

from winnow.core.errors import InvalidSettings
from winnow.core.settings.embedding import QWEN3_INSTRUCT
from winnow.core.settings.rerank import (
    AlibabaRerank,
    CohereRerank,
    DashScopeNativeRerank,
    HttpRerank,
    JinaRerank,
    TeiRerank,
    VllmRerank,
    is_listwise,
    is_multimodal,
)
from winnow.models.http.model import BadAnswer, in_order
from winnow.models.http.rerank_packing import Limits, RerankItem, RerankQuestion
from winnow.models.prompts import RERANK_PREFIX, RERANK_SUFFIX, rerank_document, rerank_head
from winnow.ports import Reranking

Scale = Literal["probability", "cosine", "logit"]

_QUERY_TOKENS: Final = 4000  # of Alibaba's rerankers
_COHERE_QUERY_TOKENS: Final = 2048
_QWEN3_TEMPLATE: Final = 64  # 48 around instruct, query and document, 11 in front of them, and where these meet
_UNKNOWN_TEMPLATE: Final = 16  # a cross-encoder has four special tokens around query and document
_ROUNDING: Final = 1e-6  # by which a score may leave its range


class OutOfScale(BadAnswer):
    """A score that the expected scale does not have."""


@dataclass(kw_only=True)
class RerankDialect(ABC):
    """One way to ask for scores, and the properties of the providers that use it.

    Attributes:
        model: its name in requests.
        limits: the provider's limits.
        takes_instruct: whether an instruct is sent.
        usual_instruct: the instruct that is sent where none is configured.
        harmless: whether special tokens in texts must be broken up, because the model would read them as such.
        pointwise: whether a document's score does not depend on the others of its call.
        scale: the range of the scores.
    """

    model: str
    limits: Limits
    takes_instruct: bool = True
    usual_instruct: str = ""
    harmless: bool = False
    pointwise: bool = True
    scale: Scale = "probability"

    @abstractmethod
    def body(self, question: RerankQuestion, items: Sequence[RerankItem]) -> Mapping[str, Any]:
        """The request."""


@dataclass(kw_only=True)
class Flat(RerankDialect):
    """``{model, query, documents, instruct?, …}``.

    Attributes:
        instruct_field: the provider's name for the instruct.
        extras: further members of every request.
    """

    instruct_field: str = "instruct"
    extras: Mapping[str, Any] = field(default_factory=dict)

    def body(self, question: RerankQuestion, items: Sequence[RerankItem]) -> Mapping[str, Any]:
        said = {self.instruct_field: question.instruct} if question.instruct else {}
        documents = [item.text for item in items]
        return {"model": self.model, "query": question.query, "documents": documents, **said, **self.extras}


class ClientTemplate(RerankDialect):
    """Flat, for vLLM without a chat template: it joins query and document, and the two make up the whole prompt."""

    def body(self, question: RerankQuestion, items: Sequence[RerankItem]) -> Mapping[str, Any]:
        query = RERANK_PREFIX + rerank_head(question.instruct, question.query)
        documents = [rerank_document(item.text) + RERANK_SUFFIX for item in items]
        return {"model": self.model, "query": query, "documents": documents}


@dataclass(kw_only=True)
class Native(RerankDialect):
    """DashScope's native API: ``{model, input: {query, documents}, parameters}``.

    Attributes:
        multimodal: whether documents are objects that name their kind, as qwen3-vl-rerank takes them.
        fps: share of a video's frames that is looked at; ``None`` leaves it to the provider.
    """

    multimodal: bool
    fps: float | None

    def body(self, question: RerankQuestion, items: Sequence[RerankItem]) -> Mapping[str, Any]:
        parameters: dict[str, Any] = {"return_documents": False}
        if question.instruct:
            parameters["instruct"] = question.instruct
        if self.fps is not None and any(item.kind == "video" for item in items):
            parameters["fps"] = self.fps
        documents = [{item.kind: item.text} if self.multimodal else item.text for item in items]
        asked = {"query": question.query, "documents": documents}
        return {"model": self.model, "input": asked, "parameters": parameters}


class Tei(RerankDialect):
    """``{query, texts, raw_scores, truncate}``.

    What is too long by its own tokenizer it cuts itself, off the longer text of a pair; else it refuses the whole call.
    """

    def body(self, question: RerankQuestion, items: Sequence[RerankItem]) -> Mapping[str, Any]:
        texts = [item.text for item in items]
        return {"query": question.query, "texts": texts, "raw_scores": False, "truncate": True}


def rerank_dialect(settings: HttpRerank) -> RerankDialect:
    """The dialect that a provider speaks, with the configured scale of scores."""
    dialect = _dialect(settings)
    dialect.scale = settings.scale or dialect.scale
    return dialect


def _dialect(settings: HttpRerank) -> RerankDialect:
    """As the provider documents it. vLLM hands special tokens in texts to the model as such."""
    model = settings.model
    limits = Limits(settings.max_tokens, settings.max_documents, template=_UNKNOWN_TEMPLATE)
    match settings:
        case VllmRerank():
            kind = ClientTemplate if settings.template == "client" else partial(Flat, instruct_field="instruction")
            limits = limits._replace(template=_QWEN3_TEMPLATE)
            return kind(model=model, limits=limits, usual_instruct=QWEN3_INSTRUCT, harmless=True)
        case DashScopeNativeRerank(fps=fps):
            multimodal = is_multimodal(model)  # gte-rerank-v2, which is not, takes no instruct
            limits = _alibaba_limits(settings)
            return Native(model=model, limits=limits, multimodal=multimodal, takes_instruct=multimodal, fps=fps)
        case AlibabaRerank():
            return Flat(model=model, limits=_alibaba_limits(settings))
        case JinaRerank():
            return _jina(settings, limits)
        case CohereRerank():
            limits = limits._replace(query_tokens=_COHERE_QUERY_TOKENS)
            extras = {"max_tokens_per_doc": settings.max_tokens}
            return Flat(model=model, limits=limits, takes_instruct=False, extras=extras)
        case TeiRerank():
            return Tei(model=model, limits=limits, takes_instruct=False)
        case _:
            raise InvalidSettings(f"no dialect is known for the reranker {settings.provider}")


def _jina(settings: JinaRerank, limits: Limits) -> RerankDialect:
    """Jina's shape, behind which may be any model, Qwen3's too. jina-reranker-v3 is listwise and answers cosines."""
    listwise = is_listwise(settings.model)
    qwen3 = "qwen3" in settings.model.casefold()
    return Flat(
        model=settings.model,
        limits=limits._replace(template=_QWEN3_TEMPLATE) if qwen3 else limits,
        instruct_field=settings.instruct_field,
        extras={"return_documents": False} if settings.spare_texts else {},
        harmless=qwen3,
        pointwise=not listwise,
        scale="cosine" if listwise else "probability",
    )


def _alibaba_limits(settings: AlibabaRerank) -> Limits:
    """Query and documents have a limit each; a call counts the query once for each document."""
    return Limits(
        settings.max_tokens,
        settings.max_documents,
        together=False,
        query_tokens=min(_QUERY_TOKENS, settings.max_tokens),
        request_tokens=settings.max_request_tokens,
    )


def read_scores(answer: Any, count: int, scale: Scale = "probability") -> Reranking:
    """The scores of ``count`` documents; the documents that some providers echo are not looked at.

    Shapes that are read::

        {"results": [{"index", "relevance_score"}], "usage": {"total_tokens"}}      vLLM, DashScope, Jina, DMXAPI
        {"output": {"results": [...]}, "usage": {"total_tokens"}}                   DashScope native, gateways
        {"results": [...], "tokens" or "meta": {"input_tokens", "output_tokens"}}   SiliconFlow
        {"results": [...], "meta": {"tokens": {"input_tokens", "output_tokens"}}}   Cohere
        [{"index", "score"}]                                                        TEI, SGLang

    ``scale`` is what the provider's scores are: probabilities; cosines in [-1, 1], which become ``(1 + s) / 2``; or
    logits, which become ``1 / (1 + exp(-s))``.

    Raises:
        BadAnswer: of another shape; an index is out of range, repeated or missing; a score is out of range.
    """
    rows = ((row.get("index"), _score(row, scale)) for row in _rows(answer))
    return Reranking(np.array(in_order(rows, count, "document", "result"), dtype=np.float32), _tokens(answer))


def _rows(answer: Any) -> list[Mapping[str, Any]]:
    rows = answer
    if isinstance(answer, dict):
        output = answer.get("output")
        rows = answer.get("results", output.get("results") if isinstance(output, dict) else None)
    if isinstance(rows, list) and all(isinstance(row, dict) for row in rows):
        return rows
    raise BadAnswer("it has no list of results")


def _score(row: Mapping[str, Any], scale: Scale) -> float:
    value = row.get("relevance_score", row.get("score"))
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise BadAnswer(f"a result has the score {value!r}")
    if scale == "logit":
        return (1 + math.tanh(value / 2)) / 2  # the logistic function, which does not overflow in this form
    lowest = 0.0 if scale == "probability" else -1.0
    if not lowest - _ROUNDING <= value <= 1 + _ROUNDING:
        raise OutOfScale(f"a score is {str(value)[:20]}, outside [{lowest:g}, 1]")
    return min(max((value - lowest) / (1 - lowest), 0.0), 1.0)


def _tokens(answer: Any) -> int:
    """Tokens by whatever name; 0 where there are none, or none that make sense."""
    if not isinstance(answer, dict):
        return 0
    meta = answer.get("meta")
    inner = meta.get("tokens") if isinstance(meta, dict) else None
    for place in (answer.get("usage"), answer.get("tokens"), inner, meta):
        if isinstance(place, dict):
            parts = [place.get("input_tokens"), place.get("output_tokens")]
            total = place.get("total_tokens") or sum(part for part in parts if isinstance(part, int))
            if isinstance(total, int) and total > 0:
                return total
    return 0
