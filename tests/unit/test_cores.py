"""The number of cores that a process may use, by affinity and by the limits of its control groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from winnow.core.cores import usable_cores


@pytest.fixture(autouse=True)
def _six_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(6)), raising=False)


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(f"{text}\n")


@pytest.mark.parametrize(
    ("limit", "cores"), [("max 100000", 6), ("200000 100000", 2), ("150000 100000", 2), ("50000 100000", 1), ("", 6)]
)
def test_a_limit_of_version_2_counts(tmp_path: Path, limit: str, cores: int) -> None:
    write(tmp_path, cpu__max=limit)
    assert usable_cores(tmp_path, tmp_path / "none") == cores


@pytest.mark.parametrize(("quota", "cores"), [("-1", 6), ("200000", 2), ("50000", 1), ("9000000", 6)])
def test_a_limit_of_version_1_counts(tmp_path: Path, quota: str, cores: int) -> None:
    write(tmp_path / "cpu,cpuacct", cpu__cfs_quota_us=quota, cpu__cfs_period_us="100000")
    assert usable_cores(tmp_path, tmp_path / "none") == cores


def test_the_groups_around_its_own_bind_it_too(tmp_path: Path) -> None:
    groups = tmp_path / "groups"
    groups.write_text("12:memory:/other\n0::/pods/pod1/container\n")
    write(tmp_path / "pods/pod1/container", cpu__max="max 100000")
    write(tmp_path / "pods/pod1", cpu__max="300000 100000")
    write(tmp_path / "other", cpu__max="100000 100000")
    assert usable_cores(tmp_path, groups) == 3
    groups.write_text("4:cpu,cpuacct:/pods/pod2\n")
    write(tmp_path / "cpu,cpuacct/pods/pod2", cpu__cfs_quota_us="100000", cpu__cfs_period_us="100000")
    assert usable_cores(tmp_path, groups) == 1


def test_without_control_groups_all_cores_count(tmp_path: Path) -> None:
    assert usable_cores(tmp_path / "none", tmp_path / "none") == 6
