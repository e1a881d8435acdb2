"""What is done to a process of ours before it runs: its embeddings are logged, or a safeguard is taken out.

The functions are named in ``processes.winnow(tampering=…)``. Whoever takes a safeguard out must see the proof fail.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

EMBEDDINGS_VARIABLE: Final = "SOAK_EMBEDDINGS"  # the file that embeddings are logged to
FLUSHED_VARIABLE: Final = "SOAK_FLUSHED"  # the folder of copies of what was flushed
CUE_VARIABLE: Final = "SOAK_CUE"  # the folder of files that a test sets to hold a process, see ``cues``
MARK: Final = re.compile(r"\bmark\w+")  # a word that only one chunk of one version of one document has


def be_quick() -> None:
    """Look for work and flush more often than is usual, so that more happens between two kills."""
    from indexer.worker import claims
    from winnow.vectors.edge import store

    claims.POLL_SECONDS = 0.1  # type: ignore[misc]
    store.FLUSH_SECONDS = 0.3  # type: ignore[misc]


def keep_batches_small() -> None:
    """Claim no more after quick batches."""
    from indexer.worker import claims

    claims.QUICK_SECONDS = 0.0  # type: ignore[misc]


def stop_soon() -> None:
    """Leave what a model holds up to the next worker after a second."""
    from indexer.worker import loop

    loop.STOP_SECONDS = 1.0  # type: ignore[misc]


def be_impatient() -> None:
    """Say after half a second that no worker takes what waits."""
    from winnow.operations import missing_worker

    missing_worker.WAIT_SECONDS = 0.5  # type: ignore[misc]


def never_flush_in_time() -> None:
    """Leave flushing to the write path's own flushes."""
    from winnow.vectors.edge import store

    store.FLUSH_SECONDS = 3600.0  # type: ignore[misc]


