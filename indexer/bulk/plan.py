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

    def pool(size: int, in_hand: int) -> Any:
        return data.ActorPoolStrategy(
            size=size,
            max_concurrent_calls_per_actor=in_hand,
            max_tasks_in_flight_per_actor=in_hand,
            enable_true_multi_threading=True,
        )

    common = {"batch_size": None, "batch_format": "pyarrow"}
    return (
        sources.map_batches(
            Claiming,
            fn_constructor_args=(coordinator, owner, adapters),
            compute=pool(options.helpers, 1),
            num_cpus=HELPER_CPUS,
            **common,
        )
        .map_batches(
            Embedding,
            fn_constructor_args=(coordinator, adapters),
            compute=pool(options.actors, HELD_BATCHES),
            num_cpus=1,
            num_gpus=options.gpus or None,
            **common,
        )
        .map_batches(
            Writing,
            fn_constructor_args=(coordinator, owner, adapters),
            compute=pool(options.helpers, HELD_WRITES),
            num_cpus=HELPER_CPUS,
            **common,
        )
    )


def _ray_data() -> Any:
    import ray.data  # noqa: PLC0415 - an extra, and slow to import

    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # the command says itself how far it is and what failed
    return ray.data


def _context(data: Any) -> Any:
    """How the plan runs: every row moves on at once, and the ledger brings back lost rows."""
    context = data.DataContext.get_current().copy()
    context.target_max_block_size = 1  # bytes: a block a row
    context.max_errored_blocks = UNBOUNDED
    context.execution_no_progress_timeout_s = UNBOUNDED  # reading a source may pause for as long as it likes
    context.memory_usage_poll_interval_s = None
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    return context
