"""The memory of an idle `winnow serve` with the default model: the service and its engine, after one search.

    python benchmarks/memory.py [--data-dir DIR] [--searches 1]

Without ``--data-dir`` a collection of one document is made. Memory of their own (anonymous) is added up; of the files
that both processes map, each page counts once, whatever else the machine runs. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import signal
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import aiohttp

READY_SECONDS = 120
SETTLED_SECONDS = 3
_MAPPING = re.compile(r"[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \d+\s*(.*)")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data-dir", type=Path, help="of an installation that is not in use")
    parser.add_argument("--searches", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="winnow-memory-") as root:
        asyncio.run(measure(given.data_dir or Path(root), given.searches))


async def measure(data_dir: Path, searches: int) -> None:
    """Serve ``data_dir``, search, and print MiB by process."""
    command = [sys.executable, "-c", "from winnow.cli.main import main; main()", "serve", "--port", "18673"]
    with subprocess.Popen([*command, "--data-dir", str(data_dir)], stdout=subprocess.DEVNULL) as service:
        try:
            async with aiohttp.ClientSession("http://127.0.0.1:18673") as client:
                await ask(client, searches)
            await asyncio.sleep(SETTLED_SECONDS)
            report([service.pid, *children(service.pid)])
        finally:
            service.send_signal(signal.SIGTERM)


async def ask(client: aiohttp.ClientSession, searches: int) -> None:
    """Wait until the service is ready, then search the first collection; one is made where there is none."""
    for _ in range(READY_SECONDS * 2):
        try:
            async with client.get("/readyz") as answer:
                if answer.ok:
                    break
        except aiohttp.ClientConnectionError:
            pass
        await asyncio.sleep(0.5)
    async with client.get("/v1/collections") as answer:
        found = (await answer.json())["collections"]
    name = found[0]["name"] if found else "memory"
    if not found:
        await client.put(f"/v1/collections/{name}", json={})
        documents = {"documents": [{"id": "1", "text": "The ferry crosses at seven."}]}
        await client.post(f"/v1/collections/{name}/documents?wait=true", json=documents)
    for number in range(searches):
        async with client.post(f"/v1/collections/{name}/search", json={"query": f"ferry {number}"}) as answer:
            answer.raise_for_status()


def children(parent: int) -> Iterator[int]:
    """The processes that ``parent`` has started."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            yield int(stat.parent.name)


def report(processes: list[int]) -> None:
    """Print anonymous and mapped memory of each process, and the sum with common pages counted once."""
    files: dict[str, float] = {}
    total = 0.0
    for process in processes:
        own, mapped = resident(process)
        print(f"process {process}: {own:.0f} MiB of its own, {sum(mapped.values()):.0f} MiB of files")
        files |= {name: max(mib, files.get(name, 0.0)) for name, mib in mapped.items()}
        total += own
    print(f"in all {total + sum(files.values()):.0f} MiB")


def resident(process: int) -> tuple[float, dict[str, float]]:
    """MiB of anonymous memory, and of the pages of each mapped file."""
    own, name = 0.0, ""
    files: defaultdict[str, float] = defaultdict(float)
    for line in Path(f"/proc/{process}/smaps").read_text(encoding="utf-8").splitlines():
        if mapping := _MAPPING.match(line):
            name = mapping[1]
        elif line.startswith(("Rss:", "Anonymous:")):
            key, size = line.split()[:2]
            mib = int(size) / 1024
            if key == "Anonymous:":
                own += mib
                files[name] -= mib
            else:
                files[name] += mib
    return own, files


if __name__ == "__main__":
    main()
