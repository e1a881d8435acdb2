"""Dialects of reranking providers: the body of a call and the limits of the provider.

Sources: vLLM's pooling server; Alibaba Cloud Model Studio, "Text rerank" (both its APIs, and the wrapped form of
gateways); the API references of Jina, SiliconFlow, DMXAPI, SGLang, Cohere (v2) and Text Embeddings Inference. No
dialect sends ``top_n``: without it every provider scores all documents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from winnow.core.errors import InvalidSettings
from winnow.core.settings.embedding import QWEN3_INSTRUCT
from winnow.core.settings.rerank import (
    CohereRerank,
    DashScopeNativeRerank,
    DashScopeRerank,
    HttpRerank,
    JinaRerank,
    TeiRerank,
    VllmRerank,
    WrappedRerank,
    is_listwise,
    is_multimodal,
)
from winnow.models.http.rerank_answers import Scale
from winnow.models.http.rerank_packing import Limits, RerankItem, RerankQuestion
from winnow.models.prompts import RERANK_PREFIX, RERANK_SUFFIX, rerank_document, rerank_head

_QUERY_TOKENS: Final = 4000  # of Alibaba's rerankers
_COHERE_QUERY_TOKENS: Final = 2048
_QWEN3_TEMPLATE: Final = 64  # 48 around instruct, query and document, 11 in front of them, and where these meet
_UNKNOWN_TEMPLATE: Final = 16  # a cross-encoder has four special tokens around query and document


class RerankDialect(Protocol):
    """One way to ask for scores, and the properties of the providers that use it.

    Attributes:
        limits: the provider's limits.
        takes_instruct: whether an instruct is sent.
        usual_instruct: the instruct that is sent where none is configured.
        harmless: whether special tokens in texts must be broken up, because the model would read them as such.
        pointwise: whether a document's score does not depend on the others of its call.
        scale: the range of the scores.
    """

    limits: Limits
    takes_instruct: bool
    usual_instruct: str
    harmless: bool
    pointwise: bool
    scale: Scale

    def body(self, question: RerankQuestion, items: Sequence[RerankItem]) -> Mapping[str, Any]:
        """The request."""
        ...


@dataclass(kw_only=True)
class _Known:
    """The attributes of ``RerankDialect`` with their usual values."""

    limits: Limits
    takes_instruct: bool = True
    usual_instruct: str = ""
    harmless: bool = False
    pointwise: bool = True
    scale: Scale = "probability"


@dataclass(kw_only=True)
class Flat(_Known):
    """``{model, query, documents, instruct?, …}``.

    Attributes:
        instruct_field: the provider's name for the instruct.
        extras: further members of every request.
    """

    model: str
    instruct_field: str = "instruct"
    extras: Mapping[str, Any] = field(default_factory=dict)

    def body(self, question: RerankQuestion, items: Sequence[RerankItem]) -> Mapping[str, Any]:
        said = {self.instruct_field: question.instruct} if question.instruct else {}
        documents = [item.text for item in items]
        return {"model": self.model, "query": question.query, "documents": documents, **said, **self.extras}


@dataclass(kw_only=True)
class ClientTemplate(_Known):
    """Flat, for vLLM without a chat template: it joins query and document, and the two make up the whole prompt."""

    model: str

    def body(self, question: RerankQuestion, items: Sequence[RerankItem]) -> Mapping[str, Any]:
        query = RERANK_PREFIX + rerank_head(question.instruct, question.query)
        documents = [rerank_document(item.text) + RERANK_SUFFIX for item in items]
        return {"model": self.model, "query": query, "documents": documents}


@dataclass(kw_only=True)
class Native(_Known):
    """DashScope's native API: ``{model, input: {query, documents}, parameters}``.

    Attributes:
        multimodal: whether documents are objects that name their kind, as qwen3-vl-rerank takes them.
        fps: share of a video's frames that is looked at; ``None`` leaves it to the provider.
    """

    model: str
    multimodal: bool
    fps: float | None = None

    def body(self, question: RerankQuestion, items: Sequence[RerankItem]) -> Mapping[str, Any]:
        parameters: dict[str, Any] = {"return_documents": False}
        if question.instruct:
            parameters["instruct"] = question.instruct
        if self.fps is not None and any(item.kind == "video" for item in items):
            parameters["fps"] = self.fps
        documents = [{item.kind: item.text} if self.multimodal else item.text for item in items]
        return {
            "model": self.model,
            "input": {"query": question.query, "documents": documents},
            "parameters": parameters,
        }


@dataclass(kw_only=True)
class Tei(_Known):
    """``{query, texts, raw_scores, truncate}``.

    What is too long by its own tokenizer it cuts itself, off the longer text of a pair; else it refuses the whole call.
    """

    def body(self, question: RerankQuestion, items: Sequence[RerankItem]) -> Mapping[str, Any]:
        texts = [item.text for item in items]
        return {"query": question.query, "texts": texts, "raw_scores": False, "truncate": True}


def rerank_dialect(settings: HttpRerank) -> RerankDialect:
    """The dialect that a provider speaks."""
    match settings:
        case VllmRerank():
            return _vllm(settings)
        case DashScopeRerank() | WrappedRerank():
            return Flat(model=settings.model, limits=_alibaba_limits(settings))
        case DashScopeNativeRerank():
            multimodal = is_multimodal(settings.model)
            return Native(
                model=settings.model,
                limits=_alibaba_limits(settings),
                multimodal=multimodal,
                takes_instruct=multimodal,  # gte-rerank-v2 takes none
                fps=settings.fps,
            )
        case JinaRerank():
            return _jina(settings)
        case CohereRerank():
            limits = _limits(settings)._replace(query_tokens=_COHERE_QUERY_TOKENS)
            extras = {"max_tokens_per_doc": settings.max_tokens}
            return Flat(model=settings.model, limits=limits, takes_instruct=False, extras=extras)
        case TeiRerank():
            return Tei(limits=_limits(settings), takes_instruct=False)
        case _:
            raise InvalidSettings(f"no dialect is known for the reranker {settings.provider}")


def _vllm(settings: VllmRerank) -> RerankDialect:
    """Both ways to prompt; vLLM hands special tokens in texts to the model as such."""
    limits = Limits(settings.max_tokens, settings.max_documents, template=_QWEN3_TEMPLATE)
    if settings.template == "client":
        return ClientTemplate(model=settings.model, limits=limits, usual_instruct=QWEN3_INSTRUCT, harmless=True)
    return Flat(
        model=settings.model,
        limits=limits,
        instruct_field="instruction",
        usual_instruct=QWEN3_INSTRUCT,
        harmless=True,
    )


def _jina(settings: JinaRerank) -> RerankDialect:
    """Jina's shape, behind which may be any model, Qwen3's too. jina-reranker-v3 is listwise and answers cosines."""
    listwise = is_listwise(settings.model)
    qwen3 = "qwen3" in settings.model.casefold()
    return Flat(
        model=settings.model,
        limits=_limits(settings)._replace(template=_QWEN3_TEMPLATE if qwen3 else _UNKNOWN_TEMPLATE),
        instruct_field=settings.instruct_field,
        extras={"return_documents": False} if settings.spare_texts else {},
        harmless=qwen3,
        pointwise=not listwise,
        scale="cosine" if listwise else "probability",
    )


def _limits(settings: HttpRerank) -> Limits:
    return Limits(settings.max_tokens, settings.max_documents, template=_UNKNOWN_TEMPLATE)


def _alibaba_limits(settings: DashScopeRerank | DashScopeNativeRerank | WrappedRerank) -> Limits:
    """Query and documents have a limit each; a call counts the query once for each document."""
    return Limits(
        settings.max_tokens,
        settings.max_documents,
        together=False,
        query_tokens=min(_QUERY_TOKENS, settings.max_tokens),
        request_tokens=settings.max_request_tokens,
    )
