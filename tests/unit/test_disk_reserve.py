"""The space that is kept for a start on a full disk: when it is taken, and when it is given up."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from winnow.core.disk_reserve import RESERVE_BYTES, RESERVE_FILE, give_up_reserve, keep_reserve

MIB = 2**20


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Sets how much of the disk is free."""
    disk = SimpleNamespace(mib=1024)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=disk.mib * MIB))
    monkeypatch.setattr(os, "posix_fallocate", lambda file, at, size: os.truncate(file, at + size))
    return disk


@pytest.mark.parametrize(("mib", "kept"), [(100_000, False), (5_000, False), (4_000, True), (310, True), (300, False)])
def test_space_is_kept_once_the_disk_runs_low_and_while_it_has_room(
    free: SimpleNamespace, tmp_path: Path, mib: int, kept: bool
) -> None:
    free.mib = mib
    keep_reserve(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ([RESERVE_FILE] if kept else [])
    if kept:
        assert (tmp_path / RESERVE_FILE).stat().st_size == RESERVE_BYTES


def test_a_start_gives_it_up_only_where_it_needs_the_space(free: SimpleNamespace, tmp_path: Path) -> None:
    keep_reserve(tmp_path)
    give_up_reserve(tmp_path)
    assert (tmp_path / RESERVE_FILE).exists()
    free.mib = 3
    give_up_reserve(tmp_path)
    assert not (tmp_path / RESERVE_FILE).exists()
    give_up_reserve(tmp_path)  # there is none any more


def test_a_directory_that_is_not_there_yet_has_none(tmp_path: Path) -> None:
    give_up_reserve(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_disk_that_cannot_give_the_space_is_no_reason_to_stop(
    free: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    keep_reserve(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert "no space is kept" in caplog.text
