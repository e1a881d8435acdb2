"""Documents a second of `winnow index --engine ray` against the plain worker, with a model that costs next to nothing.

What is compared is the machinery. The time in which Ray starts is left out: the command counts from its first upload.

    python benchmarks/bulk.py [--documents 4000] [--actors 1] [--rounds 3] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ENGINES = ("worker", "ray")


def main() -> None:
    """Measure both engines in turn and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=4000)
    parser.add_argument("--actors", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rates: dict[str, list[float]] = {engine: [] for engine in ENGINES}
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder, "corpus.jsonl")
        corpus.write_text("\n".join(json.dumps(_document(number)) for number in range(options.documents)))
        for turn in range(options.rounds):
            for engine in ENGINES:
                home = Path(folder, f"{engine}-{turn}")
                rates[engine].append(_documents_a_second(corpus, home, engine, options.actors))
    report = {engine: round(statistics.median(found), 1) for engine, found in rates.items()}
    report["ratio"] = round(report["ray"] / report["worker"], 3)
    print(json.dumps({**report, "rounds": rates}) if options.json else _table(report))


def _document(number: int) -> dict[str, str]:
    return {"id": f"d{number}", "text": f"Document {number} is about subject {number % 97}. " * 20}


def _documents_a_second(corpus: Path, home: Path, engine: str, actors: int) -> float:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("WINNOW_")}
    environment = clean | {
        "WINNOW_DATA_DIR": str(home),
        "WINNOW_EMBEDDING__PROVIDER": "fake",
        "WINNOW_RERANK__PROVIDER": "none",
    }
    command = [sys.executable, "-m", "cli.main", "index", str(corpus), "-c", "bulk", "--json", "--engine", engine]
    if engine == "ray":
        command += ["--embed-actors", str(actors)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    summary: dict[str, Any] = json.loads(done.stdout)
    return float(summary["documents"]["indexed"] / summary["seconds"])


def _table(report: dict[str, float]) -> str:
    lines = [f"{engine:<8}{report[engine]:>10,.0f} documents/s" for engine in ENGINES]
    return "\n".join([*lines, f"{'ratio':<8}{report['ratio']:>10.2f}"])


if __name__ == "__main__":
    main()
