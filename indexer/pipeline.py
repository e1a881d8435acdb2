"""The write path of one batch: chunk, re-use what is unchanged, embed, upsert, remove stale points, commit.

New points first, stale points after, the ledger last: a crash anywhere means that the lease runs out and the batch
runs again to the same end, because point ids are deterministic.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from indexer.stages import Piece, Vectors, chunk_keys, cut, embed, failed, point_of
from retrieval.errors import CollectionNotFound, WinnowError
from retrieval.identity import identity_of, require_same_identity
from retrieval.ports import Catalog, Claim, Embedder, IndexRef, Outcome, VectorStore, index_of
from retrieval.types import Collection

log = logging.getLogger(__name__)

SLICE_CHUNKS: Final = 256  # bounds the memory of vectors in flight: token vectors take some 100 KB a chunk


class Pipeline:
    """Turns claims into points. Holds no state between batches."""

    def __init__(
        self, embedder: Embedder, store: VectorStore, catalog: Catalog, *, max_attempts: int, min_coverage: float
    ) -> None:
        self._embedder = embedder
        self._store = store
        self._catalog = catalog
        self._max_attempts = max_attempts
        self._min_coverage = min_coverage

    async def run(self, claims: Sequence[Claim]) -> Sequence[Outcome]:
        """Carry out claims of one collection and record how each ended.

        A batch that fails for a reason that lies with one document is run again one by one, so that the others pass.
        """
        try:
            outcomes = await self._carry_out(claims)
        except CollectionNotFound:
            return ()  # deleted meanwhile: its rows go with it
        except WinnowError as error:
            outcomes = [self._failed(claim, error) for claim in claims]
        except Exception as error:  # a defect that one document sets off must not stop the worker
            if len(claims) > 1:
                return [outcome for claim in claims for outcome in await self.run([claim])]
            log.exception("indexing %s failed", claims[0].document.id)
            outcomes = [self._failed(claims[0], error)]
        await self._catalog.commit(outcomes)
        return outcomes

    async def _carry_out(self, claims: Sequence[Claim]) -> list[Outcome]:
        collection = await self._catalog.get_collection(claims[0].collection)
        require_same_identity(
            collection,
            identity_of(self._embedder, self._store.keyword_tokenizer, instruct=collection.embed_instruct),
        )
        index = index_of(collection)
        removals = [claim for claim in claims if claim.kind == "delete"]
        additions = [claim for claim in claims if claim.kind == "index"]
        limit = self._embedder.info.max_tokens
        parts = await asyncio.to_thread(cut, collection, additions, self._embedder.tokenizer, max_tokens=limit)
        embedded = await self._write(collection, index, parts.pieces)
        stale: dict[str, int | None] = {claim.document.id: None for claim in removals}
        # a first revision has nothing older than itself
        stale |= {claim.document.id: claim.revision for claim in parts.claims if claim.revision > 1}
        if stale:
            await self._store.delete_documents(index, stale)
        await self._store.flush(index)
        failures = [self._failed(claim, error) for claim, error in parts.failures]
        done = [
            Outcome(claim, chunk_keys(collection, claim, parts.pieces), embedded.get(claim.document.id, 0))
            for claim in parts.claims
        ]
        return [*failures, *done, *(Outcome(claim) for claim in removals)]

    async def _write(self, collection: Collection, index: IndexRef, pieces: Sequence[Piece]) -> dict[str, int]:
        """Embed and upsert, a bounded number of chunks at a time; returns chunks embedded by document id."""
        embedded: dict[str, int] = {}
        for begin in range(0, len(pieces), SLICE_CHUNKS):
            part = pieces[begin : begin + SLICE_CHUNKS]
            vectors = await self._reuse(index, part)
            fresh = [i for i in range(len(part)) if i not in vectors]
            passages = [part[i].passage for i in fresh]
            made = await embed(self._embedder, passages, min_coverage=self._min_coverage)
            vectors |= dict(zip(fresh, made, strict=True))
            await self._store.upsert(index, [point_of(collection, piece, vectors[i]) for i, piece in enumerate(part)])
            for i in fresh:
                document_id = part[i].claim.document.id
                embedded[document_id] = embedded.get(document_id, 0) + 1
        return embedded

    async def _reuse(self, index: IndexRef, pieces: Sequence[Piece]) -> dict[int, Vectors]:
        wanted = {i: piece.reuse for i, piece in enumerate(pieces) if piece.reuse}
        if not wanted:
            return {}
        found = await self._store.fetch(index, sorted(set(wanted.values())))
        return {i: Vectors(found[id_].dense, found[id_].tokens) for i, id_ in wanted.items() if id_ in found}

    def _failed(self, claim: Claim, error: Exception) -> Outcome:
        return failed(claim, error, max_attempts=self._max_attempts)
