"""Requests for a reranking, as the clients of each protocol write them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import Discriminator, Field

from service.doors import templates
from service.doors.bodies import ForeignBody
from service.schemas.common import Wire, variant
from winnow.core.errors import InvalidInput
from winnow.operations.relevant_spans import SpanRules

MAX_TEXTS: Final = 10_000  # Cohere's limit, the highest of these protocols
_KINDS: Final = ("image", "video")  # of Alibaba's qwen3-vl-rerank
_TOLD_BY: Final = {"texts": "(tei)", "docs": "(simple)", "candidates": "(candidates)"}

Text = str | dict[str, Any]
Texts = Annotated[list[Text], Field(max_length=MAX_TEXTS)]


class Scoring(Wire):
    """What every protocol asks for: a query, the texts to score, the task, and how the answer is cut."""

    query: str
    texts: list[str]
    instruct: str | None = None
    model: str | None = None
    top_n: int | None = None
    max_tokens: int | None = None


class RelevantSpansBody(ForeignBody):
    """Cohere's ``relevant_spans``: whether the parts of a document that make it relevant are named."""

    mode: Literal["enabled", "disabled"] = "enabled"
    threshold: float = Field(0.1, ge=0, le=1)
    max_spans: int | None = Field(None, ge=1)

    @property
    def rules(self) -> SpanRules | None:
        """The domain's form; ``None`` where no spans are wanted."""
        return SpanRules(self.threshold, self.max_spans) if self.mode == "enabled" else None


class FlatRerankBody(ForeignBody):
    """``POST /v1/rerank`` and ``/v2/rerank``: Cohere (v1 and v2), Jina, vLLM, SiliconFlow, DMXAPI, and DashScope's
    compatible ``/reranks``. Instructs have two names.
    """

    model: str | None = None
    query: Text
    documents: Texts
    top_n: int | None = None
    return_documents: bool = False
    rank_fields: list[str] = Field([], description="members of documents that are objects; `text` without it")
    max_tokens_per_doc: int | None = Field(None, ge=1, description="tokens of each document that are read")
    relevant_spans: RelevantSpansBody = RelevantSpansBody(mode="disabled")
    instruct: str | None = None
    instruction: str | None = None

    def scoring(self) -> Scoring:
        """The request in our terms. Raises ``InvalidInput``."""
        query = templates.bare_rerank_query(_text(self.query, "query"))
        texts = [
            templates.bare_rerank_document(_text(each, "documents", place, fields=self.rank_fields))
            for place, each in enumerate(self.documents)
        ]
        return Scoring(
            query=query.text,
            texts=texts,
            instruct=self.instruct or self.instruction or query.instruct,
            model=self.model,
            top_n=self.top_n,
            max_tokens=self.max_tokens_per_doc,
        )


class TeiRerankBody(ForeignBody):
    """``POST /rerank`` of Text Embeddings Inference."""

    query: str
    texts: Annotated[list[str], Field(max_length=MAX_TEXTS)]
    raw_scores: bool = Field(False, description="log-odds in place of probabilities")
    return_text: bool = False

    def scoring(self) -> Scoring:
        """The request in our terms."""
        query = templates.bare_rerank_query(self.query)
        texts = [templates.bare_rerank_document(each) for each in self.texts]
        return Scoring(query=query.text, texts=texts, instruct=query.instruct)


class SimpleRerankBody(ForeignBody):
    """``POST /rerank`` of LibreChat's own reranker."""

    query: str
    docs: Annotated[list[str], Field(max_length=MAX_TEXTS)]
    k: int | None = None

    def scoring(self) -> Scoring:
        """The request in our terms."""
        return Scoring(query=self.query, texts=self.docs, top_n=self.k)


class RagCandidate(ForeignBody):
    """A text with the caller's own name for it."""

    id: str = ""
    text: str


class RagRerankBody(ForeignBody):
    """``POST /v1/rerank`` of LibreChat's RAG API, which @librechat/agents 3.9 sends."""

    profile: str = ""
    query: str
    candidates: Annotated[list[RagCandidate], Field(max_length=MAX_TEXTS)]
    top_n: int | None = None

    def scoring(self) -> Scoring:
        """The request in our terms."""
        return Scoring(query=self.query, texts=[each.text for each in self.candidates], top_n=self.top_n)


class DashScopeInput(ForeignBody):
    """``input`` of DashScope's native API."""

    query: Text
    documents: Texts


class DashScopeParameters(ForeignBody):
    """``parameters`` of DashScope's native API."""

    top_n: int | None = None
    return_documents: bool = False
    instruct: str | None = None


class DashScopeRerankBody(ForeignBody):
    """``POST /api/v1/services/rerank/text-rerank/text-rerank``."""

    model: str | None = None
    input: DashScopeInput
    parameters: DashScopeParameters = DashScopeParameters()

    def scoring(self) -> Scoring:
        """The request in our terms. Raises ``InvalidInput``."""
        asked = FlatRerankBody(
            model=self.model,
            query=self.input.query,
            documents=self.input.documents,
            top_n=self.parameters.top_n,
            instruct=self.parameters.instruct,
        )
        return asked.scoring()


def _kind_of(body: Any) -> str:
    """The protocol of a body of a path that several share."""
    members = body.keys() if isinstance(body, dict) else ()
    return next((kind for member, kind in _TOLD_BY.items() if member in members), "(flat)")


AnyRerankBody = Annotated[
    Annotated[FlatRerankBody, variant("flat")]
    | Annotated[TeiRerankBody, variant("tei")]
    | Annotated[SimpleRerankBody, variant("simple")]
    | Annotated[RagRerankBody, variant("candidates")],
    Discriminator(_kind_of),
]


def _text(value: Text, *place: str | int, fields: Sequence[str] = ()) -> str:
    """The text of a query or document.

    Raises:
        InvalidInput: an image or a video, or an object without text.
    """
    if isinstance(value, str):
        return value
    for kind in _KINDS:
        if kind in value:
            raise InvalidInput(f"{_name(place)} is of the kind {kind}; the model reads text alone", location=place)
    if fields:
        found = [(each, value[each]) for each in fields if each in value]
        return "\n".join(f"{name}: {_plain(member)}" for name, member in found)
    text = value.get("text")
    if not isinstance(text, str):
        raise InvalidInput(f"{_name(place)} needs a member text, or name others in rank_fields", location=place)
    return text


def _name(place: Sequence[str | int]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else part for part in place)


def _plain(member: Any) -> str:
    return member if isinstance(member, str) else orjson.dumps(member).decode()
