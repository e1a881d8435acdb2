"""Backups of a real installation (Qdrant Edge, SQLite): consistent while it is written to, whole or refused."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import orjson
import pytest

from tests.fakes import MODELS, STORE, variables
from winnow.background import running
from winnow.cli.backup import fetch, finish, place
from winnow.cli.command import hosting
from winnow.cli.remote import Client
from winnow.cli.verify import verify_collections
from winnow.core.errors import Conflict, InvalidSettings, InvalidSource, StorageFull
from winnow.core.settings import Settings, load_settings
from winnow.operations.archive import MANIFEST
from winnow.runtime import Local, open_local

DOCUMENTS = 30
BACKUPS = 3


def settings_of(data_dir: Path) -> Settings:
    return load_settings(data_dir=data_dir, indexing={"batch_documents": 4}, **MODELS)


@asynccontextmanager
async def installation(data_dir: Path) -> AsyncIterator[tuple[Local, Client]]:
    async with (
        open_local(settings_of(data_dir)) as local,
        running(local.worker),
        hosting(local) as client,
    ):
        yield local, client


async def submit(client: Client, *documents: tuple[str, str], wait: bool = True) -> None:
    body = {"documents": [{"id": id_, "text": text} for id_, text in documents]}
    await client.call("POST", "/v1/collections/docs/documents", body, wait=str(wait).lower())


async def backup(client: Client, folder: Path, name: str = "b.tar.zst") -> Path:
    await fetch(client, folder / "part")
    finish(folder / "part", folder / name)
    return folder / name


async def drained(local: Local) -> None:
    while await local.resources.catalog.queue.backlog():
        await asyncio.sleep(0.01)


async def texts(client: Client) -> dict[str, str]:
    listing = await client.call("GET", "/v1/collections/docs/documents", limit=1000)
    ids = [row["id"] for row in listing["documents"]]
    return {each: (await client.call("GET", f"/v1/collections/docs/documents/{each}"))["text"] for each in ids}


@pytest.fixture
async def made(tmp_path: Path) -> Path:
    """The backup of an installation of three documents."""
    async with installation(tmp_path / "data") as (_, client):
        await client.call("PUT", "/v1/collections/docs", {})
        await submit(client, ("a", "alpha"), ("b", "beta"), ("c", "gamma"))
        return await backup(client, tmp_path)


async def write_forever(client: Client, acknowledged: dict[str, str | None]) -> None:
    choice = random.Random(1)
    for number in range(1_000_000):
        id_ = f"d{choice.randrange(DOCUMENTS)}"
        if choice.random() < 0.2:
            with suppress(Exception):
                await client.call("DELETE", f"/v1/collections/docs/documents/{id_}")
                acknowledged[id_] = None
        else:
            text = f"{id_} as of {number}"
            await submit(client, (id_, text), wait=False)
            acknowledged[id_] = text


async def test_every_backup_taken_while_documents_change_is_sound_and_heals(tmp_path: Path) -> None:
    known: list[dict[str, str | None]] = []
    async with installation(tmp_path / "data") as (_, client):
        await client.call("PUT", "/v1/collections/docs", {})
        acknowledged: dict[str, str | None] = {}
        writer = asyncio.create_task(write_forever(client, acknowledged))
        for number in range(BACKUPS):
            while len(acknowledged) < DOCUMENTS // 2 * (number + 1) // BACKUPS:
                await asyncio.sleep(0.01)
            known.append(dict(acknowledged))
            await backup(client, tmp_path, f"{number}.tar.zst")
            assert not writer.done()
            answer = await client.call("POST", "/v1/collections/docs/search", {"query": "as of"})
            assert answer["stages"]["retrieve"]["status"] == "ok"
        writer.cancel()
        await asyncio.wait([writer])
    for number in range(BACKUPS):
        data_dir = tmp_path / f"restored-{number}"
        data_dir.mkdir()
        place(tmp_path / f"{number}.tar.zst", data_dir)
        async with open_local(settings_of(data_dir)) as local, hosting(local) as client:
            (as_restored,) = await verify_collections(client, None, repair=False)
            assert as_restored["sound"], as_restored
        async with installation(data_dir) as (local, client):
            await drained(local)
            (healed,) = await verify_collections(client, None, repair=False)
            assert healed["sound"], healed
            assert healed["waiting"] == 0
            stored = await texts(client)
            assert healed["points"] == len(stored)
            # nothing is older than what was acknowledged before the backup began
            for id_, text in known[number].items():
                if text is not None and id_ in stored:
                    assert int(stored[id_].split()[-1]) >= int(text.split()[-1])


async def test_writes_wait_for_the_copy_and_searches_do_not(tmp_path: Path) -> None:
    async with installation(tmp_path / "data") as (local, client):
        await client.call("PUT", "/v1/collections/docs", {})
        await submit(client, ("a", "alpha"))
        async with local.resources.store.frozen():  # type: ignore[attr-defined]
            await submit(client, ("b", "beta"), wait=False)
            answer = await client.call("POST", "/v1/collections/docs/search", {"query": "alpha"})
            assert [row["document_id"] for row in answer["results"]] == ["a"]
            assert (await client.call("GET", "/v1/collections/docs/documents/b"))["state"] == "pending"
        await drained(local)
        assert (await client.call("GET", "/v1/collections/docs/documents/b"))["state"] == "indexed"


async def test_a_restored_installation_is_the_one_that_was_backed_up(made: Path, tmp_path: Path) -> None:
    (tmp_path / "new" / "lost+found").mkdir(parents=True)
    manifest = place(made, tmp_path / "new")
    assert "winnow.db" in manifest.files
    async with installation(tmp_path / "new") as (_, client):
        assert await texts(client) == {"a": "alpha", "b": "beta", "c": "gamma"}
        answer = await client.call("POST", "/v1/collections/docs/search", {"query": "beta"})
        assert answer["results"][0]["document_id"] == "b"


async def test_a_folder_is_a_backup_too_and_every_byte_of_it_is_checked(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (tmp_path / "part").write_bytes(made.read_bytes())
    finish(tmp_path / "part", folder)
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
    place(folder, tmp_path / "one")
    victim = next(path for path in folder.rglob("*") if path.name == "schema.json")
    victim.write_bytes(victim.read_bytes().replace(b"64", b"65") + b" ")
    with pytest.raises(InvalidSource, match=r"schema\.json"):
        place(folder, tmp_path / "two")
    victim.unlink()
    with pytest.raises(InvalidSource, match=r"schema\.json"):
        place(folder, tmp_path / "two")
    (folder / MANIFEST).unlink()
    with pytest.raises(InvalidSource, match="no manifest"):
        place(folder, tmp_path / "three")
    assert [*(tmp_path / "two").iterdir(), *(tmp_path / "three").iterdir()] == []


async def test_a_backup_that_was_cut_short_or_damaged_is_refused_and_nothing_touched(
    made: Path, tmp_path: Path
) -> None:
    whole = made.read_bytes()
    target = tmp_path / "new"
    target.mkdir()
    middle = len(whole) // 2  # a single bit may be one that stands for nothing
    damaged = whole[:middle] + bytes(byte ^ 0xFF for byte in whole[middle : middle + 64]) + whole[middle + 64 :]
    for body in (b"", whole[:100], whole[:middle], whole[:-100], damaged, b"no archive" * 100):
        broken = tmp_path / "broken.tar.zst"
        broken.write_bytes(body)
        with pytest.raises(InvalidSource, match=r"broken\.tar\.zst cannot be restored"):
            place(broken, target)
        assert list(target.iterdir()) == []


async def test_a_directory_in_use_or_not_empty_is_left_alone(made: Path, tmp_path: Path) -> None:
    before = sorted((tmp_path / "data").rglob("*"))
    with pytest.raises(InvalidSource, match="not empty"):
        place(made, tmp_path / "data")
    assert sorted((tmp_path / "data").rglob("*")) == before


async def test_a_restore_that_was_cut_short_can_be_repeated(made: Path, tmp_path: Path) -> None:
    target = tmp_path / "new"
    (target / "~restoring").mkdir(parents=True)
    (target / "vectors" / "half").mkdir(parents=True)
    place(made, target)
    assert sorted(entry.name for entry in target.iterdir()) == ["vectors", "winnow.db"]


async def test_one_backup_at_a_time_and_none_without_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with installation(tmp_path / "data") as (local, client):
        async with client.stream("POST", "/v1/backup", {}) as first:
            await first.content.read(1)
            with pytest.raises(Conflict, match="already"):
                await fetch(client, tmp_path / "second")
        while (tmp_path / "data" / "~backup").exists():  # the reader that left is noticed, and its copy removed
            await asyncio.sleep(0.01)
        monkeypatch.setattr("winnow.operations.backup.RESERVE", 2**60)
        with pytest.raises((StorageFull, Exception), match="are free"):
            await fetch(client, tmp_path / "third")
        await local.resources.catalog.check()


async def test_an_installation_on_servers_has_its_own_procedure(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path, vectors=STORE, **MODELS)
    async with open_local(settings) as local, hosting(local) as client:
        with pytest.raises(Exception, match=r"docs/operations/backup\.md") as caught:
            await fetch(client, tmp_path / "part")
        assert not isinstance(caught.value, InvalidSettings)  # the service says it, with a status
        assert local.resources.settings is settings


def test_the_commands_back_up_restore_and_verify(tmp_path: Path) -> None:
    env = os.environ | variables(**MODELS)

    def winnow(*arguments: str, status: int = 0) -> dict[str, object]:
        command = [sys.executable, "-m", "winnow.cli.main", *arguments]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stderr
        return dict(orjson.loads(done.stdout)) if done.stdout else {}

    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("# A\n\nalpha\n")
    data, new = str(tmp_path / "data"), str(tmp_path / "new")
    winnow("index", str(tmp_path / "docs"), "-c", "docs", "--data-dir", data, "--json")
    made = winnow("backup", str(tmp_path / "b.tar.zst"), "--data-dir", data, "--json")
    assert made["stored_bytes"] == (tmp_path / "b.tar.zst").stat().st_size
    restored = winnow("restore", str(tmp_path / "b.tar.zst"), "--data-dir", new, "--json")
    assert json.dumps(restored["collections"]).count('"sound": true') == 1
    assert winnow("verify", "--data-dir", new, "--json")["sound"] is True
    winnow("backup", str(tmp_path / "b.tar.zst"), "--data-dir", data, status=2)
    winnow("restore", str(tmp_path / "b.tar.zst"), "--data-dir", new, status=2)
