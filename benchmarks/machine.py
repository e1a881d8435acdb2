"""On what a measurement was taken."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from winnow.core.settings import Settings
from winnow.core.settings.embedding import BundledEmbedding
from winnow.models.bundled.embedder import BundledEmbedder

X86_INSTRUCTIONS: Final = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
# The libraries' own switches: OpenVINO's and PyTorch's oneDNN, PyTorch's kernels, MKL
AVX2_ONLY: Final = {
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
}


def describe(txtai_python: Path | None = None) -> dict[str, str]:
    """Date, machine and versions, in words; those of txtai where its Python is given."""
    about = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "cpu": _cpu(),
        "instructions": ", ".join(_instructions()) or "unknown",
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "load before": f"{os.getloadavg()[0]:.2f}",
        "python": platform.python_version(),
        "winnow": ", ".join([_own_version(), *(f"{name} {version(name)}" for name in ("openvino", "qdrant-edge-py"))]),
    }
    if txtai_python is not None:
        about["winnow computes"] = f"{_precision()}, instructions up to {os.environ.get('ONEDNN_MAX_CPU_ISA', 'all')}"
        about["txtai computes"] = f"float32, instructions up to {_torch_instructions(txtai_python)}"
        about["txtai"] = ", ".join(_versions(txtai_python, "txtai", "torch", "transformers", "faiss-cpu"))
    return about


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def _instructions() -> list[str]:
    """Of the CPU, those that its matrix products are made of."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("flags"):
            flags = set(line.split())
            return [name for name in X86_INSTRUCTIONS if name in flags]
    return []


def _precision() -> str:
    """The precision in which a server with the same environment computes, after its test at start."""
    settings = Settings().embedding
    return BundledEmbedder(settings).precision if isinstance(settings, BundledEmbedding) else settings.provider


def _torch_instructions(python: Path) -> str:
    code = "import torch; print(torch.backends.cpu.get_cpu_capability())"
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def _own_version() -> str:
    try:
        return f"winnow-search {version('winnow-search')}"
    except PackageNotFoundError:
        return "winnow-search from a checkout"


def _versions(python: Path, *names: str) -> list[str]:
    code = "import sys; from importlib.metadata import version; [print(n, version(n)) for n in sys.argv[1:]]"
    return subprocess.run([python, "-c", code, *names], check=True, capture_output=True, text=True).stdout.splitlines()
