"""Copies a snapshot of every collection of every Qdrant node to a folder, checks it, and drops the oldest sets.

Reads QDRANT_NODES (an address whose name has one IP address for each node), QDRANT_API_KEY, SNAPSHOTS (the folder) and
KEEP (sets that are kept). A set is a folder named by its time; it gets its name once it is whole. The HTTP API:
https://api.qdrant.tech/api-reference/snapshots
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

TIMEOUT = 3600.0  # seconds; a snapshot of a large collection takes minutes to be written
BLOCK = 1 << 20


def call(address: str, path: str, method: str = "GET") -> Any:
    """The `result` of one call; raises on any status but 200."""
    with urllib.request.urlopen(_request(address, path, method), timeout=TIMEOUT) as answer:
        return json.load(answer)["result"]


def copy(address: str, path: str, target: Path, checksum: str | None) -> None:
    """Download a snapshot; raises ValueError where its SHA-256 is not the one that the node gave."""
    digest = hashlib.sha256()
    with urllib.request.urlopen(_request(address, path, "GET"), timeout=TIMEOUT) as answer, target.open("wb") as file:
        while block := answer.read(BLOCK):
            digest.update(block)
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    if checksum and digest.hexdigest() != checksum:
        raise ValueError(f"{target.name}: SHA-256 {digest.hexdigest()} is not the node's {checksum}")


def nodes(address: str) -> list[str]:
    """One address for each node behind the name in `address`."""
    parts = urlsplit(address)
    found = socket.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM)
    hosts = sorted({str(each[4][0]) for each in found})
    return [f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{parts.port}" for host in hosts]


def take(address: str, folder: Path) -> int:
    """Copy a snapshot of each collection of one node into a folder of its own; returns how many."""
    name = str(call(address, "/cluster").get("peer_id", "single"))
    (folder / name).mkdir()
    collections = [each["name"] for each in call(address, "/collections")["collections"]]
    for collection in collections:
        base = f"/collections/{quote(collection, safe='')}/snapshots"
        made = call(address, base, "POST")
        path = f"{base}/{quote(made['name'], safe='')}"
        try:
            copy(address, path, folder / name / f"{collection}.snapshot", made.get("checksum"))
        finally:
            call(address, path, "DELETE")
        print(f"node {name}: {collection}, {made['size']} bytes", flush=True)
    return len(collections)


def main() -> int:
    """Take one set; 1 where a node failed, and then nothing old is dropped."""
    root, keep = Path(os.environ["SNAPSHOTS"]), int(os.environ["KEEP"])
    for left in root.glob("*.part"):
        shutil.rmtree(left)
    folder = root / time.strftime("%Y-%m-%dT%H%M%SZ", time.gmtime())
    part = folder.with_suffix(".part")
    part.mkdir(parents=True)
    for address in nodes(os.environ["QDRANT_NODES"]):
        take(address, part)
    part.rename(folder)
    for old in sorted(each for each in root.iterdir() if each.is_dir() and each.name[:2] == "20")[:-keep]:
        shutil.rmtree(old)
    return 0


def _request(address: str, path: str, method: str) -> urllib.request.Request:
    headers = {"api-key": os.environ["QDRANT_API_KEY"]}
    return urllib.request.Request(address + path, method=method, headers=headers)


if __name__ == "__main__":
    sys.exit(main())
