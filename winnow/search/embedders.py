"""The embedder of each collection: while a model is being changed, a process has the current one and the next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from winnow.core.errors import IdentityMismatch
from winnow.core.identity import CHUNKER, require_same_identity, same_identity
from winnow.core.types import Collection, IndexIdentity
from winnow.ports import Embedder


@dataclass(frozen=True, slots=True)
class Embedders:
    """The configured embedders. Which one serves a collection follows from what its index was built with.

    Attributes:
        current: the embedder of ``WINNOW_EMBEDDING__*``.
        next: that of ``WINNOW_NEXT_EMBEDDING__*``, if there is one.
    """

    current: Embedder
    next: Embedder | None = None

    def __iter__(self) -> Iterator[Embedder]:
        yield self.current
        if self.next is not None:
            yield self.next

    def of(self, collection: Collection, keyword_tokenizer: str) -> Embedder:
        """The embedder of the index that serves. Raises ``IdentityMismatch`` where none is configured."""
        current = identity_of(self.current, keyword_tokenizer, instruct=collection.embed_instruct)
        if self.next is None or collection.identity == current:
            require_same_identity(collection, current)
            return self.current
        found = self._find(collection.identity, collection, keyword_tokenizer)
        if found is None:
            require_same_identity(collection, current)
        return found or self.current

    def likeliest(self, collection: Collection, keyword_tokenizer: str) -> Embedder:
        """As ``of``, but the current one where none fits: for who scores texts, and need not have an index."""
        if self.next is None:
            return self.current
        return self._find(collection.identity, collection, keyword_tokenizer) or self.current

    def other_of(self, collection: Collection, keyword_tokenizer: str) -> Embedder | None:
        """The embedder of the other index, ``None`` where the collection has one index only.

        Raises:
            IdentityMismatch: none of the configured ones built it.
        """
        if collection.other is None:
            return None
        found = self._find(collection.other.identity, collection, keyword_tokenizer)
        if found is None:
            raise IdentityMismatch(
                f"collection {collection.name!r} has a second index of {collection.other.identity.model}, which is not "
                "configured; set WINNOW_NEXT_EMBEDDING__* to it in every process, or drop that index with "
                f"`winnow reembed -c {collection.name} --drop`"
            )
        return found

    def _find(self, identity: IndexIdentity, collection: Collection, keyword_tokenizer: str) -> Embedder | None:
        for embedder in self:
            own = identity_of(embedder, keyword_tokenizer, instruct=collection.embed_instruct)
            if same_identity(own, identity):
                return embedder
        return None


def identity_of(embedder: Embedder, keyword_tokenizer: str, *, instruct: str | None = None) -> IndexIdentity:
    """The identity that a collection gets when it is made with these parts."""
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
