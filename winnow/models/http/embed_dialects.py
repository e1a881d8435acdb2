"""Dialects of embedding providers: the body of a call and the reading of its answer.

Sources: OpenAI's API reference (embeddings); vLLM's pooling server; Alibaba Cloud Model Studio, "Text embedding
synchronous API" (both its APIs).
"""

from __future__ import annotations

import base64
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple, assert_never

import numpy as np

from winnow.core.settings.embedding import DashScopeEmbedding, OpenAIEmbedding, VllmEmbedding
from winnow.core.types import FloatArray
from winnow.models.http.model import BadAnswer, in_order
from winnow.models.prompts import embedding_query, neutralise
from winnow.ports import EmbedKind

HttpEmbedding = VllmEmbedding | OpenAIEmbedding | DashScopeEmbedding

_COMPATIBLE_PATH: Final = "/compatible-mode/v1/embeddings"
_NATIVE_PATH: Final = "/api/v1/services/embeddings/text-embedding/text-embedding"
_OPTIONAL: Final = ("encoding_format", "priority")
_AFTER_QUERIES: Final = 1
_SHORTEST: Final = 1e-12  # a vector of this length has no direction that could be trusted


class EmbedBatch(NamedTuple):
    """Texts of one call. ``instruct`` is empty for documents."""

    texts: Sequence[str]
    kind: EmbedKind
    instruct: str

    def cut(self, size: int) -> list[EmbedBatch]:
        """Batches of at most ``size`` texts."""
        return [self._replace(texts=self.texts[begin : begin + size]) for begin in range(0, len(self.texts), size)]


class EmbedAnswer(NamedTuple):
    """An answer as it came: embeddings with the indices that the provider gave them, and tokens as it counts them."""

    embeddings: Sequence[tuple[Any, Any]]
    tokens: int


@dataclass(frozen=True)
class EmbedDialect(ABC):
    """One way to ask for embeddings.

    Attributes:
        path: of the call, under the provider's URL.
        model: its name in requests.
    """

    path: str
    model: str

    def text(self, text: str, kind: EmbedKind, instruct: str) -> str:  # noqa: ARG002 - some send the instruct apart
        """The text as it is sent."""
        return neutralise(text)

    @property
    def optional(self) -> Sequence[str]:
        """Members of its requests that a server may refuse, and that can be left out."""
        return ()

    def without(self, member: str) -> EmbedDialect:
        """The dialect without one of its ``optional`` members."""
        raise KeyError(member)

    @abstractmethod
    def body(self, batch: EmbedBatch, dimensions: int | None) -> Mapping[str, Any]:
        """The request, with ``dimensions`` where the size of the vectors is to be asked for."""

    @abstractmethod
    def read(self, answer: Any) -> EmbedAnswer:
        """The answer to a request; raises ``BadAnswer`` for one of another shape."""


@dataclass(frozen=True)
class OpenAIShape(EmbedDialect):
    """``{model, input, dimensions?, …}`` → ``{data: [{index, embedding}], usage: {prompt_tokens}}``.

    Attributes:
        extras: further members of every request.
        for_documents: further members of requests with documents.
    """

    extras: Mapping[str, Any]
    for_documents: Mapping[str, Any] = field(default_factory=dict)

    def text(self, text: str, kind: EmbedKind, instruct: str) -> str:
        """The query behind its instruct in Qwen3's own words."""
        return embedding_query(neutralise(instruct), neutralise(text)) if kind == "query" else neutralise(text)

    @property
    def optional(self) -> Sequence[str]:
        return [name for name in _OPTIONAL if name in {**self.extras, **self.for_documents}]

    def without(self, member: str) -> OpenAIShape:
        extras, others = ({k: v for k, v in all_.items() if k != member} for all_ in (self.extras, self.for_documents))
        return replace(self, extras=extras, for_documents=others)

    def body(self, batch: EmbedBatch, dimensions: int | None) -> Mapping[str, Any]:
        size = {} if dimensions is None else {"dimensions": dimensions}
        more = self.for_documents if batch.kind == "document" else {}
        return {"model": self.model, "input": batch.texts, **self.extras, **more, **size}

    def read(self, answer: Any) -> EmbedAnswer:
        return _read(answer, rows=_member(answer, "data"), index="index")


