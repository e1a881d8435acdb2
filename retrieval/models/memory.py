"""How freed memory is kept, for models on the CPU."""

from __future__ import annotations

import ctypes
import sys
from typing import Final

_M_TRIM_THRESHOLD: Final = -1  # malloc.h of glibc
_M_MMAP_THRESHOLD: Final = -3
_MMAP_BYTES: Final = 32 << 20  # the largest that glibc takes
_TRIM_BYTES: Final = 256 << 20


def keep_freed_memory() -> None:
    """Have glibc keep what is freed instead of handing it back to the kernel after each operation of a model.

    A forward pass frees and takes tens of megabytes over and over; page faults cost a third of its time otherwise.
    Does nothing where the C library is another one.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES)
