"""An embedder that is loaded when it is first needed: those that no collection uses take no memory."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from winnow.core.errors import InvalidSettings, UpstreamUnavailable
from winnow.ports import Embedder, EmbedderInfo, Embeddings, EmbedKind, Tokenizer, earlier_of


class DeferredEmbedder(Embedder):
    """Loads an embedder when it is first asked to embed; name, limits and tokenizer are known before.

    Args:
        info: of the embedder.
        tokenizer: of the embedder; it may load what it needs when it is first used.
        load: loads the embedder; blocks for a second or so.
        earlier_dimensions: of the token vectors of its ``earlier`` kind; 0 where it has none.
    """

    def __init__(
        self, info: EmbedderInfo, tokenizer: Tokenizer, load: Callable[[], Embedder], *, earlier_dimensions: int = 0
    ) -> None:
        self._info = info
        self._tokenizer = tokenizer
        self._load = load
        self._earlier_dimensions = earlier_dimensions
        self._lock = threading.Lock()
        self._embedder: Embedder | None = None
        self._needed = False

    @property
    def info(self) -> EmbedderInfo:
        return self._info

    @property
    def tokenizer(self) -> Tokenizer:
        return self._tokenizer

    @property
    def loaded(self) -> bool:
        """Whether it has been needed, though it may have failed to load."""
        return self._needed

    @property
    def earlier(self) -> Embedder | None:
        """The same model with the token vectors of earlier versions, loaded with this one."""
        if not self._earlier_dimensions:
            return None
        info = replace(self._info, token_dimensions=self._earlier_dimensions)
        return DeferredEmbedder(info, self._tokenizer, self._load_earlier)

    async def embed(self, texts: Sequence[str], kind: EmbedKind, *, instruct: str | None = None) -> Embeddings:
        """Embed ``texts``; loads the embedder if that has not been done.

        Raises:
            UpstreamUnavailable: it cannot be loaded; the message says why.
        """
        embedder = self._embedder if self._embedder is not None else await asyncio.to_thread(self.load)
        return await embedder.embed(texts, kind, instruct=instruct)

    def load(self) -> Embedder:
        """The embedder, loaded once; raises as ``embed`` does."""
        with self._lock:
            self._needed = True
            if self._embedder is None:
                try:
                    self._embedder = self._load()
                except InvalidSettings as error:
                    raise UpstreamUnavailable(error.message) from error
            return self._embedder

    async def close(self) -> None:
        if self._embedder is not None:
            await self._embedder.close()

    def _load_earlier(self) -> Embedder:
        earlier = earlier_of(self.load())
        assert earlier is not None, "earlier_dimensions says that there is one"
        return earlier
