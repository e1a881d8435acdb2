"""kill -9 at random moments of indexing: what was acknowledged is searchable exactly once, and nothing by halves."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

KILLS = int(os.environ.get("TEST_KILLS", "25"))
BATCH = 8
CHUNK_TOKENS = 32
DEADLINE_SECONDS = 60.0

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]


class Server:
    """A real `winnow serve` with Qdrant Edge and SQLite; the deterministic embedder makes it start quickly."""

    def __init__(self, data_dir: Path) -> None:
        env = os.environ | {
            "WINNOW_EMBEDDING__PROVIDER": "fake",
            "WINNOW_RERANK__PROVIDER": "fake",
            "WINNOW_INDEXING__BATCH_DOCUMENTS": "4",
            "WINNOW_VECTORS__FLUSH_SECONDS": "0.2",
        }
        command = [sys.executable, "-m", "cli.main", "serve", "--port", "0", "--data-dir", str(data_dir)]
        self.log = (data_dir.parent / "serve.log").open("ab")
        self.process = subprocess.Popen(command, env=env, stdout=self.log, stderr=self.log, start_new_session=True)
        self.url = self._wait_for_url(data_dir / "winnow.lock")

    def _wait_for_url(self, lock: Path) -> str:
        for _ in polls(self.process):
            try:
                owner = json.loads(lock.read_text())
            except (OSError, ValueError):
                continue
            if owner["pid"] == self.process.pid and owner["url"] and responds(owner["url"]):
                return str(owner["url"])
        raise AssertionError("unreachable")

    def kill(self, *, engine_too: bool = False) -> None:
        """Kill the process; its vector engine notices and ends, unless it is killed as well."""
        if engine_too:
            os.killpg(self.process.pid, signal.SIGKILL)
        else:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.log.close()


def polls(process: subprocess.Popen[bytes] | None = None) -> Iterator[None]:
    """Poll until the caller leaves the loop; fail after a minute or when the process dies."""
    end = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < end:
        assert process is None or process.poll() is None, f"the server ended with {process.returncode}"
        yield
        time.sleep(0.02)
    raise AssertionError(f"not reached within {DEADLINE_SECONDS:.0f} s")


def responds(url: str) -> bool:
    try:
        return call(url, "GET", "/healthz")[0] == 200
    except OSError:
        return False


def call(url: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data=data, method=method, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.loads(response.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null")


def document(number: int) -> dict[str, Any]:
    """A document of a few chunks, each of which holds the document's own word."""
    paragraphs = [
        " ".join([f"own{number}"] + [f"w{number}x{p}y{i}" for i in range(CHUNK_TOKENS - 8)]) + "."
        for p in range(number % 3 + 1)
    ]
    return {"id": f"doc-{number}", "text": "\n\n".join(paragraphs)}


class Writer(threading.Thread):
    """Posts batch after batch until the server dies; logs each acknowledgement to a file with fsync."""

    def __init__(self, url: str, log: Path, first: int) -> None:
        super().__init__(daemon=True)
        self.url, self.log, self.next = url, log, first

    def run(self) -> None:
        with self.log.open("a") as log:
            while True:
                batch = [document(n) for n in range(self.next, self.next + BATCH)]
                self.next += BATCH
                try:
                    status, answer = call(self.url, "POST", "/v1/collections/c/documents", {"documents": batch})
                except (OSError, ValueError):
                    return
                assert status == 202, answer
                assert answer["accepted"] == BATCH
                log.write("".join(f"{item['id']}\n" for item in batch))
                log.flush()
                os.fsync(log.fileno())


def test_acknowledged_documents_survive_kills_exactly_once(tmp_path: Path) -> None:
    data, acknowledged = tmp_path / "data", tmp_path / "acknowledged.log"
    acknowledged.touch()
    chance = random.Random(20)
    first = 0
    for round_number in range(KILLS):
        server = Server(data)
        if round_number == 0:
            assert (
                call(server.url, "PUT", "/v1/collections/c", {"chunking": {"max_tokens": 32, "overlap": 0}})[0] == 201
            )
        writer = Writer(server.url, acknowledged, first)
        writer.start()
        writer.join(chance.uniform(0.02, 0.8))
        server.kill(engine_too=round_number % 2 == 1)
        writer.join()
        first = writer.next
    server = Server(data)
    try:
        check(server.url, acknowledged.read_text().split(), sent=first)
    finally:
        server.kill()


def check(url: str, acknowledged: list[str], *, sent: int) -> None:
    for _ in polls():
        counts = call(url, "GET", "/v1/collections/c")[1]["counts"]
        if counts["pending"] == 0:
            break
    assert counts["failed"] == 0
    assert len(acknowledged) > BATCH, "nothing was acknowledged between the kills"
    known, chunks = set(acknowledged), 0
    for number in range(sent):
        wanted = document(number)
        status, stored = call(url, "GET", f"/v1/collections/c/documents/{wanted['id']}")
        if wanted["id"] in known:
            assert status == 200, f"{wanted['id']} was acknowledged and is lost"
        found = found_chunks(url, number)
        if status == 200:
            assert stored["state"] == "indexed"
            assert found == list(range(stored["chunks"])), f"{wanted['id']} is there by halves or twice: {found}"
            assert stored["chunks"] >= number % 3 + 1
            chunks += stored["chunks"]
        else:
            assert found == [], f"{wanted['id']} was never accepted but is found"
    assert counts["chunks"] == chunks


def found_chunks(url: str, number: int) -> list[int]:
    body = {"query": f"own{number}", "mode": "sparse", "group_by": "chunk", "rerank": False, "top_n": 100}
    status, answer = call(url, "POST", "/v1/collections/c/search", body)
    assert status == 200, answer
    return sorted(r["chunk"]["index"] for r in answer["results"] if r["document_id"] == f"doc-{number}")
