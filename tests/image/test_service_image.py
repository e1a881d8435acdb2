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

from tests.image.engine import DOCKERFILE, ROOT, Engine, engine, import_base

IMAGE = "winnow-under-test:service"
MOST_BYTES = 0.9e9
GRACE_SECONDS = 60
READY_SECONDS = 300
CONFINED = (
    "--network",
    "host",
    "--read-only",
    "--tmpfs",
    "/tmp",
    "--cap-drop",
    "ALL",
    "--security-opt",
    "no-new-privileges",
)
pytestmark = pytest.mark.timeout(3600)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("engine")
    with engine(folder) as running:
        if running is None:
            pytest.skip("no Docker engine answers, and none can be started here")
        if not import_base(running, folder):
            pytest.skip("the base image can be neither pulled nor made here")
        running.run("build", "--network", "host", "-f", str(DOCKERFILE), "--target", "service", "-t", IMAGE, str(ROOT))
        yield running


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
def serving(own: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    data = tmp_path_factory.mktemp("data")
    data.chmod(0o777)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    name, key = f"winnow-{secrets.token_hex(4)}", secrets.token_urlsafe(48)
    settings = ("-e", f"WINNOW_SERVER__PORT={port}", "-e", f"WINNOW_SERVER__BOOTSTRAP_KEY={key}")
    own.run("run", "-d", "--name", name, *CONFINED, "--memory", "4g", *settings, "-v", f"{data}:/data", IMAGE)
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


def test_the_image_is_small(own: Engine) -> None:
    size = int(own.run("image", "inspect", IMAGE, "--format", "{{.Size}}"))
    print(f"{size / 1e6:.0f} MB")
    assert size <= MOST_BYTES


def test_nothing_in_it_builds_or_installs(own: Engine) -> None:
    shell = ("run", "--rm", "--network", "none", "--entrypoint", "sh", IMAGE, "-c")
    assert own.run(*shell, "for p in gcc cc pip pip3; do command -v $p; done; true") == ""
    code = "import importlib.util as u; print([m for m in ('pip', 'torch') if u.find_spec(m)])"
    assert own.run(*shell, f'python -c "{code}"') == "[]"


def test_it_says_what_it_is(own: Engine) -> None:
    labels = json.loads(own.run("image", "inspect", IMAGE, "--format", "{{json .Config.Labels}}"))
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert own.run("image", "inspect", IMAGE, "--format", "{{.Config.User}}") == "10001:10001"


def test_it_indexes_and_searches_without_root_or_a_writable_root(own: Engine, serving: Serving, tmp_path: Path) -> None:
    documents = tmp_path / "docs.jsonl"
    documents.write_text(
        '{"id": "1", "text": "How to restore a backup"}\n{"id": "2", "text": "A bicycle has two wheels"}\n'
    )
    tmp_path.chmod(0o755)
    assert own.run("exec", serving.name, "id", "-u") == "10001"
    assert own.run("exec", serving.name, "sh", "-c", "touch /opt/x 2>/dev/null || echo refused") == "refused"
    ask = ("run", "--rm", *CONFINED, "-e", f"WINNOW_API_KEY={serving.key}", "-v", f"{documents}:/docs.jsonl:ro", IMAGE)
    own.run(*ask, "index", "/docs.jsonl", "-c", "docs", "--url", serving.url)
    answer = own.run(*ask, "search", "restore a backup", "-c", "docs", "--url", serving.url, "--json")
    assert json.loads(answer)["results"][0]["document_id"] == "1"


def test_it_ends_in_time_when_it_is_asked_to(own: Engine, serving: Serving) -> None:
    began = time.monotonic()
    own.run("stop", "-t", str(GRACE_SECONDS), serving.name)
    assert time.monotonic() - began < GRACE_SECONDS
    assert own.run("inspect", serving.name, "--format", "{{.State.ExitCode}}") == "0"
