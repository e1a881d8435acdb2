"""The number of cores that this process may use, where a container's limit of processor time counts.

Control groups of version 2: ``cpu.max`` (https://docs.kernel.org/admin-guide/cgroup-v2.html), and of version 1:
``cpu.cfs_quota_us`` (https://docs.kernel.org/scheduler/sched-bwc.html). A group is bound by those around it, too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

CGROUPS: Final = Path("/sys/fs/cgroup")
OWN_GROUPS: Final = Path("/proc/self/cgroup")


def usable_cores(cgroups: Path = CGROUPS, own_groups: Path = OWN_GROUPS) -> int:
    """The cores that it may run on, or fewer where the time of its control group is limited; at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [quota for folder in _folders(cgroups, own_groups) if (quota := _quota(folder)) is not None]
    return max(1, min([cores, *(-(-time // period) for time, period in quotas)]))


def _folders(cgroups: Path, own_groups: Path) -> Iterator[Path]:
    """The folders of the groups around this process: within a container they lie at the top."""
    try:
        lines = own_groups.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        lines = []
    yield from (cgroups, cgroups / "cpu", cgroups / "cpu,cpuacct")
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = cgroups / controllers if controllers else cgroups
        own = PurePosixPath(path.lstrip("/"))
        yield from (top / each for each in (own, *own.parents) if ".." not in each.parts)


def _quota(folder: Path) -> tuple[int, int] | None:
    """Microseconds of processor time in a period, and the period's; ``None`` without a limit."""
    try:
        time, period = (folder / "cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        try:
            time = (folder / "cpu.cfs_quota_us").read_text(encoding="ascii").strip()
            period = (folder / "cpu.cfs_period_us").read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return None
    return (int(time), int(period)) if time.isdecimal() and period.isdecimal() and int(period) > 0 else None
