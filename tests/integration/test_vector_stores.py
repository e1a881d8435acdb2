"""Uploaded files outlive the process: what was acknowledged is there, and read, after a restart."""

from __future__ import annotations

import time
from pathlib import Path

import httpx2

from tests.support.served import served

SECONDS = 60
STORE = "/v1/vector_stores/docs"
TEXT = b"How to copy\n\nhow to copy a file"


def test_files_are_kept_and_read_after_a_restart(tmp_path: Path) -> None:
    with served(tmp_path) as service, httpx2.Client(base_url=service.address, timeout=SECONDS) as client:
        assert client.post("/v1/vector_stores", json={"name": "docs"}).json()["id"] == "docs"
        files = [client.post("/v1/files", files={"file": (f"{number}.txt", TEXT)}).json()["id"] for number in range(10)]
        batch = client.post(f"{STORE}/file_batches", json={"file_ids": files}).json()  # and stop at once
    with served(tmp_path) as service, httpx2.Client(base_url=service.address, timeout=SECONDS) as client:
        end = time.monotonic() + SECONDS
        while (view := client.get(f"{STORE}/file_batches/{batch['id']}").json())["status"] == "in_progress":
            assert time.monotonic() < end, view
            time.sleep(0.1)
        assert view["file_counts"]["completed"] == len(files), view
        assert client.get(f"/v1/files/{files[0]}/content").content == TEXT
        found = client.post(f"{STORE}/search", json={"query": "copy a file", "max_num_results": 20}).json()["data"]
        assert {hit["file_id"] for hit in found} == set(files)
