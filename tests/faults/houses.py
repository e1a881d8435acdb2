"""The two ways to live, as houses that can be set on fire: their processes, and what can befall them."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from tests.fakes import EMBEDDER
from tests.faults.editors import Client
from tests.faults.processes import Postgres, Program, Tampering, free_port, polls, stub_qdrant, winnow
from tests.faults.tampering import CUE_VARIABLE, EMBEDDINGS_VARIABLE, FLUSHED_VARIABLE, flushed_copies
from tests.support.real_qdrant import GIVEN, RealQdrant
from winnow.core.settings import Settings, load_settings

LEASE_SECONDS: Final = 1.0
ENGINE_DEATHS: Final = 2  # of one service; after a third within a minute it waits before it starts the engine again

_SETTINGS: Final[dict[str, Any]] = {
    "log_level": "warning",
    "embedding": EMBEDDER,
    "rerank": {"provider": "none"},
    "indexing": {"batch_documents": 12, "lease_seconds": LEASE_SECONDS, "max_attempts": 1000},
}


class House(Protocol):
    """A set-up: what runs, and what can befall it.

    Attributes:
        port: where the service listens.
    """

    port: int

    @property
    def settings(self) -> Settings:
        """With which everything can be opened that the processes use."""
        ...

    def start(self) -> None:
        """Start what is not running, and wait until it answers."""
        ...

    def befall(self, chance: random.Random) -> str:
        """Let something happen, start again what it has killed, and return what happened."""
        ...

    def kill(self) -> None:
        """Kill every process of ours."""
        ...

    def close(self) -> None:
        """Kill everything, for good."""
        ...


class _Rooms:
    """What both houses have: settings, a service, a log."""

    def __init__(self, folder: Path, settings: dict[str, Any], tampering: Tampering) -> None:
        self.folder = folder
        self.port = free_port()
        self._tampering = ("be_quick", *tampering)
        self._overrides = _SETTINGS | settings | {"data_dir": folder / "data"}
        self.service = self.program("service", ["serve", "--port", str(self.port)])

    @property
    def settings(self) -> Settings:
        return load_settings(**self._overrides)

    @property
    def variables(self) -> dict[str, str]:
        """The settings as environment variables."""
        return _variables("WINNOW", self._overrides)

    def program(self, name: str, arguments: list[str], **variables: str) -> Program:
        """One of the command's processes, with further ``variables``."""
        environment = (
            self.variables
            | variables
            | {
                EMBEDDINGS_VARIABLE: str(self.folder / "embeddings.log"),
                FLUSHED_VARIABLE: str(self.folder / "flushed"),
                CUE_VARIABLE: str(self.folder),
            }
        )
        return Program(name, winnow, [arguments, environment, self._tampering], self.folder / f"{name}.log")

    def serve(self) -> None:
        """Start the service unless it runs, and wait until it answers."""
        if not self.service.alive:
            self.service.start()
        for _ in polls(f"the service answers, see {self.folder}/service.log"):
            assert self.service.alive, f"the service has ended, see {self.folder}/service.log"
            if _answers(self.port):
                return


class Embedded(_Rooms):
    """One process with SQLite, and Qdrant Edge in its child."""

    def __init__(self, folder: Path, tampering: Tampering = ("log_embeddings",), **settings: Any) -> None:
        stores = {"vectors": {"provider": "edge"}}
        super().__init__(folder, stores | settings, tampering)
        self._engine_deaths = 0

    def start(self) -> None:
        self.serve()

    def befall(self, chance: random.Random) -> str:
        fate = chance.choices(("service", "service and engine", "engine", "pause"), (4, 4, 4, 1))[0]
        if fate == "engine" and self._engine_deaths < ENGINE_DEATHS:
            self._engine_deaths += 1
            return fate if self.service.kill_children() else "nothing"
        if fate == "pause":
            self.service.pause(LEASE_SECONDS * 1.3)
            return fate
        self.service.kill(group=fate != "service")
        self._engine_deaths = 0
        self.service.start()
        if chance.random() < 0.8:  # else it is hit again while it starts
            self.serve()
        return "service" if fate == "engine" else fate

    def kill(self) -> None:
        self.service.kill()

    close = kill


class Unplugged(Embedded):
    """Embedded, and all that befalls it is that the power goes: what the engine has not flushed is lost.

    SQLite's files stay as they are, see ``test_power.py`` for its flushes.
    """

    def __init__(self, folder: Path, tampering: Tampering = ("log_embeddings",)) -> None:
        (folder / "flushed").mkdir()
        # in time nothing is flushed, so that only the write path's own flushes count
        super().__init__(folder, (*tampering, "never_flush_in_time", "keep_flushed"))

    def befall(self, chance: random.Random) -> str:
        self.kill()
        self.serve()
        return "power"

    def kill(self) -> None:
        super().kill()
        vectors, copies = self.folder / "data" / "vectors", self.folder / "flushed"
        shutil.rmtree(vectors, ignore_errors=True)
        for number in flushed_copies(copies)[-1:]:
            shutil.copytree(copies / str(number), vectors)

    close = kill


