"""A service whose disk runs full: it says so, keeps what it has taken on, and goes on when there is room again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.editors import CHUNK_TOKENS, COLLECTION, Client, search, text_of
from tests.faults.houses import Embedded
from tests.faults.processes import polls
from winnow.core.disk_reserve import RESERVE_FILE

DISK_MIB = 600

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    mount = tmp_path / "disk"
    mount.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(mount)],
        check=False,
        capture_output=True,
        text=True,
    )
    if made.returncode:
        pytest.skip(f"no small disk can be mounted here: {made.stderr.strip()}")
    yield mount
    subprocess.run(["umount", "--lazy", str(mount)], check=True)


@pytest.fixture
def house(disk: Path) -> Iterator[Embedded]:
    house = Embedded(disk)
    yield house
    house.close()


def test_on_a_full_disk_uploads_are_refused_and_nothing_acknowledged_is_lost(house: Embedded, disk: Path) -> None:
    house.start()
    client = Client(house.port)
    chunking = {"chunking": {"max_tokens": CHUNK_TOKENS, "overlap": 0}}
    assert client.call("PUT", f"/v1/collections/{COLLECTION}", chunking)[0] == 201
    taken_on = ["before"]
    assert upload(client, "before") is None
    become_indexed(client, len(taken_on))
    ballast = disk / "ballast"
    try:
        fill(ballast, disk, spare_mib=8)
        number = 0
        while (refused := upload(client, f"full-{number}", paragraphs=400)) is None:
            taken_on.append(f"full-{number}")
            number += 1
            assert number < 1000, "the disk does not run full"
        status, problem = refused
        assert (status, problem["code"]) == (507, "storage_full"), problem
        assert "space" in problem["detail"]
        assert search(client, "before"), "what was there is not found any more"
    finally:
        ballast.unlink()
    become_indexed(client, len(taken_on))
    taken_on.append("after")
    assert upload(client, "after") is None
    become_indexed(client, len(taken_on))
    house.kill()
    house.start()
    client = Client(house.port)
    assert all(search(client, each) for each in taken_on), "what was acknowledged is not there after a restart"


def test_on_a_full_disk_a_start_answers_searches_and_takes_deletions(house: Embedded, disk: Path) -> None:
    house.start()
    client = Client(house.port)
    client.call("PUT", f"/v1/collections/{COLLECTION}", {"chunking": {"max_tokens": CHUNK_TOKENS, "overlap": 0}})
    assert upload(client, "before") is upload(client, "gone") is None
    become_indexed(client, 2)
    for _ in polls("space is kept for a start"):
        if (house.settings.data_dir / RESERVE_FILE).exists():
            break
    house.kill()
    fill(disk / "ballast", disk, spare_mib=0)
    house.start()
    client = Client(house.port)
    assert search(client, "before"), "what was there is not found any more"
    assert client.call("DELETE", f"/v1/collections/{COLLECTION}/documents/gone")[0] in (200, 202, 204)
    for _ in polls("the deleted document is not found any more"):
        if not search(client, "gone"):
            break


def upload(client: Client, document: str, *, paragraphs: int = 1) -> tuple[int, dict[str, str]] | None:
    """``None`` once it is acknowledged, else status and body of the answer."""
    text = "\n\n".join([text_of(document, 0)] * paragraphs)
    path = f"/v1/collections/{COLLECTION}/documents"
    status, answer = client.call("POST", path, {"documents": [{"id": document, "text": text}]})
    return None if status == 202 else (status, answer)


def fill(ballast: Path, disk: Path, *, spare_mib: int) -> None:
    """Take the disk's space but for some MiB."""
    room = os.statvfs(disk)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize - spare_mib * 2**20)


def become_indexed(client: Client, documents: int) -> None:
    for _ in polls("everything is indexed"):
        counts = client.call("GET", f"/v1/collections/{COLLECTION}")[1]["counts"]
        assert counts["failed"] == 0, "a full disk is no reason to give a document up"
        if counts["indexed"] == documents:
            return
