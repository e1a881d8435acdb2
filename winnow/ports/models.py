"""The seams to models: ``Embedder`` and ``Reranker``, and the values that cross them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, Protocol, runtime_checkable

from winnow.core.marks import Span
from winnow.core.types import Chunk, FloatArray, HalfArray, IndexRef, Metadata, passage_of

_NO_METADATA: Final[Metadata] = MappingProxyType({})

EmbedKind = Literal["query", "document"]

MIN_COVERAGE: Final = 0.5  # a text of which the model knows a smaller share has no vector worth a comparison


class Tokenizer(Protocol):
    """Cuts text into the tokens that an embedder counts. Pure and synchronous."""

    name: str

    def spans(self, text: str) -> Sequence[tuple[int, int]]:
        """Character ranges of the tokens of ``text``, in order, special tokens left out."""


@dataclass(frozen=True, slots=True)
class EmbedderInfo:
    """Names an embedder and its limits.

    ``max_tokens`` leaves out its special tokens; ``token_dimensions`` is 0 without token vectors.
    """

    provider: str
    model: str
    revision: str
    dimensions: int
    max_tokens: int
    instruct: str = ""
    token_dimensions: int = 0


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Vectors for n texts, in their order.

    Attributes:
        vectors: shape (n, dimensions), float32, each row of length 1 (all zeros where ``coverage`` is 0).
        coverage: shape (n,), float32 in [0, 1]: the share of each text that the model knows (its scripts,
            its vocabulary). An arm over text that the model cannot read is weighed down or skipped.
        tokens: per text an array of shape (k, token_dimensions), float16, rows of length 1: the token vectors for
            late interaction, which may be fewer than the text's tokens; ``None`` where the embedder has none.
        token_count: tokens that were read, all texts together.
        cached: true where no model ran.
    """

    vectors: FloatArray
    coverage: FloatArray
    tokens: tuple[HalfArray, ...] | None = None
    token_count: int = 0
    cached: bool = False


@runtime_checkable
class Embedder(Protocol):
    """Text in, vectors out."""

    @property
    def info(self) -> EmbedderInfo: ...

    @property
    def tokenizer(self) -> Tokenizer: ...

    async def embed(self, texts: Sequence[str], kind: EmbedKind, *, instruct: str | None = None) -> Embeddings:
        """Embed ``texts``. ``instruct`` replaces the configured one, for queries only.

        Text beyond ``info.max_tokens`` is cut: the chunker sees to it that no chunk is longer.
        """

    async def close(self) -> None: ...


@runtime_checkable
class HasEarlier(Protocol):
    """An embedder whose token vectors are of another kind than those of earlier versions; its text vectors are not."""

    @property
    def earlier(self) -> Embedder | None:
        """The same model with the token vectors of earlier versions, for indexes that hold them."""


@runtime_checkable
class Deferred(Protocol):
    """An embedder that is loaded when it is first needed."""

    @property
    def loaded(self) -> bool:
        """Whether it has been needed."""


def is_idle(embedder: Embedder) -> bool:
    """Whether an embedder has not been needed yet, so that asking it would load it."""
    return isinstance(embedder, Deferred) and not embedder.loaded


def earlier_of(embedder: Embedder) -> Embedder | None:
    """The embedder of indexes that an earlier version built with this model, where it is another one."""
    return embedder.earlier if isinstance(embedder, HasEarlier) else None


@dataclass(frozen=True, slots=True)
class EmbeddedQuery:
    """A query on its way to the reranker, with what the first stage knows of it.

    Attributes:
        embeddings: of the one text; ``None`` where it was not embedded.
        instruct: that it was embedded with; ``None`` for the embedder's own.
        embedder: of the index that was searched; ``None`` outside a search.
        index: that the passages were found in; ``None`` outside a search.
    """

    text: str
    embeddings: Embeddings | None = None
    instruct: str | None = None
    embedder: Embedder | None = None
    index: IndexRef | None = None


class Passage(NamedTuple):
    """A text to be scored. ``point_id`` names it in the index of the query; empty where no index holds it.

    A tuple, because a search makes hundreds.
    """

    chunk: Chunk
    title: str = ""
    metadata: Metadata = _NO_METADATA
    point_id: str = ""

    @property
    def text(self) -> str:
        """Title, heading path and text of the chunk, as the model reads them."""
        return passage_of(self.title, self.chunk)


@dataclass(frozen=True, slots=True)
class RerankerInfo:
    """Names a reranker. ``needs_tokens``: it scores nothing in an index of an embedder without token vectors."""

    provider: str
    model: str
    needs_tokens: bool = False


@dataclass(frozen=True, slots=True)
class Reranking:
    """Scores of n passages, in their order: shape (n,), float32 in [0, 1], higher is more relevant.

    ``tokens`` were read for them; ``reason`` says where they are of another kind than usual. ``model`` names what
    scored, where that depends on the index and is another than the reranker's ``info`` says.
    """

    scores: FloatArray
    tokens: int = 0
    reason: str | None = None
    model: str | None = None


@runtime_checkable
class Reranker(Protocol):
    """Query and passages in, relevance out."""

    @property
    def info(self) -> RerankerInfo: ...

    async def rerank(
        self, query: EmbeddedQuery, passages: Sequence[Passage], *, instruct: str | None = None
    ) -> Reranking:
        """Score every passage against ``query``. ``instruct`` replaces the configured one."""

    async def close(self) -> None: ...


@runtime_checkable
class ScoresSpans(Protocol):
    """A reranker that scores tokens, and so tells which parts of a text make it relevant."""

    async def score_spans(
        self,
        query: EmbeddedQuery,
        texts: Sequence[str],
        spans: Sequence[Sequence[Span]],
        *,
        instruct: str | None = None,
    ) -> Sequence[FloatArray]:
        """Relevance in [0, 1] of the spans of each text, in their order.

        ``spans`` ascend and do not overlap. A text that is one span has about the score that ``rerank`` gives it.
        """
