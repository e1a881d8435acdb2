"""The example of a plug-in, installed as a user would and read by the command."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.test_cli import Cli

EXAMPLE = Path(__file__).parents[2] / "examples" / "source_plugin"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example installed, without network."""
    target = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--no-build-isolation", "--quiet"]
    environment = os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"}
    subprocess.run([*pip, "--target", target, EXAMPLE], check=True, env=environment)
    return target


def test_rows_of_the_example_are_indexed_and_the_missing_ones_deleted(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(place))
    cli = Cli(tmp_path)
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database:
        database.execute("CREATE TABLE products (id TEXT PRIMARY KEY, text TEXT, price REAL)")
        database.executemany("INSERT INTO products VALUES (?, ?, ?)", [("a", "A mill.", 3.5), ("b", "Flour.", None)])
        database.commit()
        source = f"sqlite:{tmp_path / 'shop.db'}#products"
        command = ("index", source, "-c", "shop", "--field", "price=float", "--delete-missing")
        assert cli.json(*command)["documents"]["indexed"] == 2
        database.execute("DELETE FROM products WHERE id = 'b'")
        database.commit()
        summary = cli.json(*command)
    assert summary["documents"] | {"seen": 1, "unchanged": 1, "deleted": 1} == summary["documents"]
    (found,) = cli.json("search", "mill", "-c", "shop")["results"]
    assert (found["document_id"], found["metadata"]) == ("a", {"price": 3.5})


def test_its_own_tests_pass(place: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "-p", "no:cacheprovider", "-n", "0"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(place), str(EXAMPLE.parents[1])])}
    command += ["-o", "asyncio_mode=auto", "-o", "addopts=", str(EXAMPLE / "tests")]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert result.returncode == 0, result.stdout
    assert "6 passed" in result.stdout


def test_the_command_names_the_schemes_there_are(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(place))
    failed = Cli(tmp_path)("index", "thing:x", "-c", "docs")
    assert "sources with the scheme 'thing:' are not supported" in " ".join(failed.stderr.split())
    assert "sqlite:… (a plug-in)" in " ".join(failed.stderr.split())
