"""A real service in its own process, and the clients of other providers in front of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.served import ROOT, served

HERE = Path(__file__).parent
PYTHON = ROOT / os.environ.get("CLIENTS_VENV", ".clients-venv") / "bin" / "python"
MODULES = ROOT / os.environ.get("CLIENTS_NODE", ".clients-node") / "node_modules"
SECONDS = 120

Client = Callable[..., Any]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the service as `winnow serve` starts it, with models that need no weights."""
    with served(tmp_path_factory.mktemp("doors")) as service:
        _fill(service.address)
        yield service.address


@pytest.fixture
def foreign(live: str) -> Client:
    """Runs a script of ``clients/`` or ``node/`` against the service; returns what it printed."""

    def run(name: str, *arguments: str, address: str = live) -> Any:
        if name.endswith(".mjs"):
            command = [node(), str(beside_modules(name)), address, *arguments]
        else:
            if not PYTHON.exists():
                pytest.skip("the clients of other providers are not installed: make clients")
            command = [str(PYTHON), str(HERE / "clients" / f"{name}.py"), address, *arguments]
        environment = {each: value for each, value in os.environ.items() if not each.startswith(("PYTHON", "WINNOW_"))}
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, env=environment, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    return run


def _fill(address: str) -> None:
    """Two collections, each with a document about copying files."""
    with httpx2.Client(base_url=address, timeout=60) as service:
        for name, fields in (("guides", {"lang": "keyword"}), ("notes", {})):
            assert service.put(f"/v1/collections/{name}", json={"fields": fields}).is_success
            copying = {
                "id": f"copy/{name}",
                "title": "Copying",
                "url": f"https://site.example/{name}",
                "text": f"how to copy a file, in {name}",
            }
            documents = [copying, {"id": "rain", "text": "the weather"}]
            path = f"/v1/collections/{name}/documents"
            assert service.post(path, params={"wait": "true"}, json={"documents": documents}).status_code == 200


def node() -> str:
    """The program Node; skips the test where it, or what its scripts need, is not installed."""
    program = shutil.which("node")
    if program is None or not MODULES.exists():
        pytest.skip("Node or the clients for it are not installed: make clients")
    return program


def beside_modules(name: str) -> Path:
    """The script where Node finds its modules: it looks for them above the script, and nowhere else."""
    script = MODULES.parent / name
    script.write_bytes((HERE / "node" / name).read_bytes())
    return script
