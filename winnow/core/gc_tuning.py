"""Tuning of memory, for the start of a process and for one that answers searches."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress
from typing import Final

YOUNG_OBJECTS: Final = 50_000  # made and not freed since the last collection


def collect_rarely() -> None:
    """Make collections rarer: loading modules frees next to nothing, and looking for it takes a sixth of a start."""
    gc.set_threshold(YOUNG_OBJECTS)


def tune_gc() -> None:
    """Exclude the objects that are loaded already from collections, make collections rarer, and return free memory.

    A search makes some 2,000 objects, which their reference counts free. Looking for cycles among them takes a tenth of
    a search, and an occasional pass over the whole heap takes 100 ms. What loading has freed, 45 MB of weights and
    graphs in making, glibc would keep.
    """
    gc.collect()
    gc.freeze()
    collect_rarely()
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
