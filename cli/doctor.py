"""``winnow doctor``: a check-up that probes every configured part and says what is wrong."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import sqlite3
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.table import Table

from cli.console import out, print_json
from cli.runtime import settings_for
from retrieval.collections import CollectionSpec, ensure_collection
from retrieval.errors import DataDirectoryLocked, WinnowError
from retrieval.identity import identity_of
from retrieval.lock import DirectoryLock
from retrieval.ports import Embedder
from retrieval.resources import Resources, open_resources
from retrieval.settings import Settings
from retrieval.types import ArmScore, Candidate, Chunk, Chunking, Collection

MIN_FREE_GB: Final = 1.0
SQLITE_FIXED: Final = (3, 51, 3)
QUERY: Final = "What is the capital of France?"
RIGHT: Final = "Paris is the capital and largest city of France."
WRONG: Final = "Bananas are rich in potassium and ripen after the harvest."


@dataclass(frozen=True, slots=True)
class Check:
    """One probe: ``ok``, ``warning`` or ``failed``, with what was found."""

    name: str
    status: str
    detail: str


def run(*, data_dir: Path | None, as_json: bool) -> int:
    """Probe and print; the exit status is 1 if anything failed."""
    settings = settings_for(data_dir)
    checks = [_versions(), _sqlite(settings), _disk(settings)]
    checks += asyncio.run(_probe(settings))
    if as_json:
        print_json({"settings": _masked(settings), "checks": [_as_dict(check) for check in checks]})
    else:
        _show(settings, checks)
    return 1 if any(check.status == "failed" for check in checks) else 0


async def _probe(settings: Settings) -> list[Check]:
    try:
        lock = DirectoryLock(settings.data_dir / "winnow.lock")
    except DataDirectoryLocked as error:
        where = f"; ask {error.url}/readyz how it is" if error.url else ""
        return [Check("data directory", "warning", f"in use by process {error.pid}, so models are not probed{where}")]
    with lock:
        checks = [Check("data directory", "ok", str(settings.data_dir.resolve()))]
        try:
            async with open_resources(settings) as resources:
                checks += await _probe_resources(resources)
        except WinnowError as error:
            checks.append(Check("start", "failed", error.message))
        return checks


async def _probe_resources(resources: Resources) -> list[Check]:
    probes: list[tuple[str, Callable[[Resources], Awaitable[str]]]] = [
        ("catalog", _catalog),
        ("vectors", _vectors),
        ("collections", _collections),
        ("embedder", lambda r: _embedder(r.embedder)),
        ("reranker", _reranker),
    ]
    return [await _check(name, probe, resources) for name, probe in probes]


async def _check(name: str, probe: Callable[[Resources], Awaitable[str]], resources: Resources) -> Check:
    began = time.perf_counter()
    try:
        detail = await probe(resources)
    except WinnowError as error:
        return Check(name, "failed", error.message)
    except AssertionError as error:
        return Check(name, "failed", str(error))
    return Check(name, "ok", f"{detail} ({(time.perf_counter() - began) * 1000:.0f} ms)")


async def _catalog(resources: Resources) -> str:
    await resources.catalog.check()
    return f"{await resources.catalog.backlog():,} documents wait for the indexer"


async def _vectors(resources: Resources) -> str:
    await resources.store.check()
    return f"{resources.store.engine}, {len(await resources.store.indexes())} indexes"


async def _collections(resources: Resources) -> str:
    """Every collection must fit the configured models."""
    found = await resources.catalog.list_collections()
    for collection in found:
        await ensure_collection(resources, collection.name, CollectionSpec())
    return f"{len(found)} fit the configured models"


async def _embedder(embedder: Embedder) -> str:
    info = embedder.info
    documents = await embedder.embed([RIGHT, WRONG], "document")
    query = await embedder.embed([QUERY], "query")
    lengths = np.linalg.norm(documents.vectors, axis=1)
    assert documents.vectors.shape == (2, info.dimensions), f"{info.model} returned shape {documents.vectors.shape}"
    assert np.allclose(lengths, 1, atol=1e-2), f"{info.model} returned vectors of length {lengths}"
    right, wrong = (documents.vectors @ query.vectors[0]).tolist()
    assert right > wrong, f"{info.model} puts an unrelated sentence above the right one ({wrong:.2f} > {right:.2f})"
    return f"{info.model}, {info.dimensions} dimensions, right {right:.2f}, wrong {wrong:.2f}"


async def _reranker(resources: Resources) -> str:
    reranker = resources.reranker
    if reranker is None:
        return "none is configured: answers carry retrieval scores"
    candidates = [_candidate(text, rank) for rank, text in enumerate((WRONG, RIGHT), 1)]
    scores = (await reranker.rerank(QUERY, _nowhere(resources), candidates)).scores.tolist()
    wrong, right = scores
    assert right > wrong, f"{reranker.info.model} puts an unrelated sentence first ({wrong:.2f} > {right:.2f})"
    return f"{reranker.info.model}, right {right:.2f}, wrong {wrong:.2f}"


def _candidate(text: str, rank: int) -> Candidate:
    chunk = Chunk(0, 0, len(text), text)
    return Candidate("", str(rank), 1, chunk, "", "", {}, None, None, ArmScore(rank, 1 / rank))


def _nowhere(resources: Resources) -> Collection:
    """A collection that is not stored, for texts that are not indexed."""
    identity = identity_of(resources.embedder.info, resources.store.keyword_tokenizer)
    return Collection("doctor", "0" * 32, identity, Chunking(), {})


def _versions() -> Check:
    parts = ("winnow-search", "qdrant-edge-py", "torch", "fastapi")
    found = ", ".join(f"{name} {version(name)}" for name in parts)
    return Check("versions", "ok", f"Python {platform.python_version()}, {found}, {os.cpu_count()} cores")


def _sqlite(settings: Settings) -> Check:
    if not settings.catalog_url.startswith("sqlite"):
        return Check("sqlite", "ok", "not used")
    if sqlite3.sqlite_version_info < SQLITE_FIXED:
        wanted = ".".join(map(str, SQLITE_FIXED))
        return Check(
            "sqlite",
            "ok",
            f"{sqlite3.sqlite_version}; before {wanted} two processes that reset the write-ahead log at once could "
            "corrupt it, which one process alone (as here, under a lock) does not do",
        )
    return Check("sqlite", "ok", sqlite3.sqlite_version)


def _disk(settings: Settings) -> Check:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(settings.data_dir).free / 1e9
    if free < MIN_FREE_GB:
        return Check("disk", "failed", f"{free:.1f} GB free under {settings.data_dir}; make room")
    return Check("disk", "ok", f"{free:.0f} GB free")


def _masked(settings: Settings) -> dict[str, Any]:
    return settings.model_dump(mode="json")


def _as_dict(check: Check) -> dict[str, str]:
    return {"name": check.name, "status": check.status, "detail": check.detail}


def _show(settings: Settings, checks: list[Check]) -> None:
    console = out()
    values = Table(box=None, show_header=False, title="Settings in force", title_justify="left", title_style="bold")
    for group, value in _masked(settings).items():
        for key, item in value.items() if isinstance(value, dict) else [("", value)]:
            values.add_row(f"{group}{'.' if key else ''}{key}", str(item))
    console.print(values)
    table = Table(box=None, show_header=False, title="Checks", title_justify="left", title_style="bold")
    marks = {"ok": "[green]✓[/green]", "warning": "[yellow]![/yellow]", "failed": "[red]✗[/red]"}
    for check in checks:
        table.add_row(marks[check.status], check.name, check.detail)
    console.print(table)
