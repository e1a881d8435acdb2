"""What a service with the default models has loaded: no library of a part that is not configured."""

from __future__ import annotations

import subprocess
import sys

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