class DashScopeNative(EmbedDialect):
    """``{model, input: {texts}, parameters}`` → ``{output: {embeddings: [{text_index, embedding}]}, usage}``.

    Tells queries from documents, and has a field for the instruct.
    """

    def body(self, batch: EmbedBatch, dimensions: int | None) -> Mapping[str, Any]:
        parameters: dict[str, Any] = {"text_type": batch.kind, "output_type": "dense"}
        if dimensions is not None:
            parameters["dimension"] = dimensions
        if batch.instruct:
            parameters["instruct"] = neutralise(batch.instruct)
        return {"model": self.model, "input": {"texts": batch.texts}, "parameters": parameters}

    def read(self, answer: Any) -> EmbedAnswer:
        return _read(answer, rows=_member(_member(answer, "output"), "embeddings"), index="text_index")


def embed_dialect(settings: HttpEmbedding) -> EmbedDialect:
    """The dialect that a provider speaks.

    vLLM gets ``truncate_prompt_tokens`` alone: it then cuts a text in front of the closing token that the vector is
    read from. With ``truncation_side`` it would cut that token. Its documents come after queries: a lower ``priority``
    is served earlier, 0 unless given. Without priority scheduling vLLM ignores the field, or refuses it.
    """
    match settings:
        case VllmEmbedding():
            extras = {"encoding_format": "base64", "truncate_prompt_tokens": -1}
            return OpenAIShape(settings.path, settings.model, extras, {"priority": _AFTER_QUERIES})
        case OpenAIEmbedding():
            return OpenAIShape(settings.path, settings.model, {"encoding_format": "base64"})
        case DashScopeEmbedding(api="native"):
            return DashScopeNative(_NATIVE_PATH, settings.model)
        case DashScopeEmbedding():
            return OpenAIShape(_COMPATIBLE_PATH, settings.model, {"encoding_format": "float"})
        case unknown:
            assert_never(unknown)


def vectors_of(reply: EmbedAnswer, count: int, dimensions: int) -> FloatArray:
    """The vectors of ``count`` texts in their order, shape (count, dimensions), each of length 1.

    Vectors of another length are normalised: some servers cut a vector to the wanted size and leave it at that.

    Raises:
        BadAnswer: an index is missing, repeated or out of range, or a vector has another size, is not finite or zero.
    """
    rows = ((index, _vector(embedding, index, dimensions)) for index, embedding in reply.embeddings)
    return _normalised(np.array(in_order(rows, count, "text", "vector"), dtype=np.float32).reshape(count, dimensions))


def _read(answer: Any, rows: Any, index: str) -> EmbedAnswer:
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadAnswer("the answer has no list of embeddings")
    usage = answer.get("usage") or {}
    tokens = usage.get("prompt_tokens") or usage.get("total_tokens") if isinstance(usage, dict) else 0
    embeddings = [(row.get(index), row.get("embedding")) for row in rows]
    return EmbedAnswer(embeddings, tokens if isinstance(tokens, int) and tokens > 0 else 0)


def _member(answer: Any, name: str) -> Any:
    if not isinstance(answer, dict):
        raise BadAnswer(f"the answer is a {type(answer).__name__} where an object with {name!r} was expected")
    if name not in answer:
        raise BadAnswer(f"the answer has no {name!r}")
    return answer[name]


def _vector(embedding: Any, index: Any, dimensions: int) -> FloatArray:
    """One vector, from base64 of little-endian float32 or from a list of numbers."""
    try:
        if isinstance(embedding, str):
            vector: FloatArray = np.frombuffer(base64.b64decode(embedding, validate=True), dtype="<f4")
        else:
            with np.errstate(over="ignore"):  # too large a number becomes infinite, which is looked for
                vector = np.array(embedding, dtype=np.float32).reshape(len(embedding))
    except (ValueError, TypeError) as error:
        raise BadAnswer(f"vector {index} is neither base64 of floats nor a list of numbers") from error
    if vector.size != dimensions:
        raise BadAnswer(f"a vector has {vector.size} dimensions, {dimensions} are expected")
    return vector


def _normalised(vectors: FloatArray) -> FloatArray:
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    bad = np.flatnonzero(~np.isfinite(lengths[:, 0]) | (lengths[:, 0] < _SHORTEST))
    if bad.size:
        what = "zero" if np.isfinite(vectors[bad[0]]).all() else "not finite"
        raise BadAnswer(f"vector {bad[0]} is {what}")
    unit: FloatArray = (vectors / lengths).astype(np.float32)
    return unit
