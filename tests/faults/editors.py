"""Clients that write, change and delete documents at random, and a reader that looks at them meanwhile.

Every request is on the log of attempts before it is sent, and every acknowledgement on a log of its own, with fsync,
before its client goes on. What must be there afterwards follows from these two files alone.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

COLLECTION: Final = "soak"
CHUNK_TOKENS: Final = 32
PARAGRAPH_WORDS: Final = 24
ANSWER_SECONDS: Final = 30.0
ABSENT_SECONDS: Final = 0.1  # between two attempts to reach a service that is not there
_UNCERTAIN: Final = frozenset({429, 500, 502, 503, 504, 507})  # refused or lost on the way: it may have been done


def owner_word(document_id: str) -> str:
    """The word that every chunk of a document has, and no other document."""
    return f"own{document_id.replace('-', 'x')}"


def marks(document_id: str, version: int) -> list[str]:
    """The words that tell apart the chunks of one version of a document, in order."""
    name = document_id.replace("-", "x")
    return [f"mark{name}v{version}p{paragraph}" for paragraph in range(version % 3 + 1)]


def text_of(document_id: str, version: int) -> str:
    """A paragraph that is the same in all versions, so that its vectors are used again, and some of this one."""
    own = owner_word(document_id)
    heads = [["stable"], *([mark] for mark in marks(document_id, version))]
    return "\n\n".join(
        " ".join([own, *head, *(f"w{i}{head[0]}" for i in range(PARAGRAPH_WORDS - 2))]) + "." for head in heads
    )


@dataclass(frozen=True, slots=True)
class Operation:
    """One change of one document. ``version`` ``None`` deletes it."""

    number: int
    document: str
    version: int | None


class Journal:
    """The logs of attempts, of acknowledgements, and of what clients saw that may not be."""

    def __init__(self, folder: Path) -> None:
        self._lock = threading.Lock()
        self._attempts = (folder / "attempts.log").open("a")
        self._acknowledged = (folder / "acknowledged.log").open("a")
        self.operations: list[Operation] = []
        self.acknowledged: set[int] = set()
        self.void: set[int] = set()
        self.seen: list[str] = []

    def attempt(self, document: str, version: int | None) -> Operation:
        """Note that a change is about to be asked for."""
        with self._lock:
            operation = Operation(len(self.operations), document, version)
            self.operations.append(operation)
            self._attempts.write(json.dumps([operation.number, document, version]) + "\n")
            self._attempts.flush()
            return operation

    def acknowledge(self, operations: list[Operation]) -> None:
        """Note that the service has taken on these changes; on disk on return."""
        with self._lock:
            self._acknowledged.write("".join(f"{each.number}\n" for each in operations))
            self._acknowledged.flush()
            os.fsync(self._acknowledged.fileno())
            self.acknowledged.update(each.number for each in operations)

    def disclaim(self, operations: list[Operation]) -> None:
        """Note that these changes were not made for certain: the service was not there, or had nothing to change."""
        with self._lock:
            self.void.update(each.number for each in operations)

    def complain(self, what: str) -> None:
        """Note something that may not be."""
        with self._lock:
            self.seen.append(what)

    def possible(self, document: str | None = None) -> dict[str, list[int | None]]:
        """By document: the versions it may be in (``None``: not there), that of its last acknowledged change first."""
        with self._lock:
            chosen = [op for op in self.operations if document in (None, op.document) and op.number not in self.void]
            acknowledged = set(self.acknowledged)
        found: dict[str, list[int | None]] = {}
        for operation in chosen:
            if operation.number in acknowledged:
                found[operation.document] = [operation.version]
            else:
                found.setdefault(operation.document, [None]).append(operation.version)
        return found

    def close(self) -> None:
        self._attempts.close()
        self._acknowledged.close()


class Client:
    """Calls the service.

    Args:
        port: of the service on this machine.
        keep: use one connection for all calls, and another once it breaks; ``close`` ends it.
    """

    def __init__(self, port: int, *, keep: bool = False) -> None:
        self._port = port
        self._keep = keep
        self._connection: http.client.HTTPConnection | None = None

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and JSON of the answer.

        Raises:
            OSError: no whole answer came.
        """
        connection = self._connection or http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_SECONDS)
        self._connection = None
        data = None if body is None else json.dumps(body)
        try:
            connection.request(method, path, data, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = json.loads(response.read() or b"null")
        except (http.client.HTTPException, ValueError) as error:
            connection.close()
            raise ConnectionError(f"the answer broke off: {error!r}") from error
        except OSError:
            connection.close()
            raise
        if self._keep:
            self._connection = connection
        else:
            connection.close()
        return response.status, answer

    def close(self) -> None:
        """Close the connection that is kept."""
        if self._connection is not None:
            self._connection.close()


class Walker(threading.Thread):
    """Does something again and again until it is told to rest or to end."""

    def __init__(self, name: str, port: int, pause: Callable[[], float]) -> None:
        super().__init__(name=name, daemon=True)
        self.client = Client(port, keep=True)
        self._pause = pause
        self._ending = threading.Event()
        self._active = threading.Event()
        self._resting = threading.Event()

    def step(self) -> None:
        """Do it once; ``OSError`` means that the service is not there."""
        raise NotImplementedError

    def run(self) -> None:
        while not self._ending.is_set():
            if not self._active.is_set():
                self._resting.set()
                self._active.wait(0.1)
                continue
            try:
                self.step()
            except OSError:
                self._ending.wait(ABSENT_SECONDS)
            self._ending.wait(self._pause())

    def go(self) -> None:
        """Go on, or begin."""
        self._resting.clear()
        self._active.set()

    def rest(self) -> None:
        """Finish what is in hand and wait."""
        self._active.clear()
        if not self._resting.wait(2 * ANSWER_SECONDS):
            raise AssertionError(f"{self.name} hangs in a request")

    def end(self) -> None:
        self._ending.set()
        self._active.set()
        self.join()
        self.client.close()


class Editor(Walker):
    """Puts, changes and deletes documents of its own, so that for each the order of changes is known."""

    def __init__(self, number: int, port: int, journal: Journal, seed: int, *, documents: int) -> None:
        self._chance = random.Random(f"{seed}-editor-{number}")
        super().__init__(f"editor-{number}", port, lambda: self._chance.uniform(0.0, 0.06))
        self._journal = journal
        self._documents = [f"d{number}-{each}" for each in range(documents)]
        self._versions = dict.fromkeys(self._documents, 0)

    def step(self) -> None:
        chosen = self._chance.sample(self._documents, self._chance.choice((1, 1, 1, 4, 8)))
        delete = self._chance.random() < 0.25
        for each in chosen:
            self._versions[each] += 1
        wanted = [self._journal.attempt(each, None if delete else self._versions[each]) for each in chosen]
        try:
            if delete:
                self._remove(chosen, wanted)
            else:
                self._write(chosen, wanted)
        except ConnectionRefusedError:  # nobody was there to be asked
            self._journal.disclaim(wanted)
            raise

    def _write(self, documents: list[str], wanted: list[Operation]) -> None:
        bodies = [{"id": op.document, "text": text_of(op.document, op.version or 0)} for op in wanted]
        if len(documents) == 1 and self._chance.random() < 0.5:
            path = f"/v1/collections/{COLLECTION}/documents/{quote(documents[0])}"
            status, answer = self.client.call("PUT", path, bodies[0])
        else:
            path = f"/v1/collections/{COLLECTION}/documents"
            status, answer = self.client.call("POST", path, {"documents": bodies})
        if status == 202 and answer["accepted"] == len(wanted):
            self._journal.acknowledge(wanted)
        else:
            self._refused(f"writing {documents}", status, answer)

    def _remove(self, documents: list[str], wanted: list[Operation]) -> None:
        if len(documents) == 1:
            path = f"/v1/collections/{COLLECTION}/documents/{quote(documents[0])}"
            status, answer = self.client.call("DELETE", path)
        else:
            path = f"/v1/collections/{COLLECTION}/documents:delete"
            status, answer = self.client.call("POST", path, {"ids": documents})
        if status == 202:
            self._journal.acknowledge(wanted)
        elif status == 404 and answer["code"] == "document_not_found":
            self._nothing_there(wanted[0].document)
            self._journal.disclaim(wanted)
        else:
            self._refused(f"deleting {documents}", status, answer)

    def _refused(self, what: str, status: int, answer: Any) -> None:
        if status in _UNCERTAIN:
            raise ConnectionError(f"{what} was answered {status}")
        self._journal.complain(f"{what} was answered {status}: {answer}")

    def _nothing_there(self, document: str) -> None:
        possible = self._journal.possible(document)[document][:-1]  # without the deletion that was just tried
        if possible and None not in possible:
            self._journal.complain(f"{document} was acknowledged in version {possible[0]} and is not there")


class Reader(Walker):
    """Searches while everything falls over; no answer may show two versions of one document."""

    def __init__(self, port: int, journal: Journal, seed: int) -> None:
        self._chance = random.Random(f"{seed}-reader")
        super().__init__("reader", port, lambda: self._chance.uniform(0.0, 0.1))
        self._journal = journal
        self.answers = 0

    def step(self) -> None:
        documents = list(self._journal.possible())
        if not documents:
            return
        document = self._chance.choice(documents)
        shown = search(self.client, document, mode=self._chance.choice(("sparse", "hybrid")))
        if shown is None:
            return
        self.answers += 1
        versions = {mark.rsplit("p", 1)[0] for _, text in shown for mark in text.split() if mark.startswith("mark")}
        if len(versions) > 1:
            self._journal.complain(f"one answer shows {document} in several versions: {sorted(versions)}")


def search(client: Client, document: str, *, mode: str = "sparse") -> list[tuple[int, str]] | None:
    """Place and text of the chunks that are found of a document; ``None`` if the service could not answer."""
    body = {"query": owner_word(document), "mode": mode, "group_by": "chunk", "rerank": False, "top_n": 100}
    status, answer = client.call("POST", f"/v1/collections/{COLLECTION}/search", body)
    if status != 200:
        return None
    found = [each for each in answer["results"] if each["document_id"] == document]
    return sorted((each["chunk"]["index"], each["text"]) for each in found)
