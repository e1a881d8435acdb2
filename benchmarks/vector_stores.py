"""Retrieval quality through the vector stores of OpenAI's protocol: a test collection as uploaded files.

    python benchmarks/vector_stores.py --data path/to/scifact [--limit 1000]

The method of OGX's published figures: each document of a BEIR collection is uploaded as a file and attached to a store,
and each judged query is sent to the store's search; the ranking is that of the results' files. A service of its own
runs with default settings, in a directory that is deleted afterwards.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from winnow.core.types import Document
from winnow.evaluation.dataset import load_dataset
from winnow.evaluation.metrics import estimate_mean, score_rankings

BATCH = 500
RESULTS = 10
SECONDS = 3600.0


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a service with default settings."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WINNOW_")}
    command = [sys.executable, "-m", "winnow.cli.main", "serve", "--port", "0", "--data-dir", str(folder / "data")]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        assert process.stdout is not None
        try:
            yield next(found.group() for line in process.stdout if (found := re.search(r"http://[\d.]+:\d+", line)))
        finally:
            process.terminate()


def call(client: httpx2.Client, method: str, path: str, **options: Any) -> Any:
    """The decoded answer."""
    answer = client.request(method, path, **options)
    answer.raise_for_status()
    return answer.json()


def upload(client: httpx2.Client, documents: Sequence[Document]) -> dict[str, str]:
    """Upload documents as text files; returns the document of each file."""

    def send(document: Document) -> str:
        text = f"{document.title}\n\n{document.text}".strip()
        part = (f"{document.id}.txt", text.encode(), "text/plain")
        form = {"purpose": "assistants"}
        return str(call(client, "POST", "/v1/files", files={"file": part}, data=form)["id"])

    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(send, documents))
    return {file: document.id for file, document in zip(ids, documents, strict=True)}


def attach(client: httpx2.Client, store: str, files: Sequence[str]) -> None:
    """Attach files in batches, and wait until all are searchable."""
    path = f"/v1/vector_stores/{store}/file_batches"
    batches = [
        call(client, "POST", path, json={"file_ids": files[begin : begin + BATCH]})["id"]
        for begin in range(0, len(files), BATCH)
    ]
    end = time.monotonic() + SECONDS
    for batch in batches:
        while (view := call(client, "GET", f"{path}/{batch}"))["status"] == "in_progress":
            assert time.monotonic() < end, view
            time.sleep(1)
        assert view["file_counts"]["failed"] == 0, view


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="corpus, queries and qrels")
    parser.add_argument("--limit", type=int, help="documents that are uploaded; all by default")
    arguments = parser.parse_args()
    dataset = load_dataset(arguments.data)
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder)) as address,
        httpx2.Client(base_url=address, timeout=60) as client,
    ):
        store = call(client, "POST", "/v1/vector_stores", json={"name": dataset.name})["id"]
        began = time.perf_counter()
        documents = upload(client, dataset.documents[: arguments.limit])
        uploaded = time.perf_counter()
        attach(client, store, list(documents))
        indexed = time.perf_counter()
        rankings, degraded = {}, 0
        for query, text in dataset.queries.items():
            body = {"query": text, "max_num_results": RESULTS}
            found = call(client, "POST", f"/v1/vector_stores/{store}/search", json=body)
            degraded += found["degraded"]
            rankings[query] = [documents[hit["file_id"]] for hit in found["data"]]
        searched = time.perf_counter()
    ndcg = estimate_mean(score_rankings(rankings, dataset.judgments)["ndcg@10"])
    print(f"{dataset.name}: {len(documents)} files, {len(rankings)} queries, {degraded} degraded answers")
    print(f"nDCG@10 {ndcg.mean:.4f} [{ndcg.low:.4f}, {ndcg.high:.4f}]")
    print(
        f"seconds: upload {uploaded - began:.0f}, attach and index {indexed - uploaded:.0f}, "
        f"search {searched - indexed:.0f}"
    )


if __name__ == "__main__":
    main()
