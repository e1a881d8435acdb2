"""The image `indexer`, built and run as KubeRay runs it: `make test-image`."""

from __future__ import annotations

import secrets
import socket
import time
from contextlib import ExitStack

import pytest

from tests.image.engine import CONFINED, Engine

MOST_BYTES = 1.6e9
READY_SECONDS = 300
pytestmark = pytest.mark.timeout(3600)


@pytest.fixture(scope="module")
def image(own: Engine) -> str:
    return own.build("indexer")


def test_the_image_is_small_and_neither_builds_nor_installs(own: Engine, image: str) -> None:
    assert own.size(image) <= MOST_BYTES
    assert own.tools(image) == []


def test_it_reads_buckets_and_parquet_files(own: Engine, image: str) -> None:
    own.run("run", "--rm", *CONFINED, "--entrypoint", "python", image, "-c", "import pyarrow.parquet, ray, s3fs")


def test_ray_starts_in_a_login_shell_and_answers_the_probes_and_jobs_of_kuberay(own: Engine, image: str) -> None:
    """Its probes: https://github.com/ray-project/kuberay, ray-operator/controllers/ray/utils/constant.go."""
    gcs, dashboard, agent, clients = free_ports(4)
    ports = f"--port={gcs} --dashboard-port={dashboard} --dashboard-agent-listen-port={agent}"
    sizes = "--num-cpus=1 --memory=1000000000 --object-store-memory=100000000"
    start = f"ray start --head --block --node-ip-address=127.0.0.1 --ray-client-server-port={clients} {ports} {sizes}"
    name = f"winnow-{secrets.token_hex(4)}"
    own.run(
        "run", "-d", "--name", name, *CONFINED, "--shm-size", "256m", "--entrypoint", "/bin/bash", image, "-lc", start
    )
    try:
        for port, path in ((agent, "api/local_raylet_healthz"), (dashboard, "api/gcs_healthz")):
            probe = f"wget --tries 1 -T 5 -q -O- http://localhost:{port}/{path} | grep success"
            wait_for(own, name, probe)
        submit = f"RAY_ADDRESS=http://127.0.0.1:{dashboard} ray job submit -- winnow --version"
        assert "succeeded" in own.run("exec", name, "bash", "-lc", submit)
    finally:
        own.run("rm", "-f", name, check=False)


def wait_for(own: Engine, name: str, probe: str) -> None:
    end = time.monotonic() + READY_SECONDS
    while "success" not in own.run("exec", name, "bash", "-c", probe, check=False):
        assert time.monotonic() < end, own.run("logs", name)
        time.sleep(1)


def free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        return [held.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1] for _ in range(count)]
