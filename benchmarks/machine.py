"""On what a measurement was taken."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def describe(txtai_python: Path | None = None) -> dict[str, str]:
    """Date, machine and versions, in words; those of txtai where its Python is given."""
    about = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "cpu": _cpu(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "load before": f"{os.getloadavg()[0]:.2f}",
        "python": platform.python_version(),
        "winnow": ", ".join([_own_version(), *(f"{name} {version(name)}" for name in ("openvino", "qdrant-edge-py"))]),
    }
    if txtai_python is not None:
        about["txtai"] = ", ".join(_versions(txtai_python, "txtai", "torch", "transformers", "faiss-cpu"))
    return about


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def _own_version() -> str:
    try:
        return f"winnow-search {version('winnow-search')}"
    except PackageNotFoundError:
        return "winnow-search from a checkout"


def _versions(python: Path, *names: str) -> list[str]:
    code = "import sys; from importlib.metadata import version; [print(n, version(n)) for n in sys.argv[1:]]"
    return subprocess.run([python, "-c", code, *names], check=True, capture_output=True, text=True).stdout.splitlines()
