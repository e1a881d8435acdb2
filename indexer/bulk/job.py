"""A bulk job, seen from the command that runs it: start the plan, receive outcomes, end it."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

from indexer.bulk.coordinator import Coordinator, KnownEmbedder
from indexer.bulk.options import START_SECONDS, RayOptions, connected, embeddings_of, for_models, for_stores
from indexer.bulk.plan import bulk_plan
from indexer.bulk.work import unpacked
from indexer.worker.claims import release_leases
from indexer.worker.loop import STOP_SECONDS
from indexer.worker.maintenance import Maintenance
from indexer.worker.stages import OUTAGE
from winnow.core.errors import InvalidSettings, UpstreamUnavailable
from winnow.core.retry import retry
from winnow.core.settings import Settings
from winnow.operations.resources import Adapters
from winnow.ports import Catalog, Embedder, Outcome

log = logging.getLogger(__name__)


class BulkJob:
    """Takes the worker's place: runs the plan, and runs it again if it ends before ``stop``.

    The first run starts before the catalog is open, because only the processes of the plan know the embedder.

    Attributes:
        on_outcomes: called with the outcomes of each batch; may be exchanged.
    """

    _catalog: Catalog
    _maintenance: Maintenance

    def __init__(self, ray: Any, settings: Settings, options: RayOptions, adapters: Adapters) -> None:
        self._ray = ray
        self._settings = settings
        self._options = options
        self._adapters = adapters
        self._stopped = asyncio.Event()
        self._limit: asyncio.Timeout | None = None
        self.on_outcomes: Callable[[Sequence[Outcome]], None] = lambda _: None
        self.owner = f"ray-{os.getpid()}-{uuid.uuid4().hex[:12]}"
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        self._coordinator = ray.remote(num_cpus=0, scheduling_strategy=here)(Coordinator).remote(options.under_way)

    async def start(self) -> None:
        """Hand the settings over and start the plan."""
        await self._coordinator.equip.remote(for_stores(self._settings), for_models(self._settings))
        self._round = self._started()

    def load(self, settings: Settings) -> Embedder:
        """The description of the embedder of ``settings``. Blocks until Ray has loaded a model.

        Raises:
            InvalidSettings: it cannot be loaded, or Ray has no resources for it.
        """
        answer = self._coordinator.embedders.remote()
        while not self._ray.wait([answer], timeout=START_SECONDS)[0]:
            log.warning("no embedder is ready yet; each asks the cluster for 1 CPU and %g GPUs", self._options.gpus)
        try:
            known: Sequence[KnownEmbedder] = self._ray.get(answer)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from None  # its own text is the traceback of the other process
        except self._ray.exceptions.RayError as error:
            raise InvalidSettings(f"no embedder starts on Ray: {type(error).__name__}") from error
        return known[embeddings_of(self._settings).index(settings.embedding)]

    def attach(self, catalog: Catalog, maintenance: Maintenance) -> None:
        """Give the job the catalog of this process, and its maintenance; before ``run``."""
        self._catalog, self._maintenance = catalog, maintenance

    def wake(self) -> None:
        """Say that work waits."""
        if not self._stopped.is_set():  # afterwards the coordinator is gone
            self._coordinator.wake.remote()

    def stop(self) -> None:
        """Claim no more; batches under way are finished, at the latest after ``STOP_SECONDS``."""
        if not self._stopped.is_set():
            if self._limit is not None:
                self._limit.reschedule(asyncio.get_running_loop().time() + STOP_SECONDS)
            self._stopped.set()
            self._coordinator.end.remote()

    async def run(self) -> None:
        """Work until ``stop``, and do the maintenance of the catalog; work under way is released at the end.

        Raises:
            UpstreamUnavailable: Ray failed before anything was done.
        """
        try:
            async with asyncio.timeout(None) as self._limit, asyncio.TaskGroup() as group:
                group.create_task(self._maintenance.run(self._stopped), name="maintenance")
                await self._run_plan()
        except TimeoutError:
            log.warning("gave up the batches in progress after %g s: another run or worker takes them", STOP_SECONDS)
        finally:
            self._limit = None
            stopped = self._stopped.is_set()
            await self.close()
            await release_leases(self._catalog.queue, self.owner, tried=not stopped)

    async def _run_plan(self) -> None:
        """Run the plan until ``stop``. If a run ends before, its unfinished work is released."""
        while True:
            done, error = await self._round
            if self._stopped.is_set():
                return
            reason = error or "all of its sources died"
            if not done:
                raise UpstreamUnavailable(f"Ray could not run the plan: {reason}") from error
            log.warning("Ray stopped the plan, which is run again: %s", reason)
            await retry(partial(self._catalog.queue.release, self.owner), OUTAGE)
            await self._coordinator.clear.remote()
            self._round = self._started()

    async def close(self) -> None:
        """End Ray's processes, and Ray itself if it was started for them. May be called twice."""
        self._stopped.set()
        await asyncio.to_thread(self._ray.shutdown)

    def _started(self) -> asyncio.Future[tuple[int, Exception | None]]:
        """Run the plan on a thread; returns the number of finished batches, and the error that ended it."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[tuple[int, Exception | None]] = loop.create_future()

        def consume() -> None:
            done, failure = 0, None
            try:
                rows = bulk_plan(self._coordinator, self.owner, self._options, self._adapters)
                for table in rows.iter_batches(batch_size=None, batch_format="pyarrow"):
                    for outcomes in unpacked(table):
                        done += 1
                        loop.call_soon_threadsafe(self._report, outcomes)
            except Exception as error:  # noqa: BLE001 - whatever Ray raises ends this run; ``run`` judges it
                failure = error
            with suppress(RuntimeError):  # the loop is closed: no caller waits
                loop.call_soon_threadsafe(self._heard, future, done, failure)

        threading.Thread(target=consume, name="bulk", daemon=True).start()
        return future

    def _report(self, outcomes: Sequence[Outcome]) -> None:
        self.on_outcomes(outcomes)

    def _heard(self, future: asyncio.Future[tuple[int, Exception | None]], done: int, error: Exception | None) -> None:
        if error is not None and not self._stopped.is_set():
            self._coordinator.refuse.remote(InvalidSettings(f"no embedder starts on Ray: {error}"))
        if not future.done():
            future.set_result((done, error))


@asynccontextmanager
async def open_bulk_job(settings: Settings, options: RayOptions, adapters: Adapters) -> AsyncIterator[BulkJob]:
    """Start Ray, or reach it, and a job on it; close it on exit.

    Raises:
        InvalidSettings: Ray is not installed or not reachable.
    """
    ray = await asyncio.to_thread(connected, options)
    job = BulkJob(ray, settings, options, adapters)
    try:
        await job.start()
        yield job
    finally:
        await job.close()
