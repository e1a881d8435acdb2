"""The image `service`, built and run: `make test-image`. Needs Docker, or root with docker.io and debootstrap."""

from __future__ import annotations

import json
import secrets
import socket
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.image.engine import CONFINED, Engine

MOST_BYTES = 0.9e9
GRACE_SECONDS = 60
READY_SECONDS = 300
pytestmark = pytest.mark.timeout(3600)


@pytest.fixture(scope="module")
def image(own: Engine) -> str:
    return own.build("service")


@dataclass(frozen=True)
class Serving:
    """A container that serves."""

    name: str
    url: str
    key: str

    def get(self, path: str) -> dict[str, object]:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=10) as answer:
            found: dict[str, object] = json.load(answer)
        return found


@pytest.fixture(scope="module")
def serving(own: Engine, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    data = tmp_path_factory.mktemp("data")
    data.chmod(0o777)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    name, key = f"winnow-{secrets.token_hex(4)}", secrets.token_urlsafe(48)
    settings = ("-e", f"WINNOW_SERVER__PORT={port}", "-e", f"WINNOW_SERVER__BOOTSTRAP_KEY={key}")
    own.run("run", "-d", "--name", name, *CONFINED, "--memory", "4g", *settings, "-v", f"{data}:/data", image)
    server = Serving(name, f"http://127.0.0.1:{port}", key)
    try:
        wait_until_ready(own, server)
        yield server
    finally:
        own.run("rm", "-f", name, check=False)


def wait_until_ready(own: Engine, server: Serving) -> None:
    end = time.monotonic() + READY_SECONDS
    while True:
        try:
            assert server.get("/readyz")["status"] == "ready"
            return
        except OSError:
            assert time.monotonic() < end, own.run("logs", server.name)
            time.sleep(0.5)


def test_the_image_is_small_and_neither_builds_nor_installs(own: Engine, image: str) -> None:
    assert own.size(image) <= MOST_BYTES
    assert own.tools(image) == []


def test_it_says_what_it_is(own: Engine, image: str) -> None:
    labels = json.loads(own.run("image", "inspect", image, "--format", "{{json .Config.Labels}}"))
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert own.run("image", "inspect", image, "--format", "{{.Config.User}}") == "10001:10001"


def test_it_indexes_and_searches_without_root_or_a_writable_root(
    own: Engine, image: str, serving: Serving, tmp_path: Path
) -> None:
    documents = tmp_path / "docs.jsonl"
    documents.write_text(
        '{"id": "1", "text": "How to restore a backup"}\n{"id": "2", "text": "A bicycle has two wheels"}\n'
    )
    tmp_path.chmod(0o755)
    assert own.run("exec", serving.name, "id", "-u") == "10001"
    assert own.run("exec", serving.name, "sh", "-c", "touch /opt/x 2>/dev/null || echo refused") == "refused"
    ask = ("run", "--rm", *CONFINED, "-e", f"WINNOW_API_KEY={serving.key}", "-v", f"{documents}:/docs.jsonl:ro", image)
    own.run(*ask, "index", "/docs.jsonl", "-c", "docs", "--url", serving.url)
    with pytest.raises(AssertionError, match=r"^docker run --rm --network: error: there is no collection 'nope'"):
        own.run(*ask, "search", "restore", "-c", "nope")  # in a process of its own, and no traceback
    answer = own.run(*ask, "search", "restore a backup", "-c", "docs", "--url", serving.url, "--json")
    assert json.loads(answer)["results"][0]["document_id"] == "1"


def test_it_ends_in_time_when_it_is_asked_to(own: Engine, serving: Serving) -> None:
    began = time.monotonic()
    own.run("stop", "-t", str(GRACE_SECONDS), serving.name)
    assert time.monotonic() - began < GRACE_SECONDS
    assert own.run("inspect", serving.name, "--format", "{{.State.ExitCode}}") == "0"
