"""Keeps the place where Winnow is installed first on the import path.

A working directory or ``PYTHONPATH`` of the user's may hold a folder named ``service`` or ``indexer``. The command, and
every process that it starts, must import ours all the same.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Final

INSTALLED_AT: Final = str(Path(__file__).resolve().parents[2])
PROCESS_SETUP: Final = f"{__name__}.put_ours_first"  # by name, for processes that are started by a library

_PACKAGES: Final = ("service", "indexer")


def put_ours_first() -> None:
    """Make ``import service`` and ``import indexer`` find the packages that are installed beside this one.

    Both are imported at once, because Ray puts the driver's working directory in front of the path again later.
    """
    sys.path[:] = [INSTALLED_AT, *(entry for entry in sys.path if entry != INSTALLED_AT)]
    for package in _PACKAGES:
        import_module(package)


def python_path() -> str:
    """The value of ``PYTHONPATH`` with which a child process imports what this one does, ours first."""
    others = (entry for entry in sys.path if entry and entry != INSTALLED_AT)
    return os.pathsep.join([INSTALLED_AT, *others])
