"""Our packages come first on the import path, in this process and in those that it starts."""

from __future__ import annotations

import os
import pkgutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import service
from indexer.bulk.options import RayOptions, connected
from winnow.core.import_path import INSTALLED_AT, PROCESS_SETUP, put_ours_first, python_path


def test_child_processes_import_ours_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["/elsewhere", "", INSTALLED_AT, "/libraries"])
    assert python_path().split(os.pathsep) == [INSTALLED_AT, "/elsewhere", "/libraries"]


def test_a_folder_that_is_put_in_front_later_is_not_imported(tmp_path: Path) -> None:
    (tmp_path / "service").mkdir()
    (tmp_path / "service/__init__.py").write_text("raise SystemExit('the wrong folder')")
    program = (
        "import sys; from winnow.core.import_path import put_ours_first as first; first(); "
        f"sys.path.insert(0, {str(tmp_path)!r}); import service; print(service.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), python_path()])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == service.__file__


def test_processes_of_ray_are_set_up_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=lambda **options: given.update(options)))
    connected(RayOptions(address="ray.example:6379"))
    assert pkgutil.resolve_name(given["runtime_env"]["worker_process_setup_hook"]) is put_ours_first
    assert pkgutil.resolve_name(PROCESS_SETUP) is put_ours_first
