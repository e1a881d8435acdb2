"""The plan of a bulk job on Ray Data: claim and cut, embed, write and commit, all at the same time."""

from __future__ import annotations

import logging
from typing import Any, Final

from indexer.bulk.claiming import Claiming
from indexer.bulk.embedding import Embedding
from indexer.bulk.options import HELD_BATCHES, HELD_WRITES, HELPER_CPUS, RayOptions
from indexer.bulk.work import packed
from indexer.bulk.writing import Writing
from winnow.operations.resources import Adapters

UNBOUNDED: Final = -1


def bulk_plan(coordinator: Any, owner: str, options: RayOptions, adapters: Adapters) -> Any:
    """A lazy dataset whose rows are the outcomes of each batch; see ``writing.Writing``.

    Args:
        coordinator: handle of the actor ``Coordinator``.
        owner: the name under which the job claims.
        options: the number of processes.
        adapters: open the models and stores that the settings name.
    """
    data = _ray_data()
    with data.DataContext.current(_context(data)):
        # no `range`: reading it would be a task, which needs a CPU that the actors may have taken
        sources = data.from_arrow([packed([source]) for source in range(options.helpers)])

    def stage(rows: Any, kind: type, *args: Any, size: int, calls: int, **resources: float | None) -> Any:
        pool = data.ActorPoolStrategy(
            size=size,
            max_concurrent_calls_per_actor=calls,
            max_tasks_in_flight_per_actor=calls,
            enable_true_multi_threading=True,
        )
        how = {"batch_size": None, "batch_format": "pyarrow", **resources}
        return rows.map_batches(kind, fn_constructor_args=(coordinator, *args), compute=pool, **how)

    work = stage(sources, Claiming, owner, adapters, size=options.helpers, calls=1, num_cpus=HELPER_CPUS)
    gpus = options.gpus or None
    done = stage(work, Embedding, adapters, size=options.actors, calls=HELD_BATCHES, num_cpus=1, num_gpus=gpus)
    return stage(done, Writing, owner, adapters, size=options.helpers, calls=HELD_WRITES, num_cpus=HELPER_CPUS)


def _ray_data() -> Any:
    import ray.data  # noqa: PLC0415 - an extra, and slow to import

    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # the command reports progress and failures itself
    return ray.data


def _context(data: Any) -> Any:
    """The options of the plan: every row moves on at once, and the ledger brings back lost rows."""
    context = data.DataContext.get_current().copy()
    context.target_max_block_size = 1  # bytes: a block a row
    context.max_errored_blocks = UNBOUNDED
    context.execution_no_progress_timeout_s = UNBOUNDED  # the pauses of a source have no limit
    context.memory_usage_poll_interval_s = None
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    return context
