"""The benchmark of the stack at scale runs and prints the figures that its readers look up, without judging them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "stack.py"


def test_every_set_up_answers_with_both_stages_and_the_figures_are_complete(tmp_path: Path) -> None:
    written = tmp_path / "figures.json"
    command = [sys.executable, str(BENCHMARK), "--quick", "--json", str(written)]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=400, check=False)
    assert ended.returncode == 0, ended.stderr
    figures = json.loads(written.read_text(encoding="utf-8"))
    assert figures["qdrant"] == "stub"
    assert set(figures["stack"]) >= {"p50_ms", "p95_ms", "cpu_ms_a_search", "searches_per_s", "chunks_per_s"}
    assert set(figures["stack"]["searches_per_s"]) == {"1", "8", "32"}
    assert set(figures["server_over_edge"]) >= {"p50", "searches_per_s"}
