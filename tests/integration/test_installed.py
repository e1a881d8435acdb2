"""The wheel in an environment of its own, in a folder that holds other packages named ``service`` and ``indexer``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.files import pdf, write

ROOT = Path(__file__).parents[2]
# Where the dependencies are: an environment for each test run need not install them.
DEPENDENCIES = [entry for entry in sys.path if entry.endswith("site-packages")]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(out)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def command(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``winnow``, as pip installs it from the wheel."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, symlinks=True)
    (site,) = home.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text("\n".join(DEPENDENCIES))
    pip = [sys.executable, "-m", "pip", "--python", str(home / "bin/python"), "--disable-pip-version-check"]
    install = [*pip, "install", "--no-index", "--no-deps", "--force-reinstall", str(wheel)]
    subprocess.run(install, check=True, capture_output=True, timeout=60)
    return home / "bin/winnow"


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A folder whose packages ``service`` and ``indexer`` must not be imported."""
    for name in ("service", "indexer"):
        write(tmp_path / name / "__init__.py", b"raise SystemExit('the package of the wrong folder was imported')\n")
    return tmp_path


def test_the_wheel_installs_three_typed_packages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"winnow", "service", "indexer"}
    assert {"winnow/py.typed", "service/py.typed", "indexer/py.typed"} <= set(names)


def test_folders_of_the_same_names_break_neither_the_command_nor_its_processes(command: Path, hostile: Path) -> None:
    """The parser of PDFs and the vector engine run in processes of their own."""
    write(hostile / "docs/one.pdf", pdf(["Backups are written at night."]))
    write(hostile / "docs/two.md", b"# Keys\n\nKeys are rotated every month.\n")

    indexed = _run(command, hostile, "index", "docs", "-c", "docs")
    found = _run(command, hostile, "search", "when are backups written", "-c", "docs")

    assert indexed["documents"]["indexed"] == 2, indexed
    assert "at night" in found["results"][0]["text"]


def _run(command: Path, folder: Path, *arguments: str) -> Any:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("WINNOW_")}
    environment = clean | {"PYTHONPATH": str(folder), "WINNOW_DATA_DIR": str(folder / "data")}
    done = subprocess.run(
        [command, *arguments, "--json"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
