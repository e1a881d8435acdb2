"""The cost of a checked key on a search, and whether times tell a foreign document from a missing one.

The service runs in process, over models that cost nothing.

.venv/bin/python benchmarks/access.py
"""

from __future__ import annotations

import asyncio
import logging
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import httpx2
import structlog

sys.path.insert(0, str(Path(__file__).parents[1]))

from service.app import create_app
from tests.fakes import FAKES
from winnow.core.settings import load_settings
from winnow.operations.access import Access
from winnow.runtime import open_local

SEARCHES: Final = 1000
CHECKS: Final = 20_000
LOOKS: Final = 2000


async def main() -> None:
    """Print the medians without and with a key, and the CPU time of the check alone."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with tempfile.TemporaryDirectory() as folder:
        async with open_local(load_settings(data_dir=Path(folder), **FAKES)) as local:
            app = create_app(local.resources.settings, local.resources)
            async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1") as client:
                await client.put("/v1/collections/docs")
                foreign = {"id": "foreign", "tenant": "globex", "text": "copy a file"}
                await client.post("/v1/collections/docs/documents", json={"documents": [foreign]})
                await measure(client, app.state.service)


async def measure(client: httpx2.AsyncClient, state: Any) -> None:
    """Search without a key, then with one; read a foreign and a missing document in turn."""
    without = await searches(client, {})
    admin = (await client.post("/v1/keys", json={"scopes": ["keys:admin"]})).json()["key"]
    bound = {"tenant": "acme", "scopes": ["documents:read"]}
    of_acme = (await client.post("/v1/keys", json=bound, headers={"authorization": f"Bearer {admin}"})).json()["key"]
    key = (
        await client.post("/v1/keys", json={"collections": ["d*"]}, headers={"authorization": f"Bearer {admin}"})
    ).json()["key"]
    headers = {"authorization": f"Bearer {key}"}
    with_key = await searches(client, headers)
    looked = await looks(client, {"authorization": f"Bearer {of_acme}"})
    access: Access = state.callers.access
    began = time.process_time()
    for _ in range(CHECKS):
        await access.principal(headers)
    cpu = (time.process_time() - began) / CHECKS
    medians = [statistics.median(each) * 1000 for each in (without, with_key)]
    print(
        f"CPU of a search, p50: {medians[0]:.2f} ms without a key, {medians[1]:.2f} with one; check {cpu * 1e6:.1f} us"
    )
    for name, taken in looked.items():
        low, middle, high = statistics.quantiles(taken, n=4)
        print(f"{name} document: {middle * 1000:.3f} ms, quartiles {low * 1000:.3f} and {high * 1000:.3f}")


async def looks(client: httpx2.AsyncClient, headers: dict[str, str]) -> dict[str, list[float]]:
    """Seconds until the answer, 404, for a document of another tenant and for one that is not there, in turn."""
    taken: dict[str, list[float]] = {"foreign": [], "missing": []}
    for _ in range(LOOKS):
        for name, times in taken.items():
            began = time.perf_counter()
            answer = await client.get(f"/v1/collections/docs/documents/{name}", headers=headers)
            times.append(time.perf_counter() - began)
            assert answer.status_code == 404, answer.text
    return taken


async def searches(client: httpx2.AsyncClient, headers: dict[str, str]) -> list[float]:
    """Seconds of CPU time of each of ``SEARCHES`` searches, one after the other."""
    taken = []
    for _ in range(SEARCHES):
        began = time.process_time()
        answer = await client.post("/v1/collections/docs/search", json={"query": "copy"}, headers=headers)
        taken.append(time.process_time() - began)
        answer.raise_for_status()
    return taken


if __name__ == "__main__":
    asyncio.run(main())
