"""What ``winnow doctor`` finds, one check at a time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DoctorCheck:
    """One probe: its status (``ok``, ``skipped``, ``warning`` or ``failed``), the finding and the remedy."""

    name: str
    status: str
    detail: str
    fix: str = ""
