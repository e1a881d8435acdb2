"""Two checkouts of Winnow side by side: whether a change made indexing or searching slower.

    python benchmarks/checkouts.py OLD NEW --data path/to/beir

OLD and NEW are folders. Each indexes the same documents into an empty data directory, in turns. Then both serve, and
the same queries go to one and the other, a hundred at a time. Ratios are taken between neighbours, so that a machine
whose speed drifts shifts both sides. Both run with the Python that runs this file.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

PART: Final = 100  # queries in one turn
START_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Checkout:
    """One side. ``module`` is what ``python -m`` runs as the command; it moved once."""

    root: Path
    data_dir: Path

    @property
    def module(self) -> str:
        return "winnow.cli.main" if (self.root / "winnow").is_dir() else "cli.main"

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", self.module, *arguments, "--data-dir", str(self.data_dir)]

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"PYTHONPATH": str(self.root)}

    def index(self, corpus: Path) -> float:
        """Index the corpus; returns documents a second as the command reports them."""
        done = subprocess.run(
            self.command("index", str(corpus), "-c", "c", "--json"),
            env=self.environment,
            cwd=self.data_dir,
            check=True,
            capture_output=True,
        )
        report = json.loads(done.stdout)
        return float(report["documents"]["indexed"] / report["seconds"])

    @contextmanager
    def serving(self) -> Iterator[http.client.HTTPConnection]:
        """A connection to a server over what was indexed."""
        command = self.command("serve", "--port", "0")
        with subprocess.Popen(
            command,
            env=self.environment,
            cwd=self.data_dir,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as server:
            assert server.stdout is not None
            line = next(line for line in server.stdout if "Winnow serves" in line)
            port = int(line.split("http://127.0.0.1:")[1].split()[0].rstrip("/"))
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)
            try:
                yield connection
            finally:
                connection.close()
                server.send_signal(signal.SIGINT)


def corpus_of(data: Path, target: Path, limit: int) -> None:
    """Write the first documents of a test collection as Winnow's JSONL."""
    with (data / "corpus.jsonl").open(encoding="utf-8") as lines, target.open("w", encoding="utf-8") as out:
        for line in islice(lines, limit):
            row = json.loads(line)
            out.write(json.dumps({"id": row["_id"], "title": row.get("title", ""), "text": row["text"]}) + "\n")


def p50(connection: http.client.HTTPConnection, queries: Sequence[str]) -> float:
    """Median milliseconds of searches that are sent one after the other."""
    times = []
    for query in queries:
        body = json.dumps({"query": query})
        began = time.perf_counter()
        connection.request("POST", "/v1/collections/c/search", body, {"Content-Type": "application/json"})
        connection.getresponse().read()
        times.append((time.perf_counter() - began) * 1000)
    return median(times)


def main() -> None:
    """Print the ratios new ÷ old of each turn and their medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="test collection in the BEIR layout")
    parser.add_argument("--documents", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=2, help="of indexing; of searching, three times as many")
    options = parser.parse_args()
    lines = (options.data / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    queries = [str(json.loads(line)["text"]) for line in lines][: PART * 3 * options.rounds]
    with ExitStack() as stack:
        corpus = Path(stack.enter_context(TemporaryDirectory())) / "corpus.jsonl"
        corpus_of(options.data, corpus, options.documents)
        rates = []
        for _ in range(options.rounds):
            folders = [Path(stack.enter_context(TemporaryDirectory())) for _ in range(2)]
            old, new = Checkout(options.old.resolve(), folders[0]), Checkout(options.new.resolve(), folders[1])
            before, after = old.index(corpus), new.index(corpus)
            rates.append(after / before)
            print(f"indexing  {before:6.1f} → {after:6.1f} documents/s   new ÷ old {rates[-1]:.3f}")
        servers = [stack.enter_context(each.serving()) for each in (old, new)]
        for server in servers:
            p50(server, queries[:PART])  # graphs are compiled with the first queries
        speeds = []
        for begin in range(0, len(queries), PART):
            before, after = (p50(server, [f"{q} ." for q in queries[begin : begin + PART]]) for server in servers)
            speeds.append(before / after)
            print(f"search    {before:6.2f} → {after:6.2f} ms p50          speed new ÷ old {speeds[-1]:.3f}")
    print(f"medians: indexing {median(rates):.3f}, search {median(speeds):.3f} (new ÷ old, higher is faster)")


if __name__ == "__main__":
    main()
