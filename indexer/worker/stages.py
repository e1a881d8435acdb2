"""The stages of the write path that need no store and no catalog: cut, embed, make points.

The pipeline runs them in its own process, a bulk job on many.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from indexer.chunking.chunker import chunk_document, chunk_passages
from winnow.conversion.convert import canonical
from winnow.core.access import access_values
from winnow.core.errors import InvalidDocument, InvalidInput, WinnowError
from winnow.core.ids import point_id
from winnow.core.retry import RetryPolicy
from winnow.core.types import Chunk, Collection, FloatArray, HalfArray
from winnow.ports import MIN_COVERAGE, ChunkKey, Claim, Embedder, Outcome, Point, Tokenizer

OUTAGE: Final = RetryPolicy(seconds=120.0, first_wait=0.2)  # longer than a restart takes; then leases run out
MAX_BACKOFF_SECONDS: Final = 60.0
WAIT_SECONDS: Final = 1.0  # before a document is tried again after an outage; the worker pauses besides


@dataclass(frozen=True, slots=True)
class Piece:
    """One chunk on its way into the index.

    Attributes:
        point_id: a UUID that is the same whenever the same revision of a document is cut the same way.
        reuse: the point that already holds its vectors.
    """

    claim: Claim
    chunk: Chunk
    passage: str
    hash: str
    point_id: str
    reuse: str | None


@dataclass(frozen=True, slots=True)
class Vectors:
    """The vectors of one piece; ``dense`` is ``None`` where the embedder does not know the text."""

    dense: FloatArray | None
    tokens: HalfArray | None


@dataclass(frozen=True, slots=True)
class ChunkedClaims:
    """Claims cut into pieces, in the claims' order, and those that nothing can be made of."""

    pieces: tuple[Piece, ...]
    claims: tuple[Claim, ...]
    failures: tuple[tuple[Claim, Exception], ...]


def chunk_claims(
    collection: Collection, claims: Sequence[Claim], tokenizer: Tokenizer, *, max_tokens: int
) -> ChunkedClaims:
    """Chunk the documents of ``claims``: at most ``max_tokens`` tokens of ``tokenizer`` a chunk. Uses the CPU."""
    pieces: list[Piece] = []
    done: list[Claim] = []
    failures: list[tuple[Claim, WinnowError]] = []
    for claim in claims:
        try:
            pieces += _pieces(collection, claim, tokenizer, max_tokens)
        except WinnowError as error:
            failures.append((claim, error))
        else:
            done.append(claim)
    return ChunkedClaims(tuple(pieces), tuple(done), tuple(failures))


def _pieces(collection: Collection, claim: Claim, tokenizer: Tokenizer, max_tokens: int) -> list[Piece]:
    document, chunking = canonical(claim.document), collection.chunking  # older ones are stored as submitted
    if not document.canonical:
        raise InvalidDocument("no readable text is left once markup is removed")
    chunks = chunk_document(document, tokenizer, chunking, max_tokens=max_tokens)
    if not chunks:
        raise InvalidDocument("no readable text is left once markup is removed")
    known = {key.hash: key.point_id for key in claim.previous}
    passages = chunk_passages(document, chunks, tokenizer, chunking, max_tokens=max_tokens)
    pieces = []
    for chunk, passage in zip(chunks, passages, strict=True):
        digest = hashlib.sha256(passage.encode()).hexdigest()[:32]
        id_ = point_id(collection.uid, document.id, claim.revision, chunk.index)
        pieces.append(Piece(claim, chunk, passage, digest, id_, known.get(digest)))
    return pieces


async def embed(embedder: Embedder, passages: Sequence[str]) -> list[Vectors]:
    """The vectors of each passage; none where the embedder knows less than ``MIN_COVERAGE`` of the text."""
    if not passages:
        return []
    embeddings = await embedder.embed(passages, "document")
    result: list[Vectors] = []
    for row, coverage in enumerate(embeddings.coverage):
        known = coverage >= MIN_COVERAGE
        tokens = embeddings.tokens[row] if embeddings.tokens is not None and known else None
        result.append(Vectors(embeddings.vectors[row] if known else None, tokens))
    return result


def point_of(piece: Piece, vectors: Vectors) -> Point:
    """The point that holds a piece."""
    document = piece.claim.document
    return Point(
        id=piece.point_id,
        document_id=document.id,
        revision=piece.claim.revision,
        chunk=piece.chunk,
        title=document.title,
        url=document.url,
        metadata=document.metadata,
        access=access_values(document.id, document.acl),
        dense=vectors.dense,
        tokens=vectors.tokens,
    )


def chunk_keys(pieces: Sequence[Piece]) -> dict[str, tuple[ChunkKey, ...]]:
    """The chunks of each document, by its id, as the ledger stores them; those of one follow each other."""
    grouped = groupby(pieces, key=lambda piece: piece.claim.document.id)
    return {id_: tuple(ChunkKey(piece.hash, piece.point_id) for piece in own) for id_, own in grouped}


def failed(claim: Claim, error: Exception, *, max_attempts: int) -> Outcome:
    """The outcome of a failure: wait out an outage; retry other errors a few times, unless the document is at fault.

    Waiting counts as no attempt: however long storage or a model is down, no document fails for it.
    """
    code = error.code if isinstance(error, WinnowError) else "internal_error"
    message = str(error) or type(error).__name__
    if isinstance(error, WinnowError) and error.retryable:
        wait = WAIT_SECONDS if error.retry_after is None else error.retry_after
        return Outcome(claim, error=message, error_code=code, retry_in=wait, waited=True)
    last = isinstance(error, InvalidInput) or claim.attempts + 1 >= max_attempts
    wait = min(2.0**claim.attempts, MAX_BACKOFF_SECONDS)
    return Outcome(claim, error=message, error_code=code, retry_in=None if last else wait)
