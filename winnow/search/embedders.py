"""The embedder of each index: while a model is being changed, a process has the current one and the next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from winnow.core.errors import IdentityMismatch
from winnow.core.identity import CHUNKER, require_same_identity, same_identity
from winnow.core.types import Index, IndexIdentity
from winnow.ports import Embedder, earlier_of


@dataclass(frozen=True, slots=True)
class Embedders:
    """The configured embedders. Which one serves an index follows from the models that the index is built with.

    Attributes:
        current: the embedder of ``WINNOW_EMBEDDING__*``.
        next: that of ``WINNOW_NEXT_EMBEDDING__*``, if there is one.
        keyword_tokenizer: that of the vector store.
    """

    current: Embedder
    next: Embedder | None = None
    keyword_tokenizer: str = field(kw_only=True)

    def __iter__(self) -> Iterator[Embedder]:
        yield self.current
        if self.next is not None:
            yield self.next

    def of(self, index: Index) -> Embedder:
        """The embedder that builds and searches an index; its token vectors are of the kind that the index has.

        Raises:
            IdentityMismatch: none of the configured ones does.
        """
        current = self._identity(self.current, index)
        if current == index.identity:
            return self.current
        for each in self:
            for embedder in (each, earlier_of(each)):
                if embedder is not None and same_identity(self._identity(embedder, index), index.identity):
                    return embedder
        if index.state == "serving":
            require_same_identity(index, current)
        raise IdentityMismatch(
            f"collection {index.collection!r} has a second index of {index.identity.model}, which is not "
            "configured; set WINNOW_NEXT_EMBEDDING__* to it in every process, or drop that index with "
            f"`winnow reembed -c {index.collection} --drop`"
        )

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
