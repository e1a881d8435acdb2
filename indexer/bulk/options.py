"""Options of a bulk job, and the connection to Ray."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import Any, Final

from winnow.core.errors import InvalidSettings
from winnow.core.import_path import PROCESS_SETUP
from winnow.core.settings import CatalogSettings, Settings
from winnow.core.settings.embedding import BundledEmbedding, Embedding
from winnow.core.settings.rerank import NoRerank
from winnow.core.settings.vectors import EdgeVectors

HELD_BATCHES: Final = 2  # batches that an actor holds: one is being embedded, the next has arrived
BATCHES_A_CLAIM: Final = 2  # of the ledger's batches: what a message costs Ray does not depend on its size
HELD_WRITES: Final = 4  # batches that a writer holds: while servers carry one out, others are prepared
ACTORS_A_HELPER: Final = 4  # embedders that one process can chunk for, and one can write for
HELPER_CPUS: Final = 0.5
OBJECT_STORE_BYTES: Final = 512 * 1024 * 1024  # of a local Ray: some batches of token vectors
START_SECONDS: Final = 30.0  # actors that take longer to start are worth a log line


@dataclass(frozen=True, slots=True)
class RayOptions:
    """Where a bulk job runs, and on how many processes.

    Attributes:
        address: of a running cluster; empty takes the one that ``RAY_ADDRESS`` names, or starts Ray on this machine.
        actors: processes that hold an embedder each.
        gpus: GPUs of each of them.
    """

    address: str = ""
    actors: int = 1
    gpus: float = 0.0

    @property
    def helpers(self) -> int:
        """Processes that claim and chunk; the number of those that write is the same."""
        return -(-self.actors // ACTORS_A_HELPER)

    @property
    def under_way(self) -> int:
        """Batches under lease at once: those that embedders and writers hold, and the same number waiting."""
        return 2 * (HELD_BATCHES * self.actors + HELD_WRITES * self.helpers)


def require_servers(settings: Settings) -> None:
    """Raise ``InvalidSettings`` unless servers keep the data, which many processes can write at once."""
    if settings.keeps_data:
        raise InvalidSettings(
            "--engine ray needs a Qdrant server (WINNOW_VECTORS__PROVIDER=qdrant) and PostgreSQL "
            "(WINNOW_CATALOG__URL=postgresql://…), because one process owns embedded storage; omit --engine there"
        )


def require_ray() -> Any:
    """The module ``ray``.

    Raises:
        InvalidSettings: it is not installed; the message says how to install it.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")  # else a late call after the end starts another Ray
    try:
        import ray  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        raise InvalidSettings("--engine ray needs Ray: pip install 'winnow-search[ray]'") from error
    return ray


def connected(options: RayOptions) -> Any:
    """The module ``ray``, connected to a cluster or to a Ray of this machine, which it starts. Blocks for seconds.

    Raises:
        InvalidSettings: Ray is not installed or not reachable.
    """
    ray = require_ray()
    common: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": logging.ERROR,
        "runtime_env": {"worker_process_setup_hook": PROCESS_SETUP},
    }
    try:
        if options.address or os.environ.get("RAY_ADDRESS"):
            ray.init(address=options.address or None, **common)
        else:
            ray.init(
                address="local",
                num_cpus=max(options.actors + options.helpers, os.cpu_count() or 1),
                include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES,
                _node_ip_address="127.0.0.1",
                **common,
            )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise InvalidSettings(f"Ray cannot be reached (--ray-address, RAY_ADDRESS): {error}") from error
    return ray


def embeddings_of(settings: Settings) -> list[Embedding]:
    """The configured embedding models: those that collections may choose, the default first, then the next one."""
    following = settings.next_embedding
    return [*settings.encoders.values(), *([] if following is None else [following])]


def for_models(settings: Settings) -> Settings:
    """Settings with what an embedder needs and no other secret."""
    away = {"catalog": CatalogSettings(), "vectors": EdgeVectors(), "rerank": NoRerank()}
    return settings.model_copy(update=away)


def for_stores(settings: Settings) -> Settings:
    """Settings with what reading and writing need and no key of a model."""
    away = {"embedding": BundledEmbedding(), "embeddings": {}, "next_embedding": None, "rerank": NoRerank()}
    return settings.model_copy(update=away)