class Scale(_Rooms):
    """A service, workers, PostgreSQL, and Qdrant: a stub that outlives them all, or a real server."""

    def __init__(
        self, folder: Path, tampering: Tampering = ("log_embeddings",), *, workers: int = 2, **settings: Any
    ) -> None:
        self._qdrant: Program | RealQdrant
        self._qdrant, where = _real_qdrant() if GIVEN else _stub_of_qdrant(folder)
        self._postgres = Postgres(folder / "postgres")
        stores = {
            "vectors": {"provider": "qdrant", "timeout_seconds": 10.0} | where,
            "catalog": {"url": self._postgres.url},
        }
        super().__init__(folder, stores | settings, tampering)
        self.workers = [self.program(f"worker-{number}", ["worker"]) for number in range(workers)]

    def start(self) -> None:
        self._postgres.start()
        for worker in self.workers:
            if not worker.alive:
                worker.start()
        self.serve()

    def befall(self, chance: random.Random) -> str:
        fates: dict[str, tuple[Callable[[random.Random], None], int]] = {
            "worker": (self._lose_worker, 12),
            "service": (self._lose_service, 4),
            "postgres": (self._lose_postgres, 2),
            "pause": (self._pause, 1),
        }
        if isinstance(self._qdrant, RealQdrant) and self._qdrant.killable:
            fates["qdrant"] = (self._lose_qdrant, 5)
        fate = chance.choices(tuple(fates), [weight for _, weight in fates.values()])[0]
        fates[fate][0](chance)
        return fate

    def _lose_worker(self, chance: random.Random) -> None:
        worker = chance.choice(self.workers)
        worker.kill()
        worker.start()

    def _lose_service(self, chance: random.Random) -> None:
        self.service.kill()
        self.service.start()
        if chance.random() < 0.8:
            self.serve()

    def restart_database(self, pause: float = 0.5) -> None:
        """Kill PostgreSQL, and start it again after ``pause`` seconds."""
        self._postgres.kill()
        time.sleep(pause)
        self._postgres.start()

    def stall_store(self, seconds: float) -> None:
        """Pause Qdrant for ``seconds``; it answers no call meanwhile."""
        self._qdrant.pause(seconds)

    def _lose_postgres(self, chance: random.Random) -> None:
        self._postgres.kill()
        time.sleep(chance.uniform(0.0, 0.3))
        self._postgres.start()
        self.start()  # a process that was just starting may have given up

    def _lose_qdrant(self, chance: random.Random) -> None:
        assert isinstance(self._qdrant, RealQdrant)
        self._qdrant.lose(chance.uniform(0.0, 0.3))

    def _pause(self, chance: random.Random) -> None:
        chance.choice(self.workers).pause(LEASE_SECONDS * 1.5)

    def kill(self) -> None:
        for program in (self.service, *self.workers):
            program.kill()

    def close(self) -> None:
        self.kill()
        self._qdrant.kill()
        self._postgres.close()


def _stub_of_qdrant(folder: Path) -> tuple[Program, dict[str, Any]]:
    """A stub that listens, and its settings."""
    address = folder / "qdrant.json"
    stub = Program("qdrant", stub_qdrant, [address], folder / "qdrant.log")
    stub.start()
    for _ in polls("the stub of Qdrant listens"):
        if address.exists():
            break
    return stub, json.loads(address.read_text())


def _real_qdrant() -> tuple[RealQdrant, dict[str, Any]]:
    found = RealQdrant()
    return found, found.settings


HOUSES: Final[dict[str, Callable[..., Embedded | Scale]]] = {"embedded": Embedded, "scale": Scale}


def _answers(port: int) -> bool:
    """Whether the service has started: until then it lets requests wait, and would be killed before it answers them."""
    try:
        return bool(Client(port).call("GET", "/readyz")[1]["status"] != "starting")
    except OSError:
        return False


def _variables(prefix: str, settings: Mapping[str, Any]) -> dict[str, str]:
    """Nested settings as environment variables."""
    found: dict[str, str] = {}
    for key, value in settings.items():
        name = f"{prefix}_{key.upper()}" if prefix == "WINNOW" else f"{prefix}__{key.upper()}"
        found |= _variables(name, value) if isinstance(value, Mapping) else {name: str(value)}
    return found
