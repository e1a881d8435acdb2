"""The description of an embedder that runs in another process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from winnow.core.errors import UpstreamUnavailable
from winnow.ports import Embedder, EmbedderInfo, EmbedKind, Tokenizer


@dataclass(frozen=True, slots=True, eq=False)
class KnownEmbedder:
    """Describes an embedder, for chunking documents and creating collections; it embeds nothing itself."""

    info: EmbedderInfo
    tokenizer: Tokenizer

    @classmethod
    def of(cls, embedder: Embedder) -> KnownEmbedder:
        """The description of an embedder, which can be sent to another process."""
        return cls(embedder.info, embedder.tokenizer)

    async def embed(self, texts: Sequence[str], kind: EmbedKind, *, instruct: str | None = None) -> NoReturn:
        """Refuse: only processes of Ray embed.

        Raises:
            UpstreamUnavailable: always.
        """
        raise UpstreamUnavailable(
            f"{len(texts)} texts ({kind}, instruct {instruct!r}) cannot be embedded here: a bulk job embeds on Ray only"
        )

    async def close(self) -> None:
        """Nothing is open."""
