"""What a process has loaded: no library of a part that is not configured, or that its command does not need."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from winnow.catalog.engine import database_url
from winnow.catalog.migrate import migrate

PROGRAM = """
import sys
import winnow.cli.server, winnow.models.bundled.embedder, winnow.models.bundled.reranker, winnow.vectors.edge.store
for name in sys.argv[1:]:
    if name in sys.modules:
        print(name)
"""
ELSEWHERE = (  # libraries of other providers, engines and sources: 5 to 300 MB each
    "grpc",
    "lxml",
    "onnx",
    "pandas",
    "psycopg",
    "pyarrow",
    "qdrant_client",
    "ray",
    "scipy",
    "sentence_transformers",
    "torch",
    "transformers",
    "trafilatura",
    "vllm",
)


def test_the_default_service_loads_no_library_of_another_set_up() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *ELSEWHERE], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.split() == []


LIST = """
import sys
from winnow.cli.main import main
try:
    main(["collections", "list"])
finally:
    for name in sys.argv[1:]:
        if name in sys.modules:
            print(name)
"""
NEEDLESS = (
    "alembic",
    "fastapi",
    "openvino",
    "qdrant_edge",
    "tantivy",
    "limits",
    "markdown_it",
    "indexer",
    "winnow.runtime",
)


def test_a_command_that_reads_the_catalog_loads_nothing_that_serves_migrates_or_indexes(tmp_path: Path) -> None:
    migrate(database_url(f"sqlite:///{tmp_path / 'winnow.db'}"))
    done = subprocess.run(
        [sys.executable, "-c", LIST, *NEEDLESS],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env={**os.environ, "WINNOW_DATA_DIR": str(tmp_path)},
    )
    assert done.stdout.split("\n")[1:] == [""], done.stdout
