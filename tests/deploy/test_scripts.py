"""The scripts that run in containers: weights are checked, snapshots are copied whole."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"
WEIGHTS = DEPLOY / "vllm" / "fetch_weights.py"
SNAPSHOT = DEPLOY / "k8s" / "components" / "qdrant-cluster" / "snapshot.py"
FILES = {"model.safetensors": b"w" * 3_000_000, "1_Pooling/config.json": b"{}"}
KEY = "a-key"


class Handler(BaseHTTPRequestHandler):
    """Answers from the server's `answer` function: status, body, headers."""

    def do_GET(self) -> None:
        self.send("GET")

    def do_POST(self) -> None:
        self.send("POST")

    def do_DELETE(self) -> None:
        self.send("DELETE")

    def send(self, method: str) -> None:
        server: Any = self.server
        server.calls.append((method, self.path))
        status, body = server.answer(method, self.path, self.headers)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(answer: Any) -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.answer, server.calls = answer, []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def run(script: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, script], env=variables, capture_output=True, text=True, check=False)


def weights(tmp_path: Path, port: int, contents: dict[str, bytes] = FILES) -> subprocess.CompletedProcess[str]:
    sums = tmp_path / "sums"
    sums.write_text("".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in contents.items()))
    url = f"http://127.0.0.1:{port}"
    return run(
        WEIGHTS,
        {"MODEL": "Qwen/M", "REVISION": "r1", "SUMS": str(sums), "TARGET": str(tmp_path / "m"), "WEIGHTS_URL": url},
    )


def hub(method: str, path: str, headers: Any) -> tuple[int, bytes]:
    """The hub's paths, with parts of files."""
    data = FILES.get(path.removeprefix("/Qwen/M/resolve/r1/"))
    if data is None:
        return 404, b""
    begin = re.fullmatch(r"bytes=(\d+)-", headers.get("Range", ""))
    return (206, data[int(begin[1]) :]) if begin else (200, data)


def test_weights_are_fetched_checked_and_not_fetched_again(tmp_path: Path) -> None:
    with serving(hub) as server:
        done = weights(tmp_path, server.server_port)
        assert (done.returncode, done.stderr) == (0, "")
        assert {name: (tmp_path / "m" / name).read_bytes() for name in FILES} == FILES
        assert len(server.calls) == 2
        assert weights(tmp_path, server.server_port).returncode == 0
        assert len(server.calls) == 2


def test_weights_on_the_volume_need_no_network(tmp_path: Path) -> None:
    for name, data in FILES.items():
        (tmp_path / "m" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "m" / name).write_bytes(data)
    assert weights(tmp_path, port=9).returncode == 0


def test_an_interrupted_fetch_is_continued(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "model.safetensors.part").write_bytes(FILES["model.safetensors"][:1_000_000])
    with serving(hub) as server:
        assert weights(tmp_path, server.server_port).returncode == 0
    assert (tmp_path / "m" / "model.safetensors").read_bytes() == FILES["model.safetensors"]


def test_other_bytes_are_refused_and_named(tmp_path: Path) -> None:
    with serving(lambda *_: (200, b"something else")) as server:
        done = weights(tmp_path, server.server_port)
    assert done.returncode == 1
    assert "model.safetensors: " in done.stderr
    assert "SHA-256 is" in done.stderr
    assert not (tmp_path / "m" / "model.safetensors").exists()
    assert not (tmp_path / "m" / "model.safetensors.part").exists()


def test_without_a_network_the_remedy_is_named(tmp_path: Path) -> None:
    done = weights(tmp_path, port=9)
    assert done.returncode == 1
    assert "WEIGHTS_URL" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_path_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    assert weights(tmp_path, 9, {"../outside": b""}).returncode == 1


@pytest.mark.parametrize("name", ["embedder", "reranker"])
def test_the_shipped_hashes_name_each_file_that_vllm_reads(name: str) -> None:
    lines = [line.split("  ") for line in (DEPLOY / "vllm" / f"{name}.sha256").read_text().splitlines()]
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest, _ in lines)
    assert {"model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"} <= {
        file for _, file in lines
    }


class Node:
    """A Qdrant node with two collections, whose snapshots are their names."""

    def __init__(self, *, lying: bool = False) -> None:
        self.lying = lying

    def __call__(self, method: str, path: str, headers: Any) -> tuple[int, bytes]:
        if headers.get("api-key") != KEY:
            return 403, b""
        found = re.fullmatch(r"/collections/([^/]+)/snapshots(?:/(.+))?", path)
        if path == "/cluster":
            return 200, result({"peer_id": 42})
        if path == "/collections":
            return 200, result({"collections": [{"name": "winnow__a__1"}, {"name": "winnow__b__1"}]})
        assert found
        data = found[1].encode()
        if method == "POST":
            checksum = "0" * 64 if self.lying else hashlib.sha256(data).hexdigest()
            return 200, result({"name": "s.snapshot", "size": len(data), "checksum": checksum})
        return 200, result(True) if method == "DELETE" else data


def result(value: Any) -> bytes:
    return json.dumps({"result": value}).encode()


def take(folder: Path, port: int, key: str = KEY) -> subprocess.CompletedProcess[str]:
    url = f"http://127.0.0.1:{port}"
    return run(SNAPSHOT, {"QDRANT_NODES": url, "QDRANT_API_KEY": key, "SNAPSHOTS": str(folder), "KEEP": "2"})


def test_a_set_of_snapshots_is_copied_removed_from_the_node_and_the_oldest_set_dropped(tmp_path: Path) -> None:
    for old in ("2020-01-01T000000Z", "2021-01-01T000000Z", "2022-01-01T000000Z.part"):
        (tmp_path / old).mkdir()
    with serving(Node()) as server:
        done = take(tmp_path, server.server_port)
    assert (done.returncode, done.stderr) == (0, "")
    old, new = sorted(path.name for path in tmp_path.iterdir())
    assert old == "2021-01-01T000000Z"
    copied = {path.name: path.read_text() for path in (tmp_path / new / "42").iterdir()}
    assert copied == {"winnow__a__1.snapshot": "winnow__a__1", "winnow__b__1.snapshot": "winnow__b__1"}
    assert sum(method == "DELETE" for method, _ in server.calls) == 2


def test_a_snapshot_that_is_not_whole_makes_no_set_and_drops_none(tmp_path: Path) -> None:
    for old in ("2020-01-01T000000Z", "2021-01-01T000000Z", "2022-01-01T000000Z"):
        (tmp_path / old).mkdir()
    with serving(Node(lying=True)) as server:
        done = take(tmp_path, server.server_port)
    assert done.returncode == 1
    assert "SHA-256" in done.stderr
    assert sum(path.suffix != ".part" for path in tmp_path.iterdir()) == 3
    assert ("DELETE", "/collections/winnow__a__1/snapshots/s.snapshot") in server.calls


def test_a_key_that_is_refused_fails_the_job(tmp_path: Path) -> None:
    with serving(Node()) as server:
        assert take(tmp_path, server.server_port, key="other").returncode == 1
