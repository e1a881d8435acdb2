"""The stack at scale beside the embedded one: service, worker, PostgreSQL, Qdrant and models as real processes.

    python benchmarks/stack.py [--data FOLDER] [--documents 2000] [--searches 400] [--rounds 3] [--json [FILE]]
    QDRANT_URL=http://127.0.0.1:6333 python benchmarks/stack.py      # and QDRANT_GRPC_PORT, QDRANT_API_KEY

First the stack with models that answer at once, in vLLM's shape, so that what is measured is Winnow. Then the same
texts with the bundled models on both set-ups, in turns on the same cores. Without ``QDRANT_URL`` a stand-in takes the
server's place; rows that were taken on it say ``stub``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import machine
from stack_figures import Figures
from stack_processes import Client, embedded, on_servers, qdrant_version
from stack_runs import Load, measure_pair, measure_stack
from texts import load_texts


def main() -> None:
    """Measure and print the table."""
    options = _options()
    texts = asyncio.run(load_texts(options.data, options.documents))
    load = Load(texts, searches=options.searches, rounds=options.rounds, chunks=options.chunks)
    about = {**machine.describe(), "command": " ".join(["python benchmarks/stack.py", *sys.argv[1:]])}
    with tempfile.TemporaryDirectory(prefix="wb-", ignore_cleanup_errors=True) as name, Client() as client:
        folder = Path(name)
        with on_servers(folder / "instant", instant=True) as service:
            stack = measure_stack(service, client, load)
        pair = None
        if not options.no_pair:
            with ExitStack() as both:
                server = both.enter_context(on_servers(folder / "server", instant=False))
                edge = both.enter_context(embedded(folder / "edge"))
                pair = measure_pair(server, edge, client, load)
    figures = Figures(qdrant_version(), texts.name, len(texts.documents), stack, pair)
    if options.json == "-":
        print(json.dumps(figures.to_json()))
        return
    print(figures.to_markdown(about))
    if options.json is not None:
        Path(options.json).write_text(json.dumps(figures.to_json()) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    data = os.environ.get("WINNOW_BENCH_DATA")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(data) if data else None, help="folder in the BEIR layout")
    parser.add_argument("--documents", type=int, default=2000, help="how many are searched (2000)")
    parser.add_argument("--searches", type=int, default=400, help="of each kind and round (400)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each kind (3)")
    parser.add_argument("--chunks", type=int, default=10_000, help="that are indexed for their rate (10000)")
    parser.add_argument("--no-pair", action="store_true", help="leave out the set-ups with bundled models")
    parser.add_argument("--quick", action="store_true", help="small sizes: whether it works, not how fast")
    parser.add_argument(
        "--json", nargs="?", const="-", metavar="FILE", help="figures as JSON: to stdout, or to FILE too"
    )
    options = parser.parse_args()
    if options.quick:
        options.documents, options.searches, options.rounds, options.chunks = 200, 40, 1, 500
    return options


if __name__ == "__main__":
    main()
