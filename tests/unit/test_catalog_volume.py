"""A volume that answers errors makes the catalog fail its check; a full one does not."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from winnow.catalog.volume import Volume
from winnow.core.errors import StorageFailure


async def test_a_sound_volume_passes_and_keeps_nothing(tmp_path: Path) -> None:
    volume = Volume(tmp_path)
    await volume.check()
    await volume.check()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.EIO, errno.EROFS])
async def test_a_broken_one_is_named_and_checked_again(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(number, os.strerror(number))

    volume = Volume(tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr("os.fsync", fail)
        with pytest.raises(StorageFailure, match=f"the volume of {tmp_path} failed: {os.strerror(number)}"):
            await volume.check()
    await volume.check()


async def test_a_full_one_still_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", fail)
    await Volume(tmp_path).check()
