"""The write path of one batch: chunk, re-use what is unchanged, embed, upsert, remove stale points, commit.

New points first, stale points after, the ledger last: a crash anywhere means that the lease runs out and the batch
runs again to the same end, because point ids are deterministic.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from indexer.chunking import chunk_document, passages_of
from retrieval.errors import CollectionNotFound, InvalidDocument, WinnowError
from retrieval.identity import identity_of, require_same_identity
from retrieval.ids import point_id
from retrieval.ports import (
    Catalog,
    ChunkKey,
    Claim,
    Embedder,
    IndexRef,
    Outcome,
    Point,
    VectorStore,
    index_of,
)
from retrieval.types import Chunk, Collection, FloatArray, HalfArray

log = logging.getLogger(__name__)

SLICE_CHUNKS: Final = 256  # bounds the memory of vectors in flight: token vectors take some 100 KB a chunk
MAX_BACKOFF_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Piece:
    """One chunk on its way into the index; ``reuse`` names the point that already holds its vectors."""

    claim: Claim
    chunk: Chunk
    passage: str
    hash: str
    reuse: str | None


@dataclass(frozen=True, slots=True)
class Vectors:
    """The vectors of one piece; ``dense`` is ``None`` where the embedder does not know the text."""

    dense: FloatArray | None
    tokens: HalfArray | None


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
        pieces, failures = await asyncio.to_thread(self._cut, collection, additions)
        embedded = await self._write(collection, index, pieces)
        cut = [claim for claim in additions if claim.document.id not in {f.claim.document.id for f in failures}]
        stale: dict[str, int | None] = {claim.document.id: None for claim in removals}
        # a first revision has nothing older than itself
        stale |= {claim.document.id: claim.revision for claim in cut if claim.revision > 1}
        if stale:
            await self._store.delete_documents(index, stale)
        await self._store.flush(index)
        done = [self._indexed(collection, claim, pieces, embedded) for claim in cut]
        return [*failures, *done, *(Outcome(claim) for claim in removals)]

    def _cut(self, collection: Collection, claims: Sequence[Claim]) -> tuple[list[Piece], list[Outcome]]:
        pieces: list[Piece] = []
        failures: list[Outcome] = []
        limit = self._embedder.info.max_tokens
        for claim in claims:
            document = claim.document
            try:
                chunks = chunk_document(document, self._embedder.tokenizer, collection.chunking, max_tokens=limit)
                if not chunks:
                    raise InvalidDocument("no readable text is left once markup is removed")
            except WinnowError as error:
                failures.append(self._failed(claim, error))
                continue
            known = {key.hash: key.point_id for key in claim.previous}
            passages = passages_of(document, chunks, self._embedder.tokenizer, collection.chunking, max_tokens=limit)
            for chunk, passage in zip(chunks, passages, strict=True):
                digest = hashlib.sha256(passage.encode()).hexdigest()[:32]
                pieces.append(Piece(claim, chunk, passage, digest, known.get(digest)))
        return pieces, failures

    async def _write(self, collection: Collection, index: IndexRef, pieces: Sequence[Piece]) -> dict[str, int]:
        """Embed and upsert, a bounded number of chunks at a time; returns chunks embedded by document id."""
        embedded: dict[str, int] = {}
        for begin in range(0, len(pieces), SLICE_CHUNKS):
            part = pieces[begin : begin + SLICE_CHUNKS]
            reused = await self._reuse(index, part)
            fresh = [i for i in range(len(part)) if i not in reused]
            vectors = reused | await self._embed(part, fresh)
            await self._store.upsert(index, [_point(collection, piece, vectors[i]) for i, piece in enumerate(part)])
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

    async def _embed(self, pieces: Sequence[Piece], chosen: Sequence[int]) -> dict[int, Vectors]:
        if not chosen:
            return {}
        embeddings = await self._embedder.embed([pieces[i].passage for i in chosen], "document")
        result: dict[int, Vectors] = {}
        for row, i in enumerate(chosen):
            known = embeddings.coverage[row] >= self._min_coverage
            tokens = embeddings.tokens[row] if embeddings.tokens is not None and known else None
            result[i] = Vectors(embeddings.vectors[row] if known else None, tokens)
        return result

    def _indexed(
        self, collection: Collection, claim: Claim, pieces: Sequence[Piece], embedded: Mapping[str, int]
    ) -> Outcome:
        keys = tuple(ChunkKey(p.hash, _point_id(collection, p)) for p in pieces if p.claim is claim)
        return Outcome(claim, chunks=keys, embedded=embedded.get(claim.document.id, 0))

    def _failed(self, claim: Claim, error: Exception) -> Outcome:
        """Try again later what time can heal, and a few times what we do not understand; the rest has failed."""
        code = error.code if isinstance(error, WinnowError) else "internal_error"
        message = str(error) or type(error).__name__
        unknown = not isinstance(error, WinnowError) and claim.attempts + 1 < self._max_attempts
        retry = unknown or (isinstance(error, WinnowError) and error.retryable)
        wait = getattr(error, "retry_after", None) or min(2.0**claim.attempts, MAX_BACKOFF_SECONDS)
        return Outcome(claim, error=message, error_code=code, retry_in=wait if retry else None)


def _point_id(collection: Collection, piece: Piece) -> str:
    return point_id(collection.uid, piece.claim.document.id, piece.claim.revision, piece.chunk.index)


def _point(collection: Collection, piece: Piece, vectors: Vectors) -> Point:
    document = piece.claim.document
    return Point(
        id=_point_id(collection, piece),
        document_id=document.id,
        revision=piece.claim.revision,
        chunk=piece.chunk,
        title=document.title,
        url=document.url,
        metadata=document.metadata,
        dense=vectors.dense,
        tokens=vectors.tokens,
    )