def log_embeddings() -> None:
    """Log which chunks are embedded, when, and by whom: one line a call, written before the call returns."""
    from winnow.testing.models import FakeEmbedder

    file = os.open(os.environ[EMBEDDINGS_VARIABLE], os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    original = FakeEmbedder.embed

    async def embed(self: FakeEmbedder, texts: Sequence[str], kind: Any, *, instruct: str | None = None) -> Any:
        made = await original(self, texts, kind, instruct=instruct)
        marks = [found[0] for text in texts if kind == "document" and (found := MARK.search(text))]
        if marks:
            os.write(file, f"{os.getpid()} {time.monotonic():.6f} {' '.join(marks)}\n".encode())
        return made

    FakeEmbedder.embed = embed  # type: ignore[method-assign]


def without_fencing() -> None:
    """Let every commit through, whatever has happened to the document since it was claimed."""
    from winnow.catalog import ledger
    from winnow.catalog.rules import entries as rules
    from winnow.catalog.rules.entries import Entry, Settlement

    original = rules.settle

    def settle(entry: Entry | None, outcome: Any, now: datetime, **more: Any) -> Settlement | None:
        if entry is None or entry.due_at is None:
            return original(entry, outcome, now, **more)
        claim = replace(outcome.claim, token=entry.token, revision=entry.revision)
        return original(entry, replace(outcome, claim=claim), now, **more)

    ledger.settle = settle  # type: ignore[attr-defined]


def slow_embeddings() -> None:
    """Embed as slowly as a model does: 0.2 s a call, so that a batch is in hand most of the time."""
    import asyncio

    from winnow.testing.models import FakeEmbedder

    original = FakeEmbedder.embed

    async def embed(self: FakeEmbedder, texts: Sequence[str], kind: Any, *, instruct: str | None = None) -> Any:
        if kind == "document":
            await asyncio.sleep(0.2)
        return await original(self, texts, kind, instruct=instruct)

    FakeEmbedder.embed = embed  # type: ignore[method-assign]


def without_lease() -> None:
    """Let a worker write whatever it has in hand, however long ago its lease ran out."""
    from indexer.worker.lease import Lease

    def require(self: Lease) -> None:
        """Demand nothing."""

    Lease.require = require  # type: ignore[method-assign]


def without_taking_back() -> None:
    """Leave what was written for a revision that others have left behind meanwhile."""
    from indexer.worker.pipeline import Pipeline

    async def take_back(self: Pipeline, claims: Any) -> None:
        """Look away."""

    Pipeline._take_back = take_back  # type: ignore[method-assign]


def without_removal() -> None:
    """Remove no points of older revisions before a document counts as indexed or deleted."""
    from indexer.worker.pipeline import Pipeline

    async def remove_below(self: Pipeline, indexes: Sequence[Any], below: Any, lease: Any) -> None:
        for index in indexes:
            await self._store.flush(index.ref)

    Pipeline._remove_below = remove_below  # type: ignore[method-assign]


def cues() -> None:
    """Hold the process where a test wants it: before it embeds, before it writes points, or killed after that.

    While there is a file ``hold-embedding`` or ``hold-writing``, the process waits there, and leaves a file ``held``
    with its id. With ``die-after-writing`` it kills itself once points are written.
    """
    from winnow.ports import IndexRef, Point
    from winnow.testing.models import FakeEmbedder
    from winnow.vectors.qdrant.store import QdrantVectorStore

    folder = Path(os.environ[CUE_VARIABLE])
    embed, upsert = FakeEmbedder.embed, QdrantVectorStore.upsert

    async def held_embed(self: FakeEmbedder, texts: Sequence[str], kind: Any, *, instruct: str | None = None) -> Any:
        if kind == "document":
            await _hold(folder, "hold-embedding")
        return await embed(self, texts, kind, instruct=instruct)

    async def held_upsert(self: QdrantVectorStore, index: IndexRef, points: Sequence[Point]) -> None:
        await _hold(folder, "hold-writing")
        await upsert(self, index, points)
        if (folder / "die-after-writing").exists():
            os.kill(os.getpid(), signal.SIGKILL)

    FakeEmbedder.embed = held_embed  # type: ignore[method-assign]
    QdrantVectorStore.upsert = held_upsert  # type: ignore[method-assign]


async def _hold(folder: Path, cue: str) -> None:
    import asyncio

    while (folder / cue).exists():
        (folder / "held").write_text(str(os.getpid()))
        await asyncio.sleep(0.01)


def without_sync() -> None:
    """Let SQLite return from a commit before it is on disk."""
    from winnow.catalog import engine

    original = engine._set_pragmas

    def set_pragmas(pragmas: tuple[str, ...]) -> Any:
        return original(tuple(each.replace("FULL", "OFF") for each in pragmas))

    engine._set_pragmas = set_pragmas


def without_flush() -> None:
    """Let the store say that points are on stable storage without asking the engine."""
    from winnow.ports import IndexRef
    from winnow.vectors.edge.store import EdgeVectorStore

    async def flush(self: EdgeVectorStore, index: IndexRef) -> None:
        """Lie."""

    EdgeVectorStore.flush = flush  # type: ignore[method-assign]


def keep_flushed() -> None:
    """Have the vector engine copy its files whenever it has flushed them: what a power cut leaves, at worst."""
    from winnow.vectors.edge import process as edge_process

    program = f"from {__name__} import copy_flushed; copy_flushed()\n{edge_process._PROGRAM}"
    edge_process._PROGRAM = program  # type: ignore[misc]


def copy_flushed() -> None:
    """In the engine's process: wrap what must be on stable storage when it returns."""
    from winnow.vectors.edge.engine import Engine

    def wrap(method: Any) -> Any:
        def call(self: Engine, *arguments: Any) -> Any:
            result = method(self, *arguments)
            _copy(self._layout.root, Path(os.environ[FLUSHED_VARIABLE]))
            return result

        return call

    Engine.flush = wrap(Engine.flush)  # type: ignore[method-assign]
    Engine.create = wrap(Engine.create)  # type: ignore[method-assign]


def _copy(root: Path, copies: Path) -> None:
    """Copy ``root`` to a new folder of ``copies``, whose name is there only when the copy is whole."""
    numbers = flushed_copies(copies)
    number = numbers[-1] + 1 if numbers else 0
    part = copies / "part"
    shutil.rmtree(part, ignore_errors=True)
    subprocess.run(["cp", "-r", "--sparse=always", str(root), str(part)], check=True)
    part.rename(copies / str(number))
    for old in numbers:
        shutil.rmtree(copies / str(old))


def flushed_copies(copies: Path) -> list[int]:
    """The names of whole copies, oldest first."""
    return sorted(int(each.name) for each in copies.iterdir() if each.name.isdigit())
