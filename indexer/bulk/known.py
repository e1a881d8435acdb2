"""An embedder that runs in another process, as far as it can be known here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from winnow.core.errors import UpstreamUnavailable
from winnow.ports import Embedder, EmbedderInfo, EmbedKind, Tokenizer


@dataclass(frozen=True, slots=True, eq=False)
class KnownEmbedder:
    """What is needed to cut documents and to make collections for an embedder; it embeds nothing itself."""

    info: EmbedderInfo
    tokenizer: Tokenizer

    @classmethod
    def of(cls, embedder: Embedder) -> KnownEmbedder:
        """What is known of an embedder, ready to be sent."""
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
