"""The checks of ``winnow doctor`` of what settings name: catalog, vector store, workers, models."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from winnow.cli.doctor_check import DoctorCheck
from winnow.core.errors import IdentityMismatch, WinnowError
from winnow.core.text import counted

if TYPE_CHECKING:
    from winnow.core.settings import Settings
    from winnow.operations.probes import ProbeReport
    from winnow.operations.resources import Resources
    from winnow.ports import Reranker, VectorStore
    from winnow.search.embedders import Embedders


async def check_parts(resources: Resources) -> list[DoctorCheck]:
    """Catalog, vector store, collections, workers and models of an installation that opened."""
    checks = [await _check("catalog", _catalog(resources)), await check_store(resources.store, resources.settings)]
    checks.append(await _check("collections", _collections(resources)))
    checks += await _lost(resources)
    checks += await _unowned(resources)
    checks += await check_workers(resources)
    return checks + await check_models(resources.embedders, resources.reranker)


async def check_models(embedders: Embedders, reranker: Reranker | None) -> list[DoctorCheck]:
    """Each embedder and the reranker, by calls whose right answers are known."""
    from winnow.operations.probes import probe_embedder, probe_reranker
    from winnow.search.query_cache import uncached

    checks = []
    for embedder in embedders:
        checks += _of_report(await probe_embedder(uncached(embedder)))
    if reranker is None:
        return [*checks, DoctorCheck("reranker", "skipped", "not configured: results have retrieval scores only")]
    return checks + _of_report(await probe_reranker(reranker))


async def _check(name: str, probe: Awaitable[str]) -> DoctorCheck:
    began = time.perf_counter()
    try:
        detail = await probe
    except WinnowError as error:
        return DoctorCheck(name, "failed", error.message)
    return DoctorCheck(name, "ok", f"{detail} ({(time.perf_counter() - began) * 1000:.0f} ms)")


def _of_report(report: ProbeReport) -> list[DoctorCheck]:
    """The model on a line of its own, then each finding."""
    status = "failed" if report.failed else "ok"
    found = [DoctorCheck(f"{report.part}: {each.check}", each.status, each.seen, each.fix) for each in report.findings]
    where = f" at {', '.join(report.addresses)}" if report.addresses else ""
    return [DoctorCheck(report.part, status, f"{report.model} ({report.provider}{where})"), *found]


async def _catalog(resources: Resources) -> str:
    await resources.catalog.check()
    return f"{counted(await resources.catalog.queue.backlog(), 'document')} pending"


async def check_workers(resources: Resources) -> list[DoctorCheck]:
    """Whether a worker runs; nothing is said where this process's own would do the work."""
    from winnow.operations.missing_worker import missing_worker

    if resources.settings.keeps_data:
        return []
    try:
        missing = await missing_worker(resources)
    except WinnowError as error:
        return [DoctorCheck("workers", "failed", error.message)]
    if missing is None:
        return [DoctorCheck("workers", "ok", "no document waits for one")]
    found, _, fix = missing.partition(": ")
    return [DoctorCheck("workers", "warning", found, fix)]


async def check_store(store: VectorStore, settings: Settings) -> DoctorCheck:
    """Whether the vector store answers and takes writes, and at which address."""
    return await _check("vectors", _store(store, settings))


async def _store(store: VectorStore, settings: Settings) -> str:
    from winnow.core.types import IndexRef

    await store.check()
    # a write that changes nothing, since names of indexes end in a part of a uid: a key that may only read is refused
    await store.drop(IndexRef("winnow-doctor"))
    return f"{store.engine}{_address(settings)}, {counted(len(await store.indexes()), 'index')}"


def _address(settings: Settings) -> str:
    """Where a server is called: with gRPC, which has a port of its own, the port of the URL is not."""
    from urllib.parse import urlsplit

    from winnow.core.settings.vectors import QdrantVectors

    if not isinstance(settings.vectors, QdrantVectors):
        return ""
    if not settings.vectors.prefer_grpc:
        return f" at {settings.vectors.url}"
    return f" at {urlsplit(settings.vectors.url).hostname}:{settings.vectors.grpc_port} (gRPC)"


async def _lost(resources: Resources) -> list[DoctorCheck]:
    """Name indexes that are missing or damaged, and those that are being filled again."""
    from winnow.operations.index_watch import IndexWatch

    try:
        found = await IndexWatch(resources, heals=False).look()
    except WinnowError:  # as below
        return []
    fix = "winnow serve and winnow worker fill it from the catalog again, and so does winnow verify --repair"
    return [DoctorCheck(f"index of {name}", "failed", seen, fix) for name, seen in found.items()]


async def _unowned(resources: Resources) -> list[DoctorCheck]:
    """Name indexes that no collection owns. Where one process owns everything, they are dropped at start."""
    from winnow.operations.unowned import unowned_indexes

    try:
        found = await unowned_indexes(resources.catalog, resources.store)
    except WinnowError:  # reported by the check of catalog or vectors
        return []
    if not found:
        return []
    names = ", ".join(f"{ref.collection} (generation {ref.generation})" for ref in found)
    seen = f"{counted(len(found), 'index')} that no collection of this catalog owns: {names}"
    fix = "delete them: winnow collections prune, unless another installation uses this WINNOW_VECTORS__PREFIX"
    return [DoctorCheck("unowned indexes", "warning", seen, fix)]


async def _collections(resources: Resources) -> str:
    """Name every collection that does not fit the configured models."""
    from winnow.core.principal import LOCAL
    from winnow.operations.collections import CollectionSpec, ensure_collection

    found = await resources.catalog.collections.list()
    mismatches = []
    for collection in found:
        try:
            await ensure_collection(resources, LOCAL, collection.name, CollectionSpec())
        except IdentityMismatch as error:
            mismatches.append(error.message)
    if mismatches:
        raise IdentityMismatch("\n".join(mismatches))
    return f"{counted(len(found), 'collection')} built with the configured models"
