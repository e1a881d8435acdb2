"""The embedder of each index, among those that a process is configured with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from winnow.core.errors import IdentityMismatch, InvalidCollection
from winnow.core.identity import CHUNKER, require_same_identity, same_identity, same_model
from winnow.core.settings import DEFAULT_ENCODER
from winnow.core.types import Index, IndexIdentity
from winnow.ports import Embedder, earlier_of


@dataclass(frozen=True, slots=True)
class Embedders:
    """The configured embedders. Which one serves an index follows from the models that the index is built with.

    Attributes:
        current: the default one, of ``WINNOW_EMBEDDING__*``.
        next: that of ``WINNOW_NEXT_EMBEDDING__*``, if there is one.
        further: those of ``WINNOW_EMBEDDINGS__<NAME>__*``, and of bundled ones all but the default, by name.
        name: of the default one.
        keyword_tokenizer: that of the vector store.
    """

    current: Embedder
    next: Embedder | None = None
    further: Mapping[str, Embedder] = field(default_factory=dict, kw_only=True)
    name: str = field(default=DEFAULT_ENCODER, kw_only=True)
    keyword_tokenizer: str = field(kw_only=True)

    @classmethod
    def among(cls, embedders: Sequence[Embedder], *, keyword_tokenizer: str) -> Self:
        """Embedders without names, to find that of an index; the first one is the default."""
        further = {str(number): embedder for number, embedder in enumerate(embedders[1:])}
        return cls(embedders[0], further=further, keyword_tokenizer=keyword_tokenizer)

    def __iter__(self) -> Iterator[Embedder]:
        yield self.current
        yield from self.further.values()
        if self.next is not None:
            yield self.next

    @property
    def named(self) -> dict[str, Embedder]:
        """The embedders that a collection may choose, by name; the default one comes first."""
        return {self.name: self.current, **self.further}

    def choose(self, model: str) -> Embedder:
        """The embedder of this name, or of this model.

        Raises:
            InvalidCollection: none is configured; the message lists those that are.
        """
        named = self.named
        if model == DEFAULT_ENCODER:
            return self.current
        if model in named:
            return named[model]
        if chosen := next((each for each in self if same_model(each.info.model, model)), None):
            return chosen
        known = ", ".join(f"{name} ({each.info.model})" for name, each in named.items())
        message = f"there is no embedding model {model[:80]!r}; configured are {known}"
        raise InvalidCollection(message, location=("embedding", "model"))

    def of(self, index: Index) -> Embedder:
        """The embedder that builds and searches an index; its token vectors are of the kind that the index has.

        Raises:
            IdentityMismatch: none of the configured ones does.
        """
        for each in self:
            if self._identity(each, index) == index.identity:
                return each
        for each in self:
            for embedder in (each, earlier_of(each)):
                if embedder is not None and same_identity(self._identity(embedder, index), index.identity):
                    return embedder
        if index.state == "serving":
            require_same_identity(index, self._identity(self._nearest(index), index))
        raise IdentityMismatch(
            f"collection {index.collection!r} has a second index of {index.identity.model}, which is not "
            "configured; set WINNOW_NEXT_EMBEDDING__* to it in every process, or drop that index with "
            f"`winnow reembed -c {index.collection} --drop`"
        )

    def _nearest(self, index: Index) -> Embedder:
        """The embedder to name where none fits: that of the index's model if there is one, else the default."""
        of_model = (each for each in self if same_model(each.info.model, index.identity.model))
        return next(of_model, self.current)

    def _identity(self, embedder: Embedder, index: Index) -> IndexIdentity:
        return identity_of(embedder, self.keyword_tokenizer, instruct=index.instruct)


def identity_of(embedder: Embedder, keyword_tokenizer: str, *, instruct: str | None = None) -> IndexIdentity:
    """The identity of an index that is built with these parts."""
    info = embedder.info
    return IndexIdentity(
        provider=info.provider,
        model=info.model,
        revision=info.revision,
        dimensions=info.dimensions,
        instruct=info.instruct if instruct is None else instruct,
        keyword_tokenizer=keyword_tokenizer,
        chunker=CHUNKER,
        token_dimensions=info.token_dimensions,
        tokenizer=embedder.tokenizer.name,
    )
